/** `permission.*`: what agents ask, and how clients answer. All of it is ours. */
import { Schema } from "effect"
import { Count, optional, PositionField } from "./Field.js"

export const PermissionOption = Schema.Struct({
  id: Schema.String,
  /** For people. */
  name: Schema.String,
  kind: Schema.Literal("allow_once", "allow_always", "reject_once", "reject_always")
})

const questionFields = {
  id: Schema.NonEmptyString,
  runId: Schema.NonEmptyString,
  /** As the run's sender wrote it. */
  sessionKey: Schema.NonEmptyString,
  agentId: Schema.NonEmptyString,
  /** What the agent wants to do, for people. */
  title: Schema.String,
  /** The tool call of the event `agent` that it is about. */
  toolCallId: optional(Schema.String),
  args: optional(Schema.Unknown),
  options: Schema.Array(PermissionOption),
  ts: Count,
  /** Milliseconds since the Unix epoch; unanswered until then means no. */
  expiresAtMs: Count
}

/** A question that waits for an answer. */
export const PermissionQuestion = Schema.Struct(questionFields)

/** Payload of `permission.requested`. */
export const PermissionRequested = Schema.Struct({
  ...questionFields,
  /** With the cap `resume`: this event's position. */
  pos: PositionField
})

/** Payload of `permission.resolved`: nobody needs to answer any more. */
export const PermissionResolved = Schema.Struct({
  id: Schema.NonEmptyString,
  runId: Schema.NonEmptyString,
  sessionKey: Schema.NonEmptyString,
  agentId: Schema.NonEmptyString,
  ts: Count,
  /** `expired`: nobody answered in time. `withdrawn`: the run has ended. */
  outcome: Schema.Literal("answered", "expired", "withdrawn"),
  optionId: optional(Schema.String),
  optionKind: optional(PermissionOption.fields.kind),
  /** With the cap `resume`: this event's position. */
  pos: PositionField
})

export const ResolveParams = Schema.Struct({
  /** The question's. */
  id: Schema.NonEmptyString,
  /** One of the question's options. */
  optionId: Schema.NonEmptyString
})
export const ResolveResult = Schema.Struct({
  ok: Schema.Literal(true),
  id: Schema.String,
  optionId: Schema.String
})

export const ListParams = Schema.Struct({
  /** Absent: those of all sessions. */
  sessionKey: optional(Schema.NonEmptyString)
})
export const ListResult = Schema.Struct({ permissions: Schema.Array(PermissionQuestion) })
