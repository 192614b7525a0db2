/** What can be wrong with a request before any service is asked. */
import { Schema } from "effect"

/** Parameters that don't decode. `path` is where, from the parameters' root (`attachments[0].content`). */
export class InvalidParams extends Schema.TaggedError<InvalidParams>()("InvalidParams", {
  method: Schema.String,
  path: Schema.String,
  expected: Schema.String,
  /** The JSON type that was found instead, never its content. */
  found: Schema.String
}) {}

/** The frame is not a request that could be answered by its id. */
export class InvalidFrame extends Schema.TaggedError<InvalidFrame>()("InvalidFrame", {
  reason: Schema.String
}) {}

/** There is no such method. */
export class UnknownMethod extends Schema.TaggedError<UnknownMethod>()("UnknownMethod", {
  method: Schema.String
}) {}

/** A second `connect` on one connection. */
export class AlreadyConnected extends Schema.TaggedError<AlreadyConnected>()("AlreadyConnected", {}) {}

/** The principal lacks the scope that the method asks for. */
export class MissingScope extends Schema.TaggedError<MissingScope>()("MissingScope", {
  scope: Schema.String
}) {}

/** Neither text nor attachment. */
export class EmptyMessage extends Schema.TaggedError<EmptyMessage>()("EmptyMessage", {}) {}

/** An attachment that can't be taken. `name` is its file name or its place (`attachments[0]`). */
export class InvalidAttachment extends Schema.TaggedError<InvalidAttachment>()("InvalidAttachment", {
  name: Schema.String,
  reason: Schema.String
}) {}

/** No message of the session has that image. */
export class UnknownImage extends Schema.TaggedError<UnknownImage>()("UnknownImage", {
  sha256: Schema.String
}) {}

/** A session that the principal may not use, whether it exists or not. */
export class SessionForbidden extends Schema.TaggedError<SessionForbidden>()("SessionForbidden", {
  /** The parameter that names it. Default `sessionKey`. */
  path: Schema.optionalWith(Schema.String, { exact: true })
}) {}

/** The main session can't be deleted. */
export class MainSession extends Schema.TaggedError<MainSession>()("MainSession", {
  sessionKey: Schema.String
}) {}

/** No session that the principal sees is what `path` says. */
export class UnknownSession extends Schema.TaggedError<UnknownSession>()("UnknownSession", {
  /** The parameter that names it: `key`, `sessionId` or `label`. */
  path: Schema.String
}) {}

/** More than one session has that label, or that id. */
export class AmbiguousSession extends Schema.TaggedError<AmbiguousSession>()("AmbiguousSession", {
  path: Schema.String,
  /** Keys of some of them, which the principal sees. */
  keys: Schema.Array(Schema.String)
}) {}

/** The principal has asked for more in a second than it may. */
export class RateLimited extends Schema.TaggedError<RateLimited>()("RateLimited", {
  what: Schema.Literal("requests", "bytes"),
  /** Per second. */
  limit: Schema.Number,
  retryAfterMs: Schema.Number
}) {}
