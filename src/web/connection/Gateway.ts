/** Gateway: what the page asks of its connection. The state of the page knows no more of it, so tests stand in for it. */
import type { ReadonlySignal } from "@preact/signals"
import type { ServerEvent } from "../../client/ServerEvent.js"
import type { RunState } from "../../client/RunState.js"
import type { Status } from "../../client/Status.js"
import type { AttachmentParam } from "../../protocol/Chat.js"
import type * as Method from "../../protocol/Method.js"

/** A message that goes to the gateway. */
export interface Outgoing {
  /** In its canonical form. */
  readonly sessionKey: string
  readonly message: string
  readonly attachments?: ReadonlyArray<AttachmentParam>
}

/** A message in the outbox, and the run that it becomes. */
export interface SentRun {
  /** The idempotency key, which is the run's id. */
  readonly key: string
  readonly message: Outgoing
  /** Calls the listener with the present state and each that follows. */
  readonly onState: (listener: (state: RunState) => void) => void
  /** Aborts the run, or takes the message back if it never was on the wire. */
  readonly abort: () => Promise<void>
}

export interface Gateway {
  readonly status: ReadonlySignal<Status>
  /** The events, in order, across connections. Returns how to stop listening. */
  readonly onEvent: (listener: (event: ServerEvent) => void) => () => void
  /** Rejects with what says, in `message`, why. */
  readonly call: <M extends Method.MethodName>(
    method: M,
    params: Method.ParamsOf<M>
  ) => Promise<Method.ResultOf<M>>
  /** Rejects when the outbox is full. */
  readonly send: (message: Outgoing) => Promise<SentRun>
  /** What an earlier life of this tab has left in the outbox. */
  readonly pending: () => Promise<ReadonlyArray<SentRun>>
  /** Sends a rejected message again, with the same key. */
  readonly retry: (key: string) => void
  /** Forgets a rejected message. */
  readonly discard: (key: string) => void
  /** Connects at once instead of waiting. */
  readonly reconnect: () => void
  readonly close: () => void
}
