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
  error: WireError,
  /** What came with the error: of a failed run's repeated key, `{runId, status: "error", summary}`. */
  payload: Schema.optionalWith(Schema.Unknown, { exact: true })
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

/** The gateway does not let this client in, and would not the next time: a wrong token, another protocol. */
export class Refused extends Schema.TaggedError<Refused>()("Refused", {
  error: WireError
}) {
  override get message(): string {
    return this.error.message
  }
}

/** The client was closed. */
export class ClientClosed extends Schema.TaggedError<ClientClosed>()("ClientClosed", {}) {}

/** Every request of a link may end with one of these. */
export type CallError = RequestFailed | ConnectionLost | ProtocolViolation

/** The outbox holds as many messages as it may. */
export class OutboxFull extends Schema.TaggedError<OutboxFull>()("OutboxFull", {
  /** How many. */
  max: Schema.Int
}) {}

/** The message was not taken, and will not be as it is: the gateway says why. No run began. */
export class SendRejected extends Schema.TaggedError<SendRejected>()("SendRejected", {
  /** The idempotency key. */
  key: Schema.String,
  error: WireError
}) {
  override get message(): string {
    return this.error.message
  }
}

/** The run ended without an answer; `text` is what there was of it. */
export class RunFailed extends Schema.TaggedError<RunFailed>()("RunFailed", {
  key: Schema.String,
  text: Schema.String,
  errorMessage: Schema.String,
  details: Schema.optionalWith(Schema.Unknown, { exact: true })
}) {
  override get message(): string {
    return this.errorMessage
  }
}

/** The run was aborted; `text` is what there was of its answer. */
export class RunAborted extends Schema.TaggedError<RunAborted>()("RunAborted", {
  key: Schema.String,
  text: Schema.String,
  /** `rpc`, `stop`, `timeout`, `shutdown`; absent: it is not known any more. */
  reason: Schema.optionalWith(Schema.String, { exact: true })
}) {}

/** How a run may end that does not end well. */
export type RunError = SendRejected | RunFailed | RunAborted | Refused | ClientClosed
