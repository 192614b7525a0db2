/**
 * The life of one run as a pure state machine. Every way in which a run can end (its agent returns or fails, a client
 * aborts, a timeout passes, the gateway stops) asks `transition` here; the first one wins, and whoever comes later
 * gets `None` and must change nothing. That is what "exactly one terminal event" rests on.
 *
 * ```
 * Accepting ──Saved──▶ Queued ──Started──▶ Running ──Returned──▶ HandedOff
 *     │ │                │                   │                      │
 *     │ └──Abort─────────┴───Abort,End───────┴────────End───────────┴──▶ Settling ──Committed──▶ Settled
 *     └──SaveFailed──▶ Rejected      (an abort that came while saving stands, whether the save succeeds or not)
 * ```
 */
import { Option, Schema } from "effect"

/** Why a run was aborted: by `chat.abort`, by a stop command, by its timeout, by the gateway's end. */
export const AbortReason = Schema.Literal("rpc", "stop", "timeout", "shutdown")
export type AbortReason = typeof AbortReason.Type

/** More about an error for programs: a code, and what belongs to it. */
export const ErrorDetails = Schema.Struct(
  { code: Schema.String },
  Schema.Record({ key: Schema.String, value: Schema.Unknown })
)
export type ErrorDetails = typeof ErrorDetails.Type

/** How a run ended. */
export const Outcome = Schema.Union(
  Schema.TaggedStruct("Final", {
    stopReason: Schema.optionalWith(Schema.String, { exact: true }),
    usage: Schema.optionalWith(Schema.Unknown, { exact: true })
  }),
  Schema.TaggedStruct("Aborted", { stopReason: AbortReason }),
  Schema.TaggedStruct("Error", {
    message: Schema.String,
    details: Schema.optionalWith(ErrorDetails, { exact: true })
  })
)
export type Outcome = typeof Outcome.Type

export type RunState =
  /** Registered, abortable; the store is saving the user's message. */
  | { readonly _tag: "Accepting" }
  /** Durable; waits for its turn in the session's lane. */
  | { readonly _tag: "Queued" }
  /** The agent was called. */
  | { readonly _tag: "Running" }
  /** The agent's runner returned without an end: the end comes from outside, or after the grace. */
  | { readonly _tag: "HandedOff" }
  /** The outcome is decided; it is being committed and nobody was told yet. `saved`: has the save of the
   * user's message ended? */
  | {
      readonly _tag: "Settling"
      readonly outcome: Outcome
      readonly saved: boolean
      readonly handedOff: boolean
    }
  /** Committed. */
  | { readonly _tag: "Settled"; readonly outcome: Outcome }
  /** The save failed: the run was never accepted and its key is free. */
  | { readonly _tag: "Rejected" }

export type Input =
  | { readonly _tag: "Saved" }
  | { readonly _tag: "SaveFailed" }
  | { readonly _tag: "Started" }
  | { readonly _tag: "Returned" }
  | { readonly _tag: "Abort"; readonly reason: AbortReason }
  /** The agent's end, good or bad. */
  | { readonly _tag: "End"; readonly outcome: Outcome }
  /** `outcome` replaces the decided one if the answer could not be saved. */
  | { readonly _tag: "Committed"; readonly outcome?: Outcome }

export const initial: RunState = { _tag: "Accepting" }

/** The next state, or `None` if the input comes too late (or too early) and changes nothing. */
export const transition = (state: RunState, input: Input): Option.Option<RunState> => {
  switch (input._tag) {
    case "Saved":
      if (state._tag === "Accepting") return Option.some({ _tag: "Queued" })
      if (state._tag === "Settling" && !state.saved) return Option.some({ ...state, saved: true })
      return Option.none()
    case "SaveFailed":
      if (state._tag === "Accepting") return Option.some({ _tag: "Rejected" })
      // The abort was answered: it stands, though there is no message that it could belong to.
      if (state._tag === "Settling" && !state.saved) return Option.some({ ...state, saved: true })
      return Option.none()
    case "Started":
      return state._tag === "Queued" ? Option.some({ _tag: "Running" }) : Option.none()
    case "Returned":
      return state._tag === "Running" ? Option.some({ _tag: "HandedOff" }) : Option.none()
    case "Abort":
      // A handed-off run has no fiber that could be interrupted: it can no longer be aborted.
      return state._tag === "Accepting" || state._tag === "Queued" || state._tag === "Running"
        ? Option.some(settling(state, { _tag: "Aborted", stopReason: input.reason }))
        : Option.none()
    case "End":
      return state._tag === "Running" || state._tag === "HandedOff"
        ? Option.some(settling(state, input.outcome))
        : Option.none()
    case "Committed":
      return state._tag === "Settling" && state.saved
        ? Option.some({ _tag: "Settled", outcome: input.outcome ?? state.outcome })
        : Option.none()
  }
}

const settling = (
  state: { readonly _tag: "Accepting" | "Queued" | "Running" | "HandedOff" },
  outcome: Outcome
): RunState => ({
  _tag: "Settling",
  outcome,
  saved: state._tag !== "Accepting",
  handedOff: state._tag === "HandedOff"
})

/** Is the run over for everybody who asks from now on? */
export const isOver = (state: RunState): boolean => state._tag === "Settled" || state._tag === "Rejected"

/** May an agent's event still change what the chat shows? */
export const isOpen = (state: RunState): boolean => state._tag === "Running" || state._tag === "HandedOff"

/** What a second send under the same key is told (protocol.md, `chat.send`). */
export type KeyStatus =
  | { readonly _tag: "InFlight" }
  | { readonly _tag: "Ok" }
  | { readonly _tag: "Aborted" }
  | { readonly _tag: "Failed"; readonly summary: string; readonly details?: ErrorDetails }

/** The answer to the same key; a run being accepted has none yet, and a rejected one none any more. */
export const keyStatus = (state: RunState): Option.Option<KeyStatus> => {
  switch (state._tag) {
    case "Accepting":
    case "Rejected":
      return Option.none()
    case "Queued":
    case "Running":
      return Option.some({ _tag: "InFlight" })
    case "HandedOff":
      return Option.some({ _tag: "Ok" })
    case "Settling":
      if (!state.saved) return Option.none()
      // An abort was answered already; an end counts only when it is committed.
      if (state.outcome._tag === "Aborted") return Option.some({ _tag: "Aborted" })
      return Option.some(state.handedOff ? { _tag: "Ok" } : { _tag: "InFlight" })
    case "Settled":
      return Option.some(outcomeStatus(state.outcome))
  }
}

/** The answer to the key of a run that ended so. */
export const outcomeStatus = (outcome: Outcome): KeyStatus => {
  switch (outcome._tag) {
    case "Final":
      return { _tag: "Ok" }
    case "Aborted":
      return { _tag: "Aborted" }
    case "Error":
      return {
        _tag: "Failed",
        summary: outcome.message,
        ...(outcome.details === undefined ? {} : { details: outcome.details })
      }
  }
}
