/**
 * AgentRunner: what answers. A team plugs in its own with `fromStream`, `fromEffect` or, for the whole event stream,
 * `layer`.
 */
import {
  Context,
  type Duration,
  Effect,
  Either,
  Layer,
  type Option,
  Schema,
  type Scope,
  Stream
} from "effect"
import type { AgentAbout } from "../domain/AgentAbout.js"
import * as AgentEvent from "../domain/AgentEvent.js"
import type { RunId, SessionId } from "../domain/Ids.js"
import type { PermissionChoice } from "../domain/HubEvent.js"
import type { ImageContent, Role, StoredMessage, TextContent } from "../domain/Message.js"
import * as SessionKeys from "../domain/SessionKey.js"
import type { AgentId, SessionKey } from "../domain/SessionKey.js"

/**
 * The agent failed. `message` is shown to clients: say what an operator can do, and no secrets.
 */
export class AgentError extends Schema.TaggedError<AgentError>()("AgentError", {
  message: Schema.String,
  /** For programs; clients read it as `details.code`: `RATE_LIMITED`. */
  code: Schema.optionalWith(Schema.String, { exact: true }),
  /** May the same request succeed when it is tried again? Only asked before the agent has said anything. */
  retryable: Schema.optionalWith(Schema.Boolean, { exact: true }),
  /** Milliseconds to wait before that, where the other side has said so. */
  retryAfterMs: Schema.optionalWith(Schema.Number, { exact: true }),
  cause: Schema.optionalWith(Schema.Defect, { exact: true })
}) {}

/** How much of a conversation an agent is given: the newest whole turns that fit. */
export interface HistoryBudget {
  /** At most so many messages, this run's own included, 1..1000. */
  readonly messages: number
  /** At most so many bytes (UTF-8) of text and base64 images. This run's own message is given whatever its size. */
  readonly bytes: number
  /** Are images of earlier messages given? This run's own are in `AgentRequest.images` either way. */
  readonly images: boolean
}

/** One message of a conversation; roles alternate, and the first and the last one are the user's. */
export interface ConversationMessage {
  readonly role: Role
  readonly content: ReadonlyArray<TextContent | ImageContent>
}

/** May the agent do something? Clients are asked with the event `permission.requested`. */
export interface PermissionRequest {
  /** What the agent wants to do, for people. */
  readonly title: string
  readonly toolCallId?: string
  /** The tool's arguments, as far as clients should see them. */
  readonly args?: unknown
  readonly options: ReadonlyArray<PermissionOption>
  /** How long to wait for an answer. */
  readonly timeout: Duration.Duration
}

export type PermissionOption = PermissionChoice

/** One run, as its agent sees it. */
export interface AgentRequest {
  readonly runId: RunId
  readonly sessionKey: SessionKey
  readonly sessionId: SessionId
  readonly agentId: AgentId
  /** The user's text; empty when only images were sent. */
  readonly message: string
  readonly images: ReadonlyArray<ImageContent>
  /** The level of thinking that the client asked for, or else the session's entry. */
  readonly thinking?: string
  /** The transcript's newest `limit` messages (1..1000) as they are stored, oldest first, this run's own message included. */
  readonly history: (limit: number) => Effect.Effect<ReadonlyArray<StoredMessage>, AgentError>
  /**
   * The conversation up to this run's own message, which is the last one: made from the transcript for models. Answers stand
   * behind the message that they answer, messages of runs that wait behind this one are left out, partial answers are in.
   */
  readonly conversation: (
    budget: HistoryBudget
  ) => Effect.Effect<ReadonlyArray<ConversationMessage>, AgentError>
  /** Asks the session's clients; `None`: nobody has answered in time. */
  readonly ask: (request: PermissionRequest) => Effect.Effect<Option.Option<PermissionOption>>
}

export interface AgentRunnerShape {
  /**
   * Works on a run. The stream is run once, in a fiber of its own; **abort is that fiber's interruption**, so what the
   * agent holds (requests, processes) belongs into the stream's finalizers. An agent that doesn't stop within
   * `interruptGrace` is cut off: whatever it says later is dropped.
   *
   * The run ends with `final` when the stream says `End`, with `error` when it says `Failed`, fails or dies. A stream
   * that ends without either hands the run off: its end is then expected through `AgentEvents.emit`.
   */
  readonly run: (request: AgentRequest) => Stream.Stream<AgentEvent.AgentEvent, AgentError>
  /** The agents that there are, by id. One agent alone (`AgentAbout`) answers as the gateway's default agent. */
  readonly agents: AgentAbout | ReadonlyMap<AgentId, AgentAbout>
}

/** The port. Layers: `layer`, `fromStream`, `fromEffect` here, `layerAgents`, `testing/ScriptedAgent`. */
export class AgentRunner extends Context.Tag("colloquy/AgentRunner")<AgentRunner, AgentRunnerShape>() {}

/** One agent of several: what each kind of agent makes, for `layerAgents`. */
export interface Agent {
  readonly about: AgentAbout
  readonly run: AgentRunnerShape["run"]
  /** Tries the agent without a run, and says in a few words what was found. */
  readonly check: Effect.Effect<string, AgentError>
}

/** The agents of a runner by id, in the order in which they were configured. */
export const agentsOf = (
  { agents }: AgentRunnerShape,
  defaultAgentId: AgentId
): ReadonlyMap<AgentId, AgentAbout> => ("kind" in agents ? new Map([[defaultAgentId, agents]]) : agents)

/**
 * One agent, which speaks the whole event stream. It may use services: they are taken when the layer is built. It answers
 * as the gateway's default agent; for several, see `layerAgents`.
 */
export const layer = <R>(
  run: (request: AgentRequest) => Stream.Stream<AgentEvent.AgentEvent, AgentError, R>,
  about: Partial<AgentAbout> = {}
): Layer.Layer<AgentRunner, never, R> =>
  Layer.effect(
    AgentRunner,
    Effect.map(make(run, about), (agent) => ({ run: agent.run, agents: agent.about }))
  )

/** The same as a value, for `layerAgents`. */
export const make = <R>(
  run: (request: AgentRequest) => Stream.Stream<AgentEvent.AgentEvent, AgentError, R>,
  about: Partial<AgentAbout> = {}
): Effect.Effect<Agent, never, R> =>
  Effect.map(Effect.context<R>(), (context) => ({
    about: { kind: "custom", images: true, ...about },
    run: (request: AgentRequest) => Stream.provideContext(run(request), context),
    check: Effect.succeed("it is part of this program")
  }))

/**
 * Several agents; the agent id in a session's key chooses. What they need is taken, and what they hold is kept, as long as
 * the layer lives.
 */
export function layerAgents<
  Agents extends { readonly [agentId: string]: Effect.Effect<Agent, unknown, unknown> }
>(
  agents: Agents
): Layer.Layer<
  AgentRunner,
  AgentError | Effect.Effect.Error<Agents[keyof Agents]>,
  Exclude<Effect.Effect.Context<Agents[keyof Agents]>, Scope.Scope>
>
export function layerAgents<E, R>(agents: {
  readonly [agentId: string]: Effect.Effect<Agent, E, R>
}): Layer.Layer<AgentRunner, AgentError | E, Exclude<R, Scope.Scope>> {
  return Layer.scoped(
    AgentRunner,
    Effect.gen(function* () {
      const made = new Map<AgentId, Agent>()
      for (const [name, make] of Object.entries(agents)) made.set(yield* idOf(name), yield* make)
      const known = [...made.keys()].join(", ")
      return {
        agents: new Map([...made].map(([agentId, { about }]) => [agentId, about])),
        run: (request: AgentRequest) =>
          made.get(request.agentId)?.run(request) ??
          // A run of an earlier life: new ones are refused before they are accepted.
          Stream.fail(
            new AgentError({
              code: "UNKNOWN_AGENT",
              message: `there is no agent ${request.agentId} any more: put it back into the configuration, or send to ${known}`
            })
          )
      }
    })
  )
}

const idOf = (name: string): Either.Either<AgentId, AgentError> =>
  Either.mapLeft(
    SessionKeys.parseAgentId(name),
    (expected) =>
      new AgentError({ message: `${JSON.stringify(name)} can't be an agent's id: expected ${expected}` })
  )

/**
 * An agent that streams its answer as pieces of text. Any error ends the run with `error`; `onError` makes the message
 * that clients see (default: the error's own `message`).
 */
export const fromStream = <E, R>(
  answer: (request: AgentRequest) => Stream.Stream<string, E, R>,
  options: FromOptions<E> = {}
): Layer.Layer<AgentRunner, never, R> =>
  layer(
    (request) =>
      answer(request).pipe(
        Stream.mapError((error) => toAgentError(error, options.onError)),
        Stream.map(AgentEvent.textDelta),
        Stream.concat(Stream.succeed(AgentEvent.end()))
      ),
    options.about
  )

export interface FromOptions<E> {
  /**
   * What clients see of an error: its message, or an `AgentError` that also says whether another try may help. Default: the
   * error's own `message`. An `AgentError` is not asked about: it says all that itself.
   */
  readonly onError?: (error: E) => string | AgentError
  /** What clients and the gateway are told of the agent. */
  readonly about?: Partial<AgentAbout>
}

/** An agent that answers in one piece. Errors as with `fromStream`. */
export const fromEffect = <E, R>(
  answer: (request: AgentRequest) => Effect.Effect<string, E, R>,
  options: FromOptions<E> = {}
): Layer.Layer<AgentRunner, never, R> => fromStream((request) => Stream.fromEffect(answer(request)), options)

const toAgentError = <E>(error: E, onError: FromOptions<E>["onError"]): AgentError => {
  if (error instanceof AgentError) return error
  const said = onError !== undefined ? onError(error) : error instanceof Error ? error.message : String(error)
  if (typeof said !== "string") return said
  return new AgentError({ message: said === "" ? "the agent failed" : said, cause: error })
}
