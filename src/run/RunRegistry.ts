/**
 * RunRegistry: the runs of this process, from the send that is being saved to the one terminal event.
 *
 * Every accepted run has one fiber for its life (`RunLife`) and, while its agent works, one for the agent; abort is
 * the interruption of the latter. All decisions about how a run ends go through the pure state machine
 * (`domain/RunState`), synchronously, so that exactly one of those who race for it wins.
 */
import { Context, type Effect } from "effect"
import type { AgentEvent } from "../domain/AgentEvent.js"
import type { RunId } from "../domain/Ids.js"
import type { ImageContent } from "../domain/Message.js"
import type {
  IdempotencyMismatch,
  ImagesNotSupported,
  QueueFull,
  RunSessionMismatch,
  SessionBusy,
  ShuttingDown,
  UnknownAgent
} from "../domain/RunError.js"
import type { AbortReason, KeyStatus } from "../domain/RunState.js"
import type { SendDenied, SessionStoreError } from "../domain/SessionError.js"
import type { AgentId, SessionKey } from "../domain/SessionKey.js"

/** A send that was checked and is ready to be accepted. */
export interface SendRequest {
  /** Made of the principal and its idempotency key: `Ids.runIdOf`. */
  readonly runId: RunId
  readonly sessionKey: SessionKey
  /** As the client wrote it: its events carry this. */
  readonly requestedKey: string
  readonly agentId: AgentId
  /** The name of who sends it. */
  readonly principal: string
  readonly message: string
  readonly images: ReadonlyArray<ImageContent>
  readonly thinking?: string
  /** Milliseconds; 0: no limit; absent: the configured default. */
  readonly timeoutMs?: number
}

/** The answer to a send: begun now, or what became of the key's run. */
export type SendStatus = { readonly _tag: "Started" } | KeyStatus

export type AcceptError =
  | IdempotencyMismatch
  | UnknownAgent
  | ImagesNotSupported
  | QueueFull
  | ShuttingDown
  | SessionStoreError
  | SendDenied

export interface AbortRequest {
  readonly sessionKey: SessionKey
  /** A run's idempotency key. Absent: all runs of the session. */
  readonly key?: string
  readonly reason: AbortReason
  /** Who asks: its own runs, and those of sessions that it may use, are all the runs that there are. */
  readonly by: Aborter
}

export interface Aborter {
  readonly name: string
  readonly sessions: { readonly matches: (sessionKey: SessionKey) => boolean }
}

/** A run that is not over, for status and operators. */
export interface RunInfo {
  readonly runId: RunId
  readonly sessionKey: SessionKey
  readonly agentId: AgentId
  /** The name of who sent it. */
  readonly principal: string
  readonly phase: "accepting" | "queued" | "running" | "handed-off" | "settling"
  /** Milliseconds since the Unix epoch. */
  readonly acceptedAt: number
  /** The answer so far, also what was not shown yet. */
  readonly text: string
}

export interface RunRegistryShape {
  /**
   * Accepts a send. The run is registered before anything is awaited, so an abort that comes right behind finds it.
   * Succeeds with `Started` when the user's message is durable; the run goes on by itself, whatever becomes of the
   * caller (interrupting it doesn't take the send back). If the save fails, nothing is left and the key is free,
   * unless the run was aborted meanwhile: then it is `Aborted` and stays so.
   *
   * The same key again: its run's status, or `IdempotencyMismatch` if session or content differ. While the first send
   * is being saved, a second one waits for that save. A key that is new is refused when its agent is not there, or can't see
   * the images.
   */
  readonly accept: (request: SendRequest) => Effect.Effect<SendStatus, AcceptError>

  /**
   * Aborts a run or all runs of a session, at once: the runs named in the answer will end with `aborted` and nothing
   * else. A run that is unknown, over or handed off is not in it; one of another session is an error, and goes on. Of two
   * runs with the same key, which two principals have sent, one's own is meant.
   */
  readonly abort: (request: AbortRequest) => Effect.Effect<ReadonlyArray<RunId>, RunSessionMismatch>

  /**
   * Does something to a session that must not happen under a run: aborts its runs, waits until their ends are committed and
   * told, then does it. One that is queued is aborted, too; one that was handed off ends with the text so far. Runs that come
   * meanwhile are registered, and may be aborted; their messages are saved when it is done. One at a time for each session.
   *
   * `SessionBusy`: the runs did not end in time; they will, and nothing was done.
   */
  readonly alone: <A, E, R>(
    sessionKey: SessionKey,
    use: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | SessionBusy, R>

  /**
   * Takes in an agent's event. `false`: there is no such run, or it is over (or aborted), and nothing was changed.
   * Ordering: events of one run take effect in the order of the calls.
   */
  readonly ingest: (runId: RunId, event: AgentEvent) => Effect.Effect<boolean>

  /**
   * Takes up the runs of an earlier life of the gateway, as the run journal has them: one whose agent was not called goes on,
   * one whose agent was called ends with `error`, since calling it twice may do harm. To be run once, when those who observe
   * the hub are there. Before that, their keys are in flight.
   */
  readonly recover: Effect.Effect<void>

  /** The runs that are not over, in the order of their acceptance. */
  readonly list: Effect.Effect<ReadonlyArray<RunInfo>>

  /**
   * Takes no more sends, lets the runs go on for `drainGrace`, ends those that are left (`aborted`, `stopReason:
   * "shutdown"`), and waits until all are committed and told, at most for `shutdownGrace`. Also the finalizer of the layer;
   * a second call waits for the first.
   */
  readonly shutdown: Effect.Effect<void>
}

/** The port. Layer: `RunRegistryLocal.layer`. */
export class RunRegistry extends Context.Tag("colloquy/RunRegistry")<RunRegistry, RunRegistryShape>() {}
