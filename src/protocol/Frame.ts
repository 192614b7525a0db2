/**
 * Frames: one JSON object each, in a text message. Clients validate them with no extra keys, so what is ours goes into
 * payloads, parameters and `details`, never into a frame.
 */
import { Schema } from "effect"
import { Count, optional } from "./Field.js"

/** The codes that clients know. v3 clients know all but `FORBIDDEN`. */
export const ErrorCode = Schema.Literal(
  "INVALID_REQUEST",
  "UNAVAILABLE",
  "AGENT_TIMEOUT",
  "NOT_LINKED",
  "NOT_PAIRED",
  "FORBIDDEN"
)
export type ErrorCode = typeof ErrorCode.Type

/** The error of a response. Finer distinctions than `code` are in `details.code`. */
export const WireError = Schema.Struct({
  code: ErrorCode,
  message: Schema.NonEmptyString,
  details: optional(Schema.Unknown),
  /** May the same request be tried again? */
  retryable: optional(Schema.Boolean),
  /** Milliseconds to wait before that. */
  retryAfterMs: optional(Count)
}).annotations({ identifier: "WireError" })
export interface WireError extends Schema.Schema.Type<typeof WireError> {}

/** Client to server: a call. `id` is the client's own and comes back in the response. */
export const RequestFrame = Schema.Struct({
  type: Schema.Literal("req"),
  id: Schema.NonEmptyString,
  method: Schema.NonEmptyString,
  params: optional(Schema.Unknown)
}).annotations({ identifier: "RequestFrame" })
export interface RequestFrame extends Schema.Schema.Type<typeof RequestFrame> {}

/** Server to client: the answer to the request with this `id`. */
export const ResponseFrame = Schema.Struct({
  type: Schema.Literal("res"),
  id: Schema.NonEmptyString,
  ok: Schema.Boolean,
  payload: optional(Schema.Unknown),
  error: optional(WireError)
}).annotations({ identifier: "ResponseFrame" })
export interface ResponseFrame extends Schema.Schema.Type<typeof ResponseFrame> {}

/** Server to client: something happened. `seq` is contiguous on each connection, starting at 1 after `hello-ok`. */
export const EventFrame = Schema.Struct({
  type: Schema.Literal("event"),
  event: Schema.NonEmptyString,
  payload: optional(Schema.Unknown),
  seq: optional(Count),
  stateVersion: optional(Schema.Struct({ presence: Count, health: Count }))
}).annotations({ identifier: "EventFrame" })
export interface EventFrame extends Schema.Schema.Type<typeof EventFrame> {}

/** Everything the server sends. */
export const ServerFrame = Schema.Union(ResponseFrame, EventFrame)
export type ServerFrame = typeof ServerFrame.Type

/** What a request is answered with. A failed run's repeated key has both a payload and an error. */
export type Reply =
  | { readonly ok: true; readonly payload: unknown }
  | { readonly ok: false; readonly error: WireError; readonly payload?: unknown }

/** A response's text. */
export const encodeResponse = (id: string, reply: Reply): string =>
  JSON.stringify({ type: "res", id, ...reply } satisfies ResponseFrame)

/** An event's text from an already encoded payload, so that a broadcast encodes its payload once. */
export const encodeEvent = (event: string, payload: string, seq?: number): string =>
  seq === undefined
    ? `{"type":"event","event":"${event}","payload":${payload}}`
    : `{"type":"event","event":"${event}","payload":${payload},"seq":${seq}}`
