/**
 * The one map from typed errors to what the wire says. It is exhaustive over the tags: an error that is not in it does
 * not compile.
 */
import type { DeviceRefused, LoginLimited, TooManyConnections, Unauthorized } from "../domain/AuthError.js"
import type {
  AlreadyConnected,
  AmbiguousSession,
  EmptyMessage,
  InvalidAttachment,
  InvalidFrame,
  InvalidParams,
  MainSession,
  MissingScope,
  RateLimited,
  SessionForbidden,
  UnknownImage,
  UnknownMethod,
  UnknownSession
} from "../domain/RequestError.js"
import type {
  IdempotencyMismatch,
  ImagesNotSupported,
  QueueFull,
  RunSessionMismatch,
  SessionBusy,
  ShuttingDown,
  UnknownAgent,
  UnknownPermission,
  UnknownPermissionOption
} from "../domain/RunError.js"
import type { ErrorDetails } from "../domain/RunState.js"
import type {
  ImageUnavailable,
  SendDenied,
  SessionChanged,
  SessionStoreError
} from "../domain/SessionError.js"
import type { InvalidSessionKey } from "../domain/SessionKey.js"
import type { WireError } from "./Frame.js"
import type { ProtocolVersion } from "./Version.js"

/** Everything that a request can be refused with. */
export type GatewayError =
  | AlreadyConnected
  | AmbiguousSession
  | DeviceRefused
  | EmptyMessage
  | IdempotencyMismatch
  | ImageUnavailable
  | ImagesNotSupported
  | InvalidAttachment
  | InvalidFrame
  | InvalidParams
  | InvalidSessionKey
  | LoginLimited
  | MainSession
  | MissingScope
  | QueueFull
  | RateLimited
  | RunSessionMismatch
  | SendDenied
  | SessionBusy
  | SessionChanged
  | SessionStoreError
  | SessionForbidden
  | ShuttingDown
  | TooManyConnections
  | Unauthorized
  | UnknownAgent
  | UnknownImage
  | UnknownMethod
  | UnknownPermission
  | UnknownPermissionOption
  | UnknownSession

type ErrorMap = {
  readonly [Tag in GatewayError["_tag"]]: (
    error: Extract<GatewayError, { readonly _tag: Tag }>,
    version: ProtocolVersion
  ) => WireError
}

const deviceCodes = {
  "device identity mismatch": "DEVICE_AUTH_DEVICE_ID_MISMATCH",
  "device public key invalid": "DEVICE_AUTH_PUBLIC_KEY_INVALID",
  "device signature invalid": "DEVICE_AUTH_SIGNATURE_INVALID",
  "device signature expired": "DEVICE_AUTH_SIGNATURE_EXPIRED",
  "device nonce required": "DEVICE_AUTH_NONCE_REQUIRED",
  "device nonce mismatch": "DEVICE_AUTH_NONCE_MISMATCH"
} as const satisfies Record<DeviceRefused["reason"], string>

const authCodes = {
  "token missing": "AUTH_TOKEN_MISSING",
  "token mismatch": "AUTH_TOKEN_MISMATCH",
  "password mismatch": "AUTH_PASSWORD_MISMATCH"
} as const satisfies Record<Unauthorized["reason"], string>

const queues = {
  lane: "in this session",
  principal: "of this principal",
  gateway: "in the gateway"
} as const satisfies Record<QueueFull["scope"], string>

const invalid = (message: string, code: string, details: Record<string, unknown> = {}): WireError => ({
  code: "INVALID_REQUEST",
  message,
  details: { code, ...details }
})

/** How long to wait, in milliseconds, before a write that failed is tried again. */
const storeRetryMs = 1000

export const errorMap: ErrorMap = {
  AlreadyConnected: () => invalid("connect is only valid as the first request", "ALREADY_CONNECTED"),
  AmbiguousSession: (error) =>
    invalid(`${error.path}: more than one session has it (${error.keys.join(", ")})`, "AMBIGUOUS_SESSION", {
      path: error.path,
      keys: error.keys
    }),
  DeviceRefused: (error) =>
    invalid(`unauthorized: ${error.reason}`, deviceCodes[error.reason], { reason: error.reason }),
  EmptyMessage: () => invalid("message or attachment required", "EMPTY_MESSAGE"),
  IdempotencyMismatch: (error) =>
    invalid("idempotencyKey was used for another message or session", "IDEMPOTENCY_MISMATCH", {
      runId: error.runId
    }),
  // Asking again is of no use: somebody has to put the file back.
  ImageUnavailable: (error) =>
    invalid(`the image's file is ${error.reason}`, "IMAGE_UNAVAILABLE", {
      sha256: error.sha256,
      reason: error.reason
    }),
  ImagesNotSupported: (error) =>
    invalid(
      `attachments: agent ${error.agentId} can't see images; send text only, or to another agent`,
      "IMAGES_NOT_SUPPORTED",
      { agentId: error.agentId }
    ),
  InvalidAttachment: (error) =>
    invalid(`attachment ${error.name}: ${error.reason}`, "INVALID_ATTACHMENT", { attachment: error.name }),
  InvalidFrame: (error) => invalid(`invalid request frame: ${error.reason}`, "INVALID_FRAME"),
  InvalidParams: (error) =>
    invalid(
      `invalid ${error.method} params: ${error.path === "" ? "params" : error.path}: expected ${error.expected}, found ${error.found}`,
      "INVALID_PARAMS",
      { path: error.path, expected: error.expected }
    ),
  InvalidSessionKey: (error) =>
    invalid(`invalid ${error.path ?? "sessionKey"}: expected ${error.expected}`, "INVALID_SESSION_KEY", {
      path: error.path ?? "sessionKey",
      expected: error.expected
    }),
  LoginLimited: (error) => ({
    ...invalid("unauthorized: too many failed authentication attempts (retry later)", "AUTH_RATE_LIMITED", {
      reason: "rate_limited"
    }),
    retryable: true,
    retryAfterMs: error.retryAfterMs
  }),
  MainSession: (error) =>
    invalid(`key: the main session (${error.sessionKey}) can't be deleted`, "MAIN_SESSION", { path: "key" }),
  MissingScope: (error, version) => ({
    code: version >= 4 ? "FORBIDDEN" : "INVALID_REQUEST",
    message: `missing scope: ${error.scope}`,
    // `missingScope` is what the newest clients of the family read.
    details: { code: "FORBIDDEN", scope: error.scope, missingScope: error.scope }
  }),
  QueueFull: (error) => ({
    code: "UNAVAILABLE",
    message: `too many messages wait ${queues[error.scope]} (${error.limit})`,
    details: { code: "QUEUE_FULL", scope: error.scope, limit: error.limit },
    retryable: true,
    retryAfterMs: error.retryAfterMs
  }),
  RateLimited: (error) => ({
    code: "UNAVAILABLE",
    message: `too many ${error.what} per second (${error.limit} are allowed)`,
    details: { code: "RATE_LIMITED", what: error.what, limit: error.limit },
    retryable: true,
    retryAfterMs: error.retryAfterMs
  }),
  RunSessionMismatch: () => invalid("runId does not match sessionKey", "RUN_SESSION_MISMATCH"),
  SendDenied: () => invalid("send blocked by session policy", "SEND_DENIED"),
  SessionStoreError: (error) => ({
    code: "UNAVAILABLE",
    message: `the session store can't ${error.operation} ${error.subject}: ${error.reason}`,
    details: { code: "STORE_UNAVAILABLE", operation: error.operation, reason: error.reason },
    retryable: true,
    retryAfterMs: storeRetryMs
  }),
  SessionBusy: (error) => ({
    code: "UNAVAILABLE",
    message: "the session's runs have not ended yet",
    details: { code: "SESSION_BUSY" },
    retryable: true,
    retryAfterMs: error.retryAfterMs
  }),
  SessionChanged: () =>
    invalid("expectedSessionId: the session is another one by now", "SESSION_CHANGED", {
      path: "expectedSessionId"
    }),
  // The same whether the session exists or not.
  SessionForbidden: (error, version) => ({
    code: version >= 4 ? "FORBIDDEN" : "INVALID_REQUEST",
    message: `${error.path ?? "sessionKey"}: not a session of this principal`,
    details: { code: "SESSION_FORBIDDEN", path: error.path ?? "sessionKey" }
  }),
  ShuttingDown: (error) => ({
    code: "UNAVAILABLE",
    message: "the gateway is shutting down",
    details: { code: "SHUTTING_DOWN" },
    retryable: true,
    retryAfterMs: error.retryAfterMs
  }),
  TooManyConnections: (error) => ({
    code: "UNAVAILABLE",
    message: `too many connections of this principal (${error.limit} are allowed)`,
    details: { code: "TOO_MANY_CONNECTIONS", limit: error.limit },
    retryable: true,
    retryAfterMs: error.retryAfterMs
  }),
  // The codes that clients of the family know: by them they stop coming back with credentials that won't do.
  Unauthorized: (error) =>
    invalid(`unauthorized: ${error.reason}`, authCodes[error.reason], { reason: error.reason }),
  UnknownAgent: (error) =>
    invalid(
      `sessionKey: there is no agent ${error.agentId} (agents: ${error.known.join(", ")})`,
      "UNKNOWN_AGENT",
      { agentId: error.agentId, agents: error.known }
    ),
  UnknownImage: (error) =>
    invalid("no message of this session has that image", "UNKNOWN_IMAGE", { sha256: error.sha256 }),
  UnknownMethod: (error) => invalid(`unknown method: ${error.method}`, "UNKNOWN_METHOD"),
  UnknownPermission: (error) =>
    invalid("id: no agent waits for an answer to this (any more)", "UNKNOWN_PERMISSION", { id: error.id }),
  UnknownPermissionOption: (error) =>
    invalid(`optionId: expected one of ${error.options.join(", ")}`, "UNKNOWN_PERMISSION_OPTION", {
      id: error.id,
      options: error.options
    }),
  UnknownSession: (error) =>
    invalid(`${error.path}: there is no such session`, "UNKNOWN_SESSION", { path: error.path })
}

/** The wire's words for an error. */
export const toWire = <Tag extends GatewayError["_tag"]>(
  error: Extract<GatewayError, { readonly _tag: Tag }>,
  version: ProtocolVersion
): WireError => {
  const map: (error: Extract<GatewayError, { readonly _tag: Tag }>, version: ProtocolVersion) => WireError =
    errorMap[error._tag as Tag]
  return map(error, version)
}

/** A handler died: the request is answered, the cause goes to the log. */
export const internal: WireError = {
  code: "UNAVAILABLE",
  message: "internal error",
  details: { code: "INTERNAL" },
  retryable: true
}

/** The key's run has failed; what it failed of is the message, and `details.code` when that has a code of its own. */
export const runFailed = (runId: string, summary: string, details?: ErrorDetails): WireError => ({
  code: "UNAVAILABLE",
  message: summary,
  details: { code: "RUN_FAILED", ...details, runId }
})

/** No common version. */
export const protocolMismatch = (expectedProtocol: ProtocolVersion): WireError => ({
  code: "INVALID_REQUEST",
  message: "protocol mismatch",
  details: { code: "PROTOCOL_MISMATCH", expectedProtocol }
})

/** Anything but `connect` came first. */
export const connectFirst: WireError = invalid(
  "invalid handshake: first request must be connect",
  "CONNECT_FIRST"
)
