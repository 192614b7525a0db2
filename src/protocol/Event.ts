/** The events: name, payload, and what a principal needs to see them. One list, as for the methods. */
import { Schema } from "effect"
import { AgentEventPayload, ChatEvent } from "./Chat.js"
import { Challenge, type Scope } from "./Connect.js"
import { Count, optional, PositionField } from "./Field.js"
import { PermissionRequested, PermissionResolved } from "./Permission.js"
import { SessionsChanged } from "./Sessions.js"

export const Tick = Schema.Struct({
  ts: Schema.Int,
  /** With the cap `resume`: up to here this connection has been told everything. */
  pos: PositionField
})
export const Shutdown = Schema.Struct({
  reason: Schema.NonEmptyString,
  /** Milliseconds until the gateway should be back. */
  restartExpectedMs: optional(Schema.Int),
  /** With the cap `resume`: up to here this connection has been told everything. */
  pos: PositionField
})
export const ResumeReset = Schema.Struct({
  /**
   * `epoch`: the gateway has started anew since. Ends of runs that the restart has cut off follow, and all that is kept of
   * this life. `expired`: some of what came behind the client's position is no longer kept (or that position never was);
   * what is kept of it follows, terminal events above all.
   */
  reason: Schema.Literal("epoch", "expired"),
  /** With `pos`, the client's position from now on. */
  epoch: Schema.NonEmptyString,
  /** What follows comes behind it. */
  pos: Count,
  /**
   * The methods whose results may be out of date: ask them again for what is shown. A run that still seems to be under way
   * then is asked for with `chat.send` and its key.
   */
  reload: Schema.Array(Schema.NonEmptyString)
})

/** One event of the wire. `scope` null: every connection gets it. */
export interface EventContract {
  readonly scope: Scope | null
  readonly summary: string
  readonly payload: Schema.Schema.AnyNoContext
}

export const events = {
  "connect.challenge": {
    scope: null,
    summary: "The first frame on a new connection; it has no `seq`.",
    payload: Challenge
  },
  chat: { scope: "operator.read", summary: "An answer grows or ends.", payload: ChatEvent },
  agent: { scope: "operator.read", summary: "The raw agent stream.", payload: AgentEventPayload },
  "permission.requested": {
    scope: "operator.read",
    summary: "An agent asks whether it may do something; `permission.resolve` answers.",
    payload: PermissionRequested
  },
  "permission.resolved": {
    scope: "operator.read",
    summary: "A question of an agent is answered, or no longer waits for an answer.",
    payload: PermissionResolved
  },
  "sessions.changed": {
    scope: "operator.read",
    summary:
      "With the cap `sessions`: a session is not what it was, whoever has done it. A message is told before the first event of its run.",
    payload: SessionsChanged
  },
  tick: {
    scope: null,
    summary: "The connection is alive. A client that misses two reconnects.",
    payload: Tick
  },
  shutdown: { scope: null, summary: "The gateway stops; the close code is 1012.", payload: Shutdown },
  "resume.reset": {
    scope: null,
    summary: "Answers a `resume` that can't be whole: something that the client has missed is gone.",
    payload: ResumeReset
  }
} as const satisfies Record<string, EventContract>

export type EventName = keyof typeof events
export const names: ReadonlyArray<string> = Object.keys(events)

/** What `resume.reset` tells to reload. */
export const reload: ReadonlyArray<string> = ["chat.history", "permission.list"]
/** The same with the cap `sessions`. */
export const reloadWithSessions: ReadonlyArray<string> = [...reload, "sessions.list"]

/**
 * What a client may announce in `connect.caps` and this server acts on. `delta-only`: deltas have what is new alone.
 * `resume`: every event has its position. `sessions`: the event `sessions.changed` is sent.
 */
export const capabilities = ["delta-only", "resume", "sessions"] as const
