/** What a client has to expect. */
import { Schema } from "effect"
import { WireError } from "../protocol/Frame.js"

/** There was no connection. `reason` is the system's code (`ECONNREFUSED`) or a short text. */
export class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", {
  url: Schema.String,
  reason: Schema.String
}) {}

/** The gateway answered a request with an error; a refused handshake is the request `connect`. */
export class RequestFailed extends Schema.TaggedError<RequestFailed>()("RequestFailed", {
  method: Schema.String,
  error: WireError
}) {
  override get message(): string {
    return this.error.message
  }

  /** The finer distinction than `error.code`, where the gateway makes one. */
  get detail(): string | undefined {
    const { details } = this.error
    return typeof details === "object" &&
      details !== null &&
      "code" in details &&
      typeof details.code === "string"
      ? details.code
      : undefined
  }
}

/** The connection ended. What was under way at the gateway may go on there. */
export class ConnectionLost extends Schema.TaggedError<ConnectionLost>()("ConnectionLost", {
  /** The WebSocket's close code; 1006 when there was no goodbye. */
  code: Schema.Int,
  reason: Schema.String
}) {}

/** The other side does not speak the protocol. */
export class ProtocolViolation extends Schema.TaggedError<ProtocolViolation>()("ProtocolViolation", {
  /** What could not be read: `frame`, or the name of a method or an event. */
  subject: Schema.String,
  expected: Schema.String
}) {}

/** Every request may end with one of these. */
export type CallError = RequestFailed | ConnectionLost | ProtocolViolation
