/** Why a connection may not come in. */
import { Schema } from "effect"

/** The credentials are missing or wrong. */
export class Unauthorized extends Schema.TaggedError<Unauthorized>()("Unauthorized", {
  reason: Schema.Literal("token missing", "token mismatch")
}) {}
