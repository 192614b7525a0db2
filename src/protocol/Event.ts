/** The events: name, payload, and what a principal needs to see them. One list, as for the methods. */
import { Schema } from "effect"
import { AgentEventPayload, ChatEvent } from "./Chat.js"
import { Challenge, type Scope } from "./Connect.js"
import { optional } from "./Field.js"

export const Tick = Schema.Struct({ ts: Schema.Int })
export const Shutdown = Schema.Struct({
  reason: Schema.NonEmptyString,
  /** Milliseconds until the gateway should be back. */
  restartExpectedMs: optional(Schema.Int)
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
  tick: {
    scope: null,
    summary: "The connection is alive. A client that misses two reconnects.",
    payload: Tick
  },
  shutdown: { scope: null, summary: "The gateway stops; the close code is 1012.", payload: Shutdown }
} as const satisfies Record<string, EventContract>

export type EventName = keyof typeof events
export const names: ReadonlyArray<string> = Object.keys(events)

/** What a client may announce in `connect.caps` and this server acts on. */
export const capabilities = ["delta-only"] as const
