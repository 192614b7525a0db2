/** What can go wrong with sessions and their store. Errors carry ids and codes; the words are the protocol's. */
import { Schema } from "effect"

/** The store could not read or write. Nothing was half-written; the operation may be tried again. */
export class SessionStoreError extends Schema.TaggedError<SessionStoreError>()("SessionStoreError", {
  operation: Schema.Literal("read", "write"),
  /** What was read or written: a file's name without its directory. */
  subject: Schema.String,
  /** The system's code (`ENOSPC`, `EACCES`, …) or a short reason. */
  reason: Schema.String
}) {}

/** The file of an image that a message refers to is not there, or holds something else than was stored. */
export class ImageUnavailable extends Schema.TaggedError<ImageUnavailable>()("ImageUnavailable", {
  sha256: Schema.String,
  reason: Schema.Literal("missing", "damaged")
}) {}

/** The session's entry says `sendPolicy: "deny"`. */
export class SendDenied extends Schema.TaggedError<SendDenied>()("SendDenied", {
  sessionKey: Schema.String
}) {}

/** The session that is under this key is not the one that was meant (any more). */
export class SessionChanged extends Schema.TaggedError<SessionChanged>()("SessionChanged", {
  sessionKey: Schema.String
}) {}

/** Another gateway uses the state directory. */
export class StateDirLocked extends Schema.TaggedError<StateDirLocked>()("StateDirLocked", {
  directory: Schema.String,
  pid: Schema.Int,
  host: Schema.String,
  /** When it took the directory, ISO 8601. */
  since: Schema.String
}) {}
