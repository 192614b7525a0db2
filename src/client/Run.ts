/** Run: a message that was sent with this client, and the answer to it. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { AbortResult } from "../protocol/Chat.js"
import type { CallError, ClientClosed, Refused, RunError, SendRejected } from "./ClientError.js"
import type { Observed } from "./Observed.js"
import type { PendingMessage } from "./OutboxStore.js"
import * as RunState from "./RunState.js"

/** A piece of an answer. */
export interface Piece {
  /** The whole text so far. */
  readonly text: string
  /** What is new in it. */
  readonly added: string
  /** Was the text before this one rewritten? Then `added` is the whole text. */
  readonly rewritten: boolean
}

export interface Run {
  /** The idempotency key, which is the run's id. */
  readonly key: string
  /** As it was sent. */
  readonly sessionKey: string
  /** What has become of it until now. */
  readonly state: Effect.Effect<RunState.RunState>
  /** The same from now on: the present state and each that follows, the newest only for who is slow. Ends with the run. */
  readonly states: Stream.Stream<RunState.RunState, Refused | ClientClosed>
  /** The answer as it grows: joined, the `added` are the text, unless a piece is `rewritten`. */
  readonly deltas: Stream.Stream<Piece, RunError>
  /** Waits until the message is durable, or known to be so from before. */
  readonly accepted: Effect.Effect<void, SendRejected | Refused | ClientClosed>
  /** Waits for the whole answer. Interrupting the wait does nothing to the run. */
  readonly result: Effect.Effect<RunState.Answered, RunError>
  /** Aborts the run, or takes the message back if it was never on the wire. `aborted: false`: it was over. */
  readonly abort: Effect.Effect<AbortResult, CallError | Refused | ClientClosed>
}

/** What a run looks at. `closed` fails when its client can't go on. */
export interface RunOptions {
  readonly message: PendingMessage
  readonly state: Observed<RunState.RunState>
  readonly closed: Effect.Effect<never, Refused | ClientClosed>
  readonly abort: Run["abort"]
}

export const make = ({ abort, closed, message, state }: RunOptions): Run => {
  const key = message.idempotencyKey
  const states = Stream.interruptWhen(state.stream(RunState.isOver), closed)
  const end = (over: RunState.RunState): Effect.Effect<RunState.Answered, RunError> => {
    const outcome = RunState.outcome(key, over)
    return outcome === undefined
      ? Effect.interrupt
      : "answer" in outcome
        ? Effect.succeed(outcome.answer)
        : Effect.fail(outcome.error)
  }
  return {
    key,
    sessionKey: message.sessionKey,
    state: Effect.sync(() => state.value),
    states,
    deltas: states.pipe(
      Stream.mapAccum(
        "",
        (before, now) => [RunState.textOf(now), { now, piece: pieceOf(before, now) }] as const
      ),
      Stream.flatMap(({ now, piece }) => {
        const pieces = piece === undefined ? Stream.empty : Stream.succeed(piece)
        const outcome = RunState.outcome(key, now)
        return outcome !== undefined && "error" in outcome
          ? Stream.concat(pieces, Stream.fail(outcome.error))
          : pieces
      })
    ),
    accepted: state
      .when((now): Option.Option<Effect.Effect<void, SendRejected>> => {
        if (now._tag === "Sending") return Option.none()
        const outcome = RunState.outcome(key, now)
        return Option.some(
          outcome !== undefined && "error" in outcome && outcome.error._tag === "SendRejected"
            ? Effect.fail(outcome.error)
            : Effect.void
        )
      })
      .pipe(Effect.raceFirst(closed)),
    result: state
      .when((now) => (RunState.isOver(now) ? Option.some(end(now)) : Option.none()))
      .pipe(Effect.raceFirst(closed)),
    abort
  }
}

const pieceOf = (before: string, now: RunState.RunState): Piece | undefined => {
  const text = RunState.textOf(now)
  if (text === before) return undefined
  return text.startsWith(before)
    ? { text, added: text.slice(before.length), rewritten: false }
    : { text, added: text, rewritten: true }
}

/** Waits for the answer; whoever interrupts the wait aborts the run. */
export const abortOnInterrupt = (run: Run): Effect.Effect<RunState.Answered, RunError> =>
  Effect.onExit(run.result, (exit) =>
    Exit.isInterrupted(exit) ? Effect.forkDaemon(Effect.interruptible(Effect.ignore(run.abort))) : Effect.void
  )
