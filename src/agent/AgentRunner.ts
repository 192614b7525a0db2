/**
 * AgentRunner: what answers. A team plugs in its own with `fromStream`, `fromEffect` or, for the whole event stream,
 * `layer`.
 */
import { Context, Effect, Layer, Schema, Stream } from "effect"
import * as AgentEvent from "../domain/AgentEvent.js"
import type { RunId, SessionId } from "../domain/Ids.js"
import type { ImageContent, StoredMessage } from "../domain/Message.js"
import type { AgentId, SessionKey } from "../domain/SessionKey.js"

/** The agent failed. `message` is shown to clients: say what an operator can do, and no secrets. */
export class AgentError extends Schema.TaggedError<AgentError>()("AgentError", {
  message: Schema.String,
  cause: Schema.optionalWith(Schema.Defect, { exact: true })
}) {}

/** One run, as its agent sees it. */
export interface AgentRequest {
  readonly runId: RunId
  readonly sessionKey: SessionKey
  readonly sessionId: SessionId
  readonly agentId: AgentId
  /** The user's text; empty when only images were sent. */
  readonly message: string
  readonly images: ReadonlyArray<ImageContent>
  /** The level of thinking that the client asked for. */
  readonly thinking?: string
  /** The conversation's newest `limit` messages (1..1000), oldest first, this run's own message included. */
  readonly history: (limit: number) => Effect.Effect<ReadonlyArray<StoredMessage>, AgentError>
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
}

/** The port. Layers: `layer`, `fromStream`, `fromEffect` here, `AgentDemo.layer`, `testing/ScriptedAgent`. */
export class AgentRunner extends Context.Tag("colloquy/AgentRunner")<AgentRunner, AgentRunnerShape>() {}

/** A runner that speaks the whole event stream. It may use services: they are taken when the layer is built. */
export const layer = <R>(
  run: (request: AgentRequest) => Stream.Stream<AgentEvent.AgentEvent, AgentError, R>
): Layer.Layer<AgentRunner, never, R> =>
  Layer.effect(
    AgentRunner,
    Effect.map(Effect.context<R>(), (context) => ({
      run: (request: AgentRequest) => Stream.provideContext(run(request), context)
    }))
  )

/**
 * An agent that streams its answer as pieces of text. Any error ends the run with `error`; `onError` makes the message
 * that clients see (default: the error's own `message`).
 */
export const fromStream = <E, R>(
  answer: (request: AgentRequest) => Stream.Stream<string, E, R>,
  options: { readonly onError?: (error: E) => string } = {}
): Layer.Layer<AgentRunner, never, R> =>
  layer((request) =>
    answer(request).pipe(
      Stream.mapError((error) => toAgentError(error, options.onError)),
      Stream.map(AgentEvent.textDelta),
      Stream.concat(Stream.succeed(AgentEvent.end()))
    )
  )

/** An agent that answers in one piece. Errors as with `fromStream`. */
export const fromEffect = <E, R>(
  answer: (request: AgentRequest) => Effect.Effect<string, E, R>,
  options: { readonly onError?: (error: E) => string } = {}
): Layer.Layer<AgentRunner, never, R> => fromStream((request) => Stream.fromEffect(answer(request)), options)

const toAgentError = <E>(error: E, onError: ((error: E) => string) | undefined): AgentError => {
  if (error instanceof AgentError) return error
  const message =
    onError !== undefined ? onError(error) : error instanceof Error ? error.message : String(error)
  return new AgentError({ message: message === "" ? "the agent failed" : message, cause: error })
}
