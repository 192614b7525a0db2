/** What becomes of a message: from the outbox to the end of its answer. */
import type { ChatEvent } from "../protocol/Chat.js"
import type { WireError } from "../protocol/Frame.js"
import * as Answer from "./Answer.js"
import { type RunError, RunAborted, RunFailed, SendRejected } from "./ClientError.js"

/** It is in the outbox: the gateway has not said yet that it has it. */
export interface Sending {
  readonly _tag: "Sending"
  /** How often it was put on the wire. */
  readonly attempts: number
  /** Why it will be tried again, when the gateway said so. */
  readonly problem?: WireError
}
/** It is durable; `text` is the answer so far, `""` before its first word. */
export interface Accepted {
  readonly _tag: "Accepted"
  readonly text: string
}
/** The answer is whole. */
export interface Final {
  readonly _tag: "Final"
  readonly text: string
  readonly usage?: unknown
  readonly stopReason?: string
}
export interface Aborted {
  readonly _tag: "Aborted"
  readonly text: string
  /** Absent: it is not known any more. */
  readonly reason?: string
}
export interface Failed {
  readonly _tag: "Failed"
  readonly text: string
  readonly errorMessage: string
  readonly details?: unknown
}
/** The gateway did not take it, and would not the next time: no run began. */
export interface Rejected {
  readonly _tag: "Rejected"
  readonly error: WireError
}
/** It was a command that stops runs (`/stop`), and no message. */
export interface Stopped {
  readonly _tag: "Stopped"
  readonly runIds: ReadonlyArray<string>
}

export type RunState = Sending | Accepted | Final | Aborted | Failed | Rejected | Stopped

/** An answer that is whole. */
export interface Answered {
  readonly text: string
  /** Tokens, as the agent counts them. */
  readonly usage?: unknown
  readonly stopReason?: string
}

/** Nothing comes behind it, unless a rejected message is tried again. */
export const isOver = (state: RunState): boolean => state._tag !== "Sending" && state._tag !== "Accepted"

/** The answer so far. */
export const textOf = (state: RunState): string =>
  state._tag === "Sending" || state._tag === "Rejected" || state._tag === "Stopped" ? "" : state.text

/** Takes in an event of the run. */
export const onEvent = (state: RunState, event: ChatEvent): RunState => {
  const { text } = Answer.next(textOf(state), event)
  switch (event.state) {
    case "delta":
      return { _tag: "Accepted", text }
    case "final":
      return {
        _tag: "Final",
        text,
        ...(event.usage === undefined ? {} : { usage: event.usage }),
        ...(event.stopReason === undefined ? {} : { stopReason: event.stopReason })
      }
    case "aborted":
      return { _tag: "Aborted", text, reason: event.stopReason }
    case "error":
      return {
        _tag: "Failed",
        text,
        errorMessage: event.errorMessage,
        ...(event.details === undefined ? {} : { details: event.details })
      }
  }
}

/** What a state means for who waits for the answer; undefined: it is under way. */
export const outcome = (
  key: string,
  state: RunState
): { readonly answer: Answered } | { readonly error: RunError } | undefined => {
  switch (state._tag) {
    case "Sending":
    case "Accepted":
      return undefined
    case "Final": {
      const { _tag, ...answer } = state
      return { answer }
    }
    case "Stopped":
      return { answer: { text: "" } }
    case "Aborted":
      return {
        error: new RunAborted({
          key,
          text: state.text,
          ...(state.reason === undefined ? {} : { reason: state.reason })
        })
      }
    case "Failed":
      return {
        error: new RunFailed({
          key,
          text: state.text,
          errorMessage: state.errorMessage,
          ...(state.details === undefined ? {} : { details: state.details })
        })
      }
    case "Rejected":
      return { error: new SendRejected({ key, error: state.error }) }
  }
}
