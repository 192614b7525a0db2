/** Why a connection may not come in. */
import { Schema } from "effect"

/** The credentials are missing or wrong. */
export class Unauthorized extends Schema.TaggedError<Unauthorized>()("Unauthorized", {
  reason: Schema.Literal("token missing", "token mismatch", "password mismatch")
}) {}

/** Too many attempts have failed, of this address or for this principal: right or wrong, none is looked at for a while. */
export class LoginLimited extends Schema.TaggedError<LoginLimited>()("LoginLimited", {
  retryAfterMs: Schema.Number
}) {}

/** The device that the client says it is, is not proved. */
export class DeviceRefused extends Schema.TaggedError<DeviceRefused>()("DeviceRefused", {
  reason: Schema.Literal(
    "device identity mismatch",
    "device public key invalid",
    "device signature invalid",
    "device signature expired",
    "device nonce required",
    "device nonce mismatch"
  )
}) {}

/** The principal has as many connections as it may. */
export class TooManyConnections extends Schema.TaggedError<TooManyConnections>()("TooManyConnections", {
  limit: Schema.Number,
  retryAfterMs: Schema.Number
}) {}
