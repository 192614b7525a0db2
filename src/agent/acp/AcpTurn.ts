/** AcpTurn: one prompt and all that the agent says until it has answered it. */
import { Cause, Deferred, Duration, Effect, Exit, Option, type Scope, Stream } from "effect"
import * as AgentEvent from "../../domain/AgentEvent.js"
import type { StoredMessage } from "../../domain/Message.js"
import * as Usage from "../../domain/Usage.js"
import * as Ids from "../../domain/Ids.js"
import type { AgentError, AgentRequest } from "../AgentRunner.js"
import type { ProcessGroupsShape } from "../ProcessGroup.js"
import * as AcpFailure from "./AcpFailure.js"
import type { AcpOptions } from "./AcpOptions.js"
import * as AcpSessions from "./AcpSessions.js"
import { apart } from "../process/Apart.js"
import type { Turn } from "./ClientSide.js"
import * as Handshake from "./Handshake.js"
import * as Inbox from "./Inbox.js"
import * as Preface from "./Preface.js"
import * as SessionUpdate from "./SessionUpdate.js"
import * as Terminals from "./Terminals.js"

/** A prompt that was sent. */
interface Prompted {
  readonly session: AcpSessions.AcpSession
  readonly turn: Turn
  readonly answered: Deferred.Deferred<Handshake.PromptEnd, AgentError>
  /** The run's idempotency key. */
  readonly key: string
  /** What was known of the conversation when it was sent. */
  readonly transcript: ReadonlyArray<StoredMessage>
}

/** The most messages that can be read at once, and how many of them may wait behind the run's own one. */
const mostMessages = 1000
const mostWaiting = 100

/**
 * Prompts the session; the stream is what it says. Closing the scope before the answer cancels the turn: `session/cancel`,
 * `cancelGrace` for the answer, then the process is stopped.
 */
export const prompt = (
  options: AcpOptions,
  groups: ProcessGroupsShape,
  session: AcpSessions.AcpSession,
  request: AgentRequest
): Effect.Effect<Stream.Stream<AgentEvent.AgentEvent, AgentError>, AgentError, Scope.Scope> =>
  Effect.gen(function* () {
    const { history, system } = options
    const canSee = session.process.info.agentCapabilities?.promptCapabilities?.image === true
    if (request.images.length > 0 && !canSee) return yield* AcpFailure.imagesNotSupported(options.command)
    const transcript = yield* request.history(Math.min(mostMessages, history.messages + mostWaiting))
    const prompt = Preface.prompt(request, {
      messages: AcpSessions.unseen(session, transcript),
      budget: history,
      system: session.isPrompted ? undefined : system
    })
    const turn: Turn = {
      reader: SessionUpdate.reader(session.earlier),
      inbox: Inbox.make(),
      ask: request.ask,
      abandoned: yield* Deferred.make<void>(),
      terminals: yield* Terminals.make(groups, options)
    }
    const answered = yield* Effect.acquireRelease(
      Effect.gen(function* () {
        const answered = yield* Deferred.make<Handshake.PromptEnd, AgentError>()
        session.process.turns.set(session.id, turn)
        // In nobody's scope: the answer to a cancelled prompt is waited for when the run's scope closes.
        yield* session.process
          .request("session/prompt", { sessionId: session.id, prompt }, Handshake.PromptEnd)
          .pipe(Effect.interruptible, Effect.intoDeferred(answered), Effect.forkDaemon)
        return answered
      }),
      (answered) =>
        apart(leave(options, { session, turn, answered, key: Ids.keyOf(request.runId), transcript }))
    )
    yield* Effect.exit(Deferred.await(answered)).pipe(
      Effect.map((exit) => turn.inbox.end(Exit.isFailure(exit) ? failureOf(options, exit.cause) : undefined)),
      Effect.interruptible,
      Effect.forkScoped
    )
    const end = Effect.flatMap(Deferred.await(answered), (answer) => endOf(options, answer))
    return Stream.concat(Stream.repeatEffectChunkOption(turn.inbox.take), Stream.fromEffect(end))
  })

const failureOf = ({ command }: AcpOptions, cause: Cause.Cause<AgentError>): AgentError =>
  Option.getOrElse(Cause.failureOption(cause), () => AcpFailure.protocol(command, "can't be prompted"))

/** The run hears nothing more, whatever the reason; a turn that is still on is cancelled. */
const leave = (options: AcpOptions, prompted: Prompted): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { session, turn } = prompted
    turn.inbox.close()
    yield* Deferred.succeed(turn.abandoned, undefined)
    yield* Effect.all([turn.terminals.close, settle(options, prompted)], { concurrency: 2, discard: true })
    turn.reader.end()
    if (session.process.turns.get(session.id) === turn) session.process.turns.delete(session.id)
  })

/** Waits for the answer to the prompt, cancelled or not, as long as it may take. */
const settle = (
  { cancelGrace }: AcpOptions,
  { answered, key, session, transcript }: Prompted
): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { id: sessionId, process } = session
    if (!(yield* Deferred.isDone(answered))) {
      yield* Effect.forkDaemon(process.notify("session/cancel", { sessionId }))
    }
    const answer = yield* Effect.exit(Deferred.await(answered)).pipe(
      Effect.interruptible,
      Effect.timeoutOption(cancelGrace)
    )
    if (Option.isNone(answer)) {
      return yield* process.stop(
        `it did not end its turn within ${Duration.format(cancelGrace)} of its cancel`
      )
    }
    // Also what it has said of a turn that was cancelled it knows itself.
    if (Exit.isSuccess(answer.value)) AcpSessions.saw(session, transcript, key)
  })

/** What the end of a turn is to the run. */
const endOf = (
  { command }: AcpOptions,
  { stopReason, usage }: Handshake.PromptEnd
): Effect.Effect<AgentEvent.AgentEvent, AgentError> => {
  const end = (stopReason: string) =>
    Effect.succeed(
      AgentEvent.end({
        stopReason,
        ...(usage === undefined || usage === null ? {} : { usage: usageOf(usage) })
      })
    )
  switch (stopReason) {
    case "end_turn":
      return end("stop")
    case "max_tokens":
    case "max_turn_requests":
      return end("length")
    case "refusal":
      return Effect.fail(AcpFailure.filtered(command))
    case "cancelled":
      return Effect.fail(AcpFailure.cancelled(command))
    default:
      return Effect.fail(
        AcpFailure.protocol(command, `has ended its turn for a reason that is not known (${stopReason})`)
      )
  }
}

const usageOf = (usage: NonNullable<Handshake.PromptEnd["usage"]>): Usage.Usage => ({
  ...Usage.make({
    input: usage.inputTokens,
    output: usage.outputTokens,
    ...(isCount(usage.cachedReadTokens) ? { cacheRead: usage.cachedReadTokens } : {}),
    ...(isCount(usage.cachedWriteTokens) ? { cacheWrite: usage.cachedWriteTokens } : {})
  }),
  // Its own sum: it may count what it thought beside its output.
  totalTokens: usage.totalTokens
})

const isCount = (count: number | null | undefined): count is number => count !== undefined && count !== null
