/**
 * ModelError: what can go wrong between us and a model's API, as `AgentError`s. Each says what an operator can do. None holds
 * a secret: what the provider said is cut short and scrubbed, and HttpClient's own errors, which hold the request with its
 * headers, are never passed on as a cause.
 */
import type { Headers, HttpClientError } from "@effect/platform"
import { Clock, Effect, Option, Predicate, Redacted, Schema } from "effect"
import { AgentError } from "../AgentRunner.js"
import * as Wire from "./Wire.js"

/** Whom we ask, and with what: what messages name. */
export interface Site {
  /** Without user, password and query. */
  readonly baseUrl: string
  readonly model: string
  readonly apiKey: Option.Option<Redacted.Redacted>
  readonly keyName: string | undefined
}

/** An answer that isn't one: HTTP status, headers and as much of the body as was read. */
export interface Refusal {
  readonly status: number
  readonly headers: Headers.Headers
  readonly body: string
}

/** A status other than 200. */
export const fromStatus = (site: Site, refusal: Refusal): Effect.Effect<AgentError> =>
  Effect.map(Clock.currentTimeMillis, (now) => {
    const retryAfterMs = retryAfter(refusal.headers, now)
    const error = ofStatus(site, refusal.status, errorOf(refusal.body), refusal.headers["location"])
    return retryAfterMs === undefined || error.retryable !== true
      ? error
      : new AgentError({ ...fieldsOf(error), retryAfterMs })
  })

/** An error object in the place of an answer: in a stream, or in a body with status 200. */
export const fromObject = (site: Site, error: unknown): AgentError => {
  const said = saidIn(error)
  const status = statusOf(said)
  if (status !== undefined) return ofStatus(site, status, said, undefined)
  return make(
    "PROVIDER_ERROR",
    `the model's answer broke off with an error of its provider${quoted(site, said)}: send the message again`,
    true
  )
}

/** The request did not get through. */
export const unreachable = (site: Site, error: HttpClientError.HttpClientError): AgentError => {
  if (error.reason === "InvalidUrl") return badBaseUrl(site.baseUrl)
  const code = systemCode(error.cause)
  const advice = adviceFor(code ?? "")
  return make(
    "UNREACHABLE",
    `${site.baseUrl} can't be reached${code === undefined ? "" : ` (${code})`}: ${advice}`,
    true
  )
}

export const badBaseUrl = (baseUrl: string): AgentError =>
  make(
    "BAD_BASE_URL",
    // It may hold a password.
    `${JSON.stringify(baseUrl.replace(/^.*@/s, "…@").replace(/[?#].*$/s, ""))} can't be a base URL: give one that begins with http:// or https://`,
    false
  )

/** The key can't be sent as a header. */
export const badKey = (site: Site): AgentError =>
  make(
    "UNAUTHORIZED",
    `the key${inKeyName(site)} has characters that no key has, a line break perhaps: set it again`,
    false
  )

/** The connection ended before the answer was whole. */
export const streamCut = (site: Site): AgentError =>
  make(
    "STREAM_CUT",
    `the connection to ${site.baseUrl} ended before the answer was whole: send the message again, and look into that server's log if it happens often`,
    true
  )

export const malformed = (site: Site): AgentError =>
  make(
    "MALFORMED_STREAM",
    `${site.baseUrl} sent something in its answer that can't be read: check that the base URL leads to an API of this kind, with no proxy that changes what passes`,
    false
  )

/** One event was longer than anybody may send. */
export const tooLong = (site: Site, limit: number): AgentError =>
  make(
    "MALFORMED_STREAM",
    `${site.baseUrl} sent one event of more than ${limit} characters: check that the base URL leads to an API of this kind`,
    false
  )

/** Status 200 with something else than a stream of events. */
export const notAnEventStream = (site: Site, contentType: string, body: string): AgentError => {
  const error = errorOf(body)
  if (error.message !== undefined) return fromObject(site, { ...error })
  return make(
    "NOT_AN_EVENT_STREAM",
    `${site.baseUrl} answered with ${cleaned(site, contentType, 60)} and not with a stream of events: check the base URL, and any proxy on the way`,
    false
  )
}

/** It ended well, and there is nothing in it. */
export const emptyAnswer = (site: Site): AgentError =>
  make(
    "EMPTY_ANSWER",
    `${site.baseUrl} ended its answer without having said anything: check the base URL and the model ${site.model}`,
    true
  )

export const contentFiltered = (site: Site): AgentError =>
  make(
    "CONTENT_FILTERED",
    `the provider of ${site.model} has withheld the answer by its rules on content: say it in another way`,
    false
  )

export const unexpectedToolCall = (site: Site): AgentError =>
  make(
    "UNEXPECTED_TOOL_CALL",
    `${site.model} called a tool though it was offered none: say in the system prompt that it has no tools, or take another model`,
    false
  )

/** The provider says itself that there would be more. */
export const incomplete = (site: Site, stopReason: string): AgentError =>
  make(
    "INCOMPLETE_ANSWER",
    `${site.model} paused in the middle of its answer (${cleaned(site, stopReason, 60)}): send the message again`,
    false
  )

/** The server has models, and this one is not among them. */
export const unknownModel = (site: Site, known: ReadonlyArray<string>): AgentError =>
  make(
    "MODEL_NOT_FOUND",
    `${site.baseUrl} has no model ${site.model}${known.length === 0 ? "" : `; it has ${known.map((id) => cleaned(site, id, 80)).join(", ")}`}`,
    false
  )

const make = (code: string, message: string, retryable: boolean): AgentError =>
  new AgentError({ code, message, retryable })

const fieldsOf = ({ code, message, retryable }: AgentError) => ({
  message,
  ...(code === undefined ? {} : { code }),
  ...(retryable === undefined ? {} : { retryable })
})

const ofStatus = (site: Site, status: number, said: Said, location: string | undefined): AgentError => {
  const { baseUrl, model } = site
  const http = `(HTTP ${status})`
  const why = quoted(site, said)
  if (status === 401) {
    // What the provider says here likes to repeat the key.
    const advice = Option.isNone(site.apiKey)
      ? `${baseUrl} wants a key ${http}: set ${site.keyName ?? "one"}`
      : `the key${inKeyName(site)} is refused by ${baseUrl} ${http}: check it`
    return make("UNAUTHORIZED", advice, false)
  }
  if (status === 403)
    return make(
      "UNAUTHORIZED",
      `the key${inKeyName(site)} may not use ${model} at ${baseUrl} ${http}${why}: check it and what its account may do`,
      false
    )
  if (status === 404)
    return make(
      "MODEL_NOT_FOUND",
      `${baseUrl} has no model ${model}, or no API of this kind ${http}${why}: check the model and the base URL`,
      false
    )
  if (status === 402 || (status === 429 && said.kind.includes("quota")))
    return make(
      "QUOTA_EXCEEDED",
      `the account at ${baseUrl} has nothing left to spend ${http}${why}: check its plan and billing`,
      false
    )
  if (status === 429)
    return make(
      "RATE_LIMITED",
      `${baseUrl} takes no more requests for now ${http}${why}: wait, or raise the limits of the account`,
      true
    )
  if (status >= 500 || status === 408 || status === 409)
    return make(
      "PROVIDER_ERROR",
      `${baseUrl} failed or is overloaded ${http}${why}: try again later, or look at its status page or log`,
      true
    )
  if (status >= 300 && status < 400) {
    const to = location === undefined ? "" : ` to ${cleaned(site, location.replace(/[?#].*/, ""), 120)}`
    return make(
      "REDIRECTED",
      `${baseUrl} redirects${to} ${http}, and redirects aren't followed, since the key would go along: set the base URL to where the API is`,
      false
    )
  }
  if (status < 300)
    return make(
      "NOT_AN_EVENT_STREAM",
      `${baseUrl} answered without an answer ${http}: check the base URL`,
      false
    )
  return make(
    "BAD_REQUEST",
    `${baseUrl} refused the request to ${model} ${http}${why}: check the agent's settings`,
    false
  )
}

const inKeyName = ({ keyName }: Site): string => (keyName === undefined ? "" : ` in ${keyName}`)

/** What a provider says of an error. `kind`: its type and code, in small letters. */
interface Said {
  readonly kind: string
  readonly message: string | undefined
  /** Where it gives a status in the place of a code, as OpenRouter does. */
  readonly status: number | undefined
}

const Details = Schema.Struct({
  message: Schema.optional(Schema.Unknown),
  type: Schema.optional(Schema.Unknown),
  code: Schema.optional(Schema.Unknown)
})
const isDetails = Schema.is(Details)

const saidIn = (error: unknown): Said => {
  if (Predicate.isString(error)) return { kind: "", message: error, status: undefined }
  if (!isDetails(error)) return { kind: "", message: undefined, status: undefined }
  const words = [error.type, error.code].filter(Predicate.isString)
  return {
    kind: words.join(" ").toLowerCase(),
    message: Predicate.isString(error.message) ? error.message : undefined,
    status: Predicate.isNumber(error.code) ? error.code : undefined
  }
}

/** In the body of a refusal: `{error: {message}}`, `{error: "…"}` (Ollama), `{message}`, `{detail}` (vLLM), or plain text. */
const errorOf = (body: string): Said => {
  const json = Wire.parse(body)
  // A page is no message.
  if (json === undefined) return saidIn(/^\s*</.test(body) ? undefined : body)
  if (!Predicate.isRecord(json)) return saidIn(undefined)
  const { detail, error } = json
  return saidIn(error ?? (Predicate.isString(detail) ? detail : json))
}

/** The HTTP status that an error without one stands for. */
const statusOf = ({ kind, status }: Said): number | undefined => {
  if (status !== undefined && status >= 400 && status < 600) return status
  const known = statusByKind.find(([words]) => words.test(kind))
  return known?.[1]
}

const statusByKind: ReadonlyArray<readonly [RegExp, number]> = [
  [/quota|rate_limit/, 429],
  [/billing/, 402],
  [/authentication|invalid_api_key/, 401],
  [/permission/, 403],
  [/not_found/, 404],
  [/invalid_request|context_length|too_large/, 400],
  [/overloaded/, 529],
  [/timeout/, 504],
  [/server_error|api_error/, 500]
]

const quoted = (site: Site, { message }: Said): string => {
  const words = message === undefined ? "" : cleaned(site, message, 300)
  return words === "" ? "" : `: “${words}”`
}

/** What others said, fit to be shown: in one line, not longer than this, and without anything that looks like a key. */
const cleaned = (site: Site, said: string, limit: number): string => {
  const key = Option.match(site.apiKey, { onNone: () => "", onSome: Redacted.value })
  const scrubbed = (key === "" ? said : said.replaceAll(key, "…"))
    .replaceAll(/\b(?:sk|pk|rk|key|bearer)[-_ ][\w.*-]{8,}/gi, "…")
    // oxlint-disable-next-line no-control-regex -- control characters are what it takes out
    .replaceAll(/[\s\u0000-\u001f\u007f-\u009f]+/g, " ")
    .trim()
  return scrubbed.length > limit ? `${scrubbed.slice(0, limit)}…` : scrubbed
}

/** Milliseconds: of `retry-after-ms`, or of `retry-after`, which has seconds or a date. */
const retryAfter = (headers: Headers.Headers, now: number): number | undefined => {
  const ms = Number.parseFloat(headers["retry-after-ms"] ?? "")
  if (Number.isFinite(ms)) return Math.max(0, Math.ceil(ms))
  const value = (headers["retry-after"] ?? "").trim()
  if (/^\d+(\.\d+)?$/.test(value)) return Math.ceil(Number(value) * 1000)
  const at = Date.parse(value)
  return Number.isNaN(at) ? undefined : Math.max(0, at - now)
}

/** The system's word for what happened, from the error that a socket gave. */
const systemCode = (cause: unknown): string | undefined =>
  Predicate.hasProperty(cause, "code") && Predicate.isString(cause.code) ? cause.code : undefined

const adviceFor = (code: string): string => {
  if (code === "ECONNREFUSED")
    return "nothing listens there; is the server running, and is the base URL right?"
  if (code === "ENOTFOUND" || code === "EAI_AGAIN")
    return "no such host is known; check the base URL and this machine's name resolution"
  if (/CERT|SELF_SIGNED|TLS|SSL|EPROTO|UNABLE_TO/.test(code))
    return "no trusted TLS connection came about; check http or https in the base URL, and the server's certificate"
  return "check the base URL, the network and the server"
}
