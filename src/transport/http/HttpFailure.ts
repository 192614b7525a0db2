/** HttpFailure: a request that can't be answered as it wanted, in OpenAI's shape, which is that of all errors under `/v1`. */
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { Schema } from "effect"
import type { WireError } from "../../protocol/Frame.js"
import { securityHeaders } from "../SecurityHeaders.js"

export class HttpFailure extends Schema.TaggedError<HttpFailure>()("HttpFailure", {
  status: Schema.Int,
  message: Schema.String,
  /** What programs tell failures apart by. */
  code: Schema.NullOr(Schema.String),
  /** The field of the request that is wrong. */
  param: Schema.NullOr(Schema.String),
  /** Milliseconds after which it may be tried again. */
  retryAfterMs: Schema.optionalWith(Schema.Number, { exact: true })
}) {}

export const invalid = (message: string, param: string | null, status = 400): HttpFailure =>
  new HttpFailure({ status, message, param, code: null })

const types: Readonly<Record<number, string | undefined>> = {
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  429: "rate_limit_error"
}

export const bodyOf = ({ code, message, param, status }: HttpFailure) => ({
  error: {
    message,
    type: types[status] ?? (status < 500 ? "invalid_request_error" : "server_error"),
    param,
    code
  }
})

export const respond = (failure: HttpFailure): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.unsafeJson(bodyOf(failure), {
    status: failure.status,
    headers: {
      ...securityHeaders,
      ...(failure.status === 401 ? { "WWW-Authenticate": 'Bearer realm="colloquy"' } : {}),
      ...(failure.retryAfterMs === undefined
        ? {}
        : {
            "Retry-After": String(Math.max(1, Math.ceil(failure.retryAfterMs / 1000))),
            "Retry-After-Ms": String(failure.retryAfterMs)
          })
    }
  })

const statuses: Readonly<Record<string, number | undefined>> = {
  AUTH_TOKEN_MISSING: 401,
  AUTH_TOKEN_MISMATCH: 401,
  AUTH_PASSWORD_MISMATCH: 401,
  FORBIDDEN: 403,
  SESSION_FORBIDDEN: 403,
  SEND_DENIED: 403,
  UNKNOWN_AGENT: 404,
  IDEMPOTENCY_MISMATCH: 409,
  RATE_LIMITED: 429,
  AUTH_RATE_LIMITED: 429
}

/** What the protocol says of an error, for HTTP. */
export const ofWire = (error: WireError): HttpFailure => {
  const code = codeOf(error.details)
  const known = code === undefined ? undefined : statuses[code]
  const status = known ?? (error.code === "UNAVAILABLE" ? 503 : error.code === "FORBIDDEN" ? 403 : 400)
  return new HttpFailure({
    status,
    message: error.message,
    code: code === undefined ? null : code.toLowerCase(),
    param: pathOf(error.details),
    ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs })
  })
}

const codeOf = (details: unknown): string | undefined =>
  typeof details === "object" && details !== null && "code" in details && typeof details.code === "string"
    ? details.code
    : undefined

const pathOf = (details: unknown): string | null =>
  typeof details === "object" && details !== null && "path" in details && typeof details.path === "string"
    ? details.path
    : null
