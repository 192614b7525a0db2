/** Every typed error has its words on the wire, and they are what the protocol allows. */
import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck as fc, ParseResult } from "effect"
import * as AuthError from "../../src/domain/AuthError.js"
import * as RequestError from "../../src/domain/RequestError.js"
import * as RunError from "../../src/domain/RunError.js"
import {
  ImageUnavailable,
  SendDenied,
  SessionChanged,
  SessionStoreError
} from "../../src/domain/SessionError.js"
import { InvalidSessionKey } from "../../src/domain/SessionKey.js"
import * as ErrorMap from "../../src/protocol/ErrorMap.js"
import { encodeResponse, ResponseFrame, WireError } from "../../src/protocol/Frame.js"
import * as Version from "../../src/protocol/Version.js"
import * as Published from "../support/Published.js"

/** One of each; a tag that is missing does not compile. */
const samples: {
  readonly [Tag in ErrorMap.GatewayError["_tag"]]: Extract<ErrorMap.GatewayError, { _tag: Tag }>
} = {
  AlreadyConnected: new RequestError.AlreadyConnected(),
  EmptyMessage: new RequestError.EmptyMessage(),
  IdempotencyMismatch: new RunError.IdempotencyMismatch({ runId: "r" }),
  ImagesNotSupported: new RunError.ImagesNotSupported({ agentId: "coder" }),
  ImageUnavailable: new ImageUnavailable({ sha256: "0".repeat(64), reason: "missing" }),
  InvalidAttachment: new RequestError.InvalidAttachment({ name: "attachments[0]", reason: "no" }),
  InvalidFrame: new RequestError.InvalidFrame({ reason: "not JSON" }),
  InvalidParams: new RequestError.InvalidParams({
    method: "m",
    path: "",
    expected: "an object",
    found: "null"
  }),
  InvalidSessionKey: new InvalidSessionKey({ key: "..", expected: 'no ".."' }),
  MainSession: new RequestError.MainSession({ sessionKey: "agent:main:main" }),
  MissingScope: new RequestError.MissingScope({ scope: "operator.write" }),
  QueueFull: new RunError.QueueFull({ scope: "lane", limit: 256, retryAfterMs: 1000 }),
  RunSessionMismatch: new RunError.RunSessionMismatch({ runId: "r", sessionKey: "main" }),
  SendDenied: new SendDenied({ sessionKey: "main" }),
  SessionStoreError: new SessionStoreError({
    operation: "write",
    subject: "sessions.json",
    reason: "ENOSPC"
  }),
  ShuttingDown: new RunError.ShuttingDown({ retryAfterMs: 1000 }),
  Unauthorized: new AuthError.Unauthorized({ reason: "token mismatch" }),
  LoginLimited: new AuthError.LoginLimited({ retryAfterMs: 1000 }),
  DeviceRefused: new AuthError.DeviceRefused({ reason: "device nonce mismatch" }),
  TooManyConnections: new AuthError.TooManyConnections({ limit: 10, retryAfterMs: 1000 }),
  RateLimited: new RequestError.RateLimited({ what: "requests", limit: 100, retryAfterMs: 10 }),
  SessionBusy: new RunError.SessionBusy({ sessionKey: "main", retryAfterMs: 1000 }),
  SessionChanged: new SessionChanged({ sessionKey: "main" }),
  SessionForbidden: new RequestError.SessionForbidden(),
  UnknownAgent: new RunError.UnknownAgent({ agentId: "other", known: ["main", "coder"] }),
  UnknownPermission: new RunError.UnknownPermission({ id: "p1" }),
  UnknownPermissionOption: new RunError.UnknownPermissionOption({ id: "p1", options: ["yes", "no"] }),
  UnknownImage: new RequestError.UnknownImage({ sha256: "0".repeat(64) }),
  UnknownMethod: new RequestError.UnknownMethod({ method: "m" }),
  UnknownSession: new RequestError.UnknownSession({ path: "label" }),
  AmbiguousSession: new RequestError.AmbiguousSession({
    path: "label",
    keys: ["agent:main:a", "agent:main:b"]
  })
}

const strict = ParseResult.decodeUnknownEither(WireError, { onExcessProperty: "error" })

describe.each(Version.supported)("version %d", (version) => {
  it.for(Object.values(samples))("$_tag", (error) => {
    const wire = ErrorMap.toWire(error, version)
    const sent: unknown = JSON.parse(JSON.stringify(wire))
    expect(Either.isRight(strict(sent))).toBe(true)
    expect(Published.deviations("ErrorShape", sent)).toEqual([])
    // Older clients know only five codes; the finer one is in the details.
    if (version === 3) expect(wire.code).not.toBe("FORBIDDEN")
    expect(wire.details).toMatchObject({ code: expect.stringMatching(/^[A-Z_]+$/) })
    // Who may try again is told when; who may not is told nothing.
    expect(wire.retryAfterMs === undefined).toBe(wire.retryable === undefined)
    // A failed login is INVALID_REQUEST for these clients, also where waiting helps.
    expect(wire.retryable === true).toBe(wire.code === "UNAVAILABLE" || error._tag === "LoginLimited")
  })
})

it("the words that clients look for", () => {
  const message = (error: ErrorMap.GatewayError) => ErrorMap.toWire(error, 4).message
  expect(message(samples.EmptyMessage)).toBe("message or attachment required")
  expect(message(samples.RunSessionMismatch)).toBe("runId does not match sessionKey")
  expect(message(samples.SendDenied)).toBe("send blocked by session policy")
  expect(message(samples.MissingScope)).toBe("missing scope: operator.write")
  expect(message(samples.UnknownMethod)).toBe("unknown method: m")
  expect(message(samples.Unauthorized)).toMatch(/^unauthorized: /)
  expect(ErrorMap.toWire(samples.IdempotencyMismatch, 3)).toMatchObject({
    code: "INVALID_REQUEST",
    details: { code: "IDEMPOTENCY_MISMATCH" }
  })
  expect(ErrorMap.toWire(samples.MissingScope, 3)).toMatchObject({
    code: "INVALID_REQUEST",
    details: { code: "FORBIDDEN" }
  })
  expect(ErrorMap.protocolMismatch(4)).toMatchObject({
    code: "INVALID_REQUEST",
    message: "protocol mismatch",
    details: { expectedProtocol: 4 }
  })
})

it("no error tells the content of what was sent, but what it needs to be found by", () => {
  const { key } = samples.InvalidSessionKey
  expect(
    JSON.stringify(ErrorMap.toWire(new InvalidSessionKey({ key: "s3cret", expected: "x" }), 4))
  ).not.toContain("s3cret")
  expect(key).toBe("..")
})

const id = fc.string({ unit: "binary", minLength: 1 })
const error = fc.record(
  {
    code: fc.constantFrom(
      ...([
        "INVALID_REQUEST",
        "UNAVAILABLE",
        "AGENT_TIMEOUT",
        "NOT_LINKED",
        "NOT_PAIRED",
        "FORBIDDEN"
      ] as const)
    ),
    message: fc.string({ unit: "binary", minLength: 1 }),
    details: fc.jsonValue(),
    retryable: fc.boolean(),
    retryAfterMs: fc.nat()
  },
  { requiredKeys: ["code", "message"] }
)
const reply = fc.oneof(
  fc.record({ ok: fc.constant(true as const), payload: fc.jsonValue() }),
  fc.record(
    { ok: fc.constant(false as const), error, payload: fc.jsonValue() },
    { requiredKeys: ["ok", "error"] }
  )
)

it("a response is what was answered, whatever is in it, by our Schema and by the published one", () => {
  const decode = ParseResult.decodeUnknownEither(ResponseFrame, { onExcessProperty: "error" })
  fc.assert(
    fc.property(id, reply, (name, answer) => {
      const frame: unknown = JSON.parse(encodeResponse(name, answer))
      // Of JSON's numbers -0 comes back as 0.
      expect(frame).toEqual(JSON.parse(JSON.stringify({ type: "res", id: name, ...answer })))
      expect(Either.isRight(decode(frame))).toBe(true)
      expect(Published.deviations("ResponseFrame", frame)).toEqual([])
    })
  )
})
