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

/** Too many runs wait already, in this session (`lane`) or in all (`gateway`). */
export class QueueFull extends Schema.TaggedError<QueueFull>()("QueueFull", {
  scope: Schema.Literal("lane", "gateway"),
  limit: Schema.Number,
  retryAfterMs: Schema.Number
}) {}

/** The gateway is stopping and accepts no new runs. */
export class ShuttingDown extends Schema.TaggedError<ShuttingDown>()("ShuttingDown", {
  retryAfterMs: Schema.Number
}) {}
