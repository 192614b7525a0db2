/** What can be wrong with a send or an abort as far as runs are concerned. */
import { Schema } from "effect"

/** The idempotency key was used before, for another session or other content. */
export class IdempotencyMismatch extends Schema.TaggedError<IdempotencyMismatch>()("IdempotencyMismatch", {
  runId: Schema.String
}) {}

/** The run belongs to another session than the one named; it goes on. */
export class RunSessionMismatch extends Schema.TaggedError<RunSessionMismatch>()("RunSessionMismatch", {
  runId: Schema.String,
  sessionKey: Schema.String
}) {}

/** Too many runs wait already: in this session (`lane`), of this `principal`, or in all (`gateway`). */
export class QueueFull extends Schema.TaggedError<QueueFull>()("QueueFull", {
  scope: Schema.Literal("lane", "principal", "gateway"),
  limit: Schema.Number,
  retryAfterMs: Schema.Number
}) {}

/** Something is to be done to the session, and its runs could not be ended in time. */
export class SessionBusy extends Schema.TaggedError<SessionBusy>()("SessionBusy", {
  sessionKey: Schema.String,
  retryAfterMs: Schema.Number
}) {}

/** The gateway is stopping and accepts no new runs. */
export class ShuttingDown extends Schema.TaggedError<ShuttingDown>()("ShuttingDown", {
  retryAfterMs: Schema.Number
}) {}

/** There is no such agent; `known` are those there are. */
export class UnknownAgent extends Schema.TaggedError<UnknownAgent>()("UnknownAgent", {
  agentId: Schema.String,
  known: Schema.Array(Schema.String)
}) {}

/** The agent can't see images, and some were sent. */
export class ImagesNotSupported extends Schema.TaggedError<ImagesNotSupported>()("ImagesNotSupported", {
  agentId: Schema.String
}) {}

/** No agent waits for an answer to this question (any more). */
export class UnknownPermission extends Schema.TaggedError<UnknownPermission>()("UnknownPermission", {
  id: Schema.String
}) {}

/** The question has no such answer; `options` are those it has. */
export class UnknownPermissionOption extends Schema.TaggedError<UnknownPermissionOption>()(
  "UnknownPermissionOption",
  { id: Schema.String, options: Schema.Array(Schema.String) }
) {}
