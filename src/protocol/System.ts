/** `runs.list` and `system-presence`: what operators look at. */
import { Schema } from "effect"
import { PresenceEntry } from "./Connect.js"
import { Count, optional } from "./Field.js"

export const RunsParams = Schema.Struct({
  /** Only the runs of this session; their rows then have `text`. */
  sessionKey: optional(
    Schema.NonEmptyString.annotations({ description: "a session key, at most 512 characters" })
  )
})

export const RunRow = Schema.Struct({
  /** The idempotency key of the send that began it. */
  runId: Schema.NonEmptyString,
  /** In its canonical form. */
  sessionKey: Schema.NonEmptyString,
  agentId: Schema.NonEmptyString,
  /**
   * `accepting`: the message is being saved. `queued`: it waits for its turn. `running`: the agent works. `handed-off`: the agent
   * has returned, and the end comes from outside. `settling`: the end is being saved.
   */
  phase: Schema.Literal("accepting", "queued", "running", "handed-off", "settling"),
  /** Milliseconds since the Unix epoch. */
  acceptedAt: Schema.Number,
  /** The name of who sent it. */
  principal: Schema.String,
  /** Where `sessionKey` was given: the answer so far, for a client that comes in the middle of it. */
  text: optional(Schema.String)
})
export interface RunRow extends Schema.Schema.Type<typeof RunRow> {}

export const RunsResult = Schema.Struct({
  /** Milliseconds since the Unix epoch. */
  ts: Schema.Number,
  /** In the order in which they were accepted. */
  runs: Schema.Array(RunRow),
  /** How many the gateway has work at once. */
  maxConcurrentRuns: Count
})

/** A connection that has logged in. */
export const PresenceRow = Schema.Struct({
  ...PresenceEntry.fields,
  /** As in its `hello-ok`. */
  connId: Schema.NonEmptyString,
  /** The name of its principal. */
  principal: Schema.NonEmptyString,
  /** What the client says of itself, each text cut to 64 characters. */
  client: Schema.Struct({
    id: Schema.NonEmptyString,
    version: Schema.NonEmptyString,
    platform: Schema.NonEmptyString,
    mode: Schema.NonEmptyString,
    displayName: optional(Schema.String)
  }),
  /** When it logged in, in milliseconds since the Unix epoch. */
  connectedAt: Schema.Number,
  /** The IP address that it comes from. */
  address: optional(Schema.NonEmptyString)
})
export interface PresenceRow extends Schema.Schema.Type<typeof PresenceRow> {}

/** In the order in which they came. */
export const PresenceResult = Schema.Array(PresenceRow)
