/** How a connection begins, and the many ways in which it does not. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Schema, TestClock } from "effect"
import { Challenge } from "../../src/protocol/Connect.js"
import * as Event from "../../src/protocol/Event.js"
import * as Method from "../../src/protocol/Method.js"
import { helloOf, type TestClient } from "../../src/testing/TestClient.js"
import { deep, maxPayload, padded } from "../support/Frames.js"
import * as Device from "../support/Device.js"
import * as Harness from "../support/Harness.js"
import { shared } from "../support/Shared.js"

const client = { id: "test", version: "0", platform: "test", mode: "test" }
const good = { minProtocol: 4, maxProtocol: 4, client }
const device = { id: "d", publicKey: "k", signature: "s", signedAt: 1 }

const open = Effect.flatMap(Harness.Door, (door) => door.open)
const challenged = (connection: TestClient) =>
  connection.awaitFrame((frame) => frame.type === "event" && frame.event === "connect.challenge")
const challengeOf = Schema.decodeUnknownSync(
  Schema.Struct({ payload: Challenge }).pipe(Schema.pluck("payload"))
)
const connectFrame = (params: unknown, id = "a") =>
  JSON.stringify({ type: "req", id, method: "connect", params })

/** What a refused connection was told, and how it was closed. */
const refusal = (connection: TestClient) =>
  Effect.gen(function* () {
    const closed = yield* connection.closed
    const [challenge, ...frames] = yield* connection.frames
    expect(challenge).toMatchObject({ type: "event", event: "connect.challenge" })
    return { frames, closed }
  })

/** First frames that are no readable request: nothing can be answered, the reason is in the close. */
const unreadable: ReadonlyArray<readonly [name: string, frame: string | null, reason: string]> = [
  ["not JSON", "hello", "not JSON"],
  ["empty text", "", "not JSON"],
  ["an array", "[]", "frame: expected an object, found array"],
  ["a number", "1", "frame: expected an object, found number"],
  ["null", "null", "frame: expected an object, found null"],
  ["binary", null, "binary; expected a text frame with one JSON object"],
  [
    "no id",
    JSON.stringify({ type: "req", method: "connect", params: good }),
    "id: expected a non empty string, found nothing"
  ],
  [
    "a numeric id",
    JSON.stringify({ type: "req", id: 1, method: "connect", params: good }),
    "id: expected a non empty string, found number"
  ],
  ["type res", JSON.stringify({ type: "res", id: "a", ok: true }), 'type: expected "req", found string'],
  [
    "no method",
    JSON.stringify({ type: "req", id: "a", params: good }),
    "method: expected a non empty string, found nothing"
  ],
  ["arrays 20,000 deep", deep("[", "]", "", 20_000), "nested deeper than 64 levels"]
]

/** Each field wrong once: where it is, and what was expected there. */
const wrong: ReadonlyArray<readonly [path: string, params: unknown, expected: string, found: string]> = [
  ["", undefined, "an object", "nothing"],
  ["", null, "an object", "null"],
  ["", [], "an object", "array"],
  ["", "4", "an object", "string"],
  ["minProtocol", { maxProtocol: 4, client }, "an integer of at least 1", "nothing"],
  ["minProtocol", { ...good, minProtocol: "4" }, "an integer of at least 1", "string"],
  ["minProtocol", { ...good, minProtocol: 0 }, "an integer of at least 1", "number"],
  ["minProtocol", { ...good, minProtocol: 3.5 }, "an integer of at least 1", "number"],
  ["maxProtocol", { minProtocol: 4, client }, "an integer of at least 1", "nothing"],
  ["maxProtocol", { ...good, maxProtocol: null }, "an integer of at least 1", "null"],
  ["maxProtocol", { ...good, maxProtocol: -4 }, "an integer of at least 1", "number"],
  ["maxProtocol", { ...good, maxProtocol: 1e300 }, "an integer of at least 1", "number"],
  ["client", { minProtocol: 4, maxProtocol: 4 }, "an object", "nothing"],
  ["client", { ...good, client: "cli" }, "an object", "string"],
  ["client", { ...good, client: [client] }, "an object", "array"],
  ["client.id", { ...good, client: { ...client, id: undefined } }, "a non empty string", "nothing"],
  ["client.id", { ...good, client: { ...client, id: "" } }, "a non empty string", "string"],
  ["client.version", { ...good, client: { ...client, version: 1 } }, "a non empty string", "number"],
  ["client.platform", { ...good, client: { ...client, platform: null } }, "a non empty string", "null"],
  ["client.mode", { ...good, client: { ...client, mode: "" } }, "a non empty string", "string"],
  ["client.displayName", { ...good, client: { ...client, displayName: 1 } }, "a string", "number"],
  ["client.deviceFamily", { ...good, client: { ...client, deviceFamily: {} } }, "a string", "object"],
  ["client.modelIdentifier", { ...good, client: { ...client, modelIdentifier: [] } }, "a string", "array"],
  ["client.instanceId", { ...good, client: { ...client, instanceId: true } }, "a string", "boolean"],
  ["role", { ...good, role: "root" }, '"operator" | "node"', "string"],
  ["scopes", { ...good, scopes: "operator.read" }, "an array", "string"],
  ["scopes[1]", { ...good, scopes: ["operator.read", 1] }, "a string", "number"],
  ["caps", { ...good, caps: {} }, "an array", "object"],
  ["caps[0]", { ...good, caps: [null] }, "a string", "null"],
  ["commands", { ...good, commands: 1 }, "an array", "number"],
  ["commands[0]", { ...good, commands: [[]] }, "a string", "array"],
  ["permissions", { ...good, permissions: [] }, "an object", "array"],
  ["permissions.camera", { ...good, permissions: { camera: "yes" } }, "a boolean", "string"],
  ["pathEnv", { ...good, pathEnv: ["/bin"] }, "a string", "array"],
  ["auth", { ...good, auth: "secret" }, "an object", "string"],
  ["auth.token", { ...good, auth: { token: 1234 } }, "a string", "number"],
  ["auth.password", { ...good, auth: { password: null } }, "a string", "null"],
  ["device", { ...good, device: "d" }, "an object", "string"],
  ["device.id", { ...good, device: { ...device, id: "" } }, "a non empty string", "string"],
  ["device.publicKey", { ...good, device: { ...device, publicKey: 1 } }, "a non empty string", "number"],
  [
    "device.signature",
    { ...good, device: { ...device, signature: undefined } },
    "a non empty string",
    "nothing"
  ],
  ["device.signedAt", { ...good, device: { ...device, signedAt: -1 } }, "an integer of at least 0", "number"],
  ["device.nonce", { ...good, device: { ...device, nonce: "" } }, "a non empty string", "string"],
  ["locale", { ...good, locale: 1 }, "a string", "number"],
  ["userAgent", { ...good, userAgent: {} }, "a string", "object"]
]

const mismatches: ReadonlyArray<readonly [min: number, max: number]> = [
  [1, 2],
  [2, 2],
  [5, 5],
  [5, 9],
  [4, 3],
  [9, 1],
  [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]
]
const matches: ReadonlyArray<readonly [min: number, max: number, chosen: number]> = [
  [3, 3, 3],
  [4, 4, 4],
  [3, 4, 4],
  [1, 3, 3],
  [1, 99, 4],
  [4, Number.MAX_SAFE_INTEGER, 4]
]

describe.each(Harness.ways)("handshake, %s", (_name, layer) => {
  // Time plays no part in these: they share a gateway.
  const run = shared(layer())

  it.for(unreadable)("first frame: %s", ([, frame, reason]) =>
    run(
      Effect.gen(function* () {
        const connection = yield* open
        yield* connection.raw(frame)
        expect(yield* refusal(connection)).toEqual({
          frames: [],
          closed: { code: 1008, reason: `invalid handshake: ${reason}` }
        })
      })
    )
  )

  it.for(["health", "chat.send", "nope", "__proto__", "Connect"])("first request: %s", (method) =>
    run(
      Effect.gen(function* () {
        const connection = yield* open
        yield* connection.raw(JSON.stringify({ type: "req", id: "a", method }))
        // What is pipelined behind it is not looked at any more.
        yield* connection.raw(connectFrame(good, "b"))
        const message = "invalid handshake: first request must be connect"
        expect(yield* refusal(connection)).toEqual({
          frames: [
            {
              type: "res",
              id: "a",
              ok: false,
              error: { code: "INVALID_REQUEST", message, details: { code: "CONNECT_FIRST" } }
            }
          ],
          closed: { code: 1008, reason: message }
        })
      })
    )
  )

  it.for(wrong)("wrong: %s", ([path, params, expected, found]) =>
    run(
      Effect.gen(function* () {
        const connection = yield* open
        yield* connection.raw(connectFrame(params))
        const message = `invalid connect params: ${path === "" ? "params" : path}: expected ${expected}, found ${found}`
        expect(yield* refusal(connection)).toEqual({
          frames: [
            {
              type: "res",
              id: "a",
              ok: false,
              error: { code: "INVALID_REQUEST", message, details: { code: "INVALID_PARAMS", path, expected } }
            }
          ],
          closed: { code: 1008, reason: message }
        })
      })
    )
  )

  it("a close reason has at most 123 bytes of UTF-8, whole characters, whatever a client writes", () =>
    run(
      Effect.gen(function* () {
        for (const letter of ["x", "é", "€", "😀", "\ud800", "\u0000"]) {
          for (let offset = 0; offset < 4; offset++) {
            const connection = yield* open
            yield* connection.raw(
              connectFrame({ ...good, permissions: { ["o".repeat(offset) + letter.repeat(5000)]: 1 } })
            )
            const { closed, frames } = yield* refusal(connection)
            expect(frames).toMatchObject([
              { id: "a", ok: false, error: { details: { code: "INVALID_PARAMS" } } }
            ])
            expect(JSON.stringify(frames).length).toBeLessThan(2000)
            expect(closed.code).toBe(1008)
            const bytes = Buffer.byteLength(closed.reason)
            expect(bytes).toBeLessThanOrEqual(123)
            expect(bytes).toBeGreaterThan(119)
            expect(closed.reason).toMatch(/^invalid connect params: permissions\.o*/)
            if (letter !== "\ud800") expect(closed.reason).not.toContain("\ufffd")
          }
        }
      })
    ))

  it.for(mismatches)("no common version in [%d, %d]", ([minProtocol, maxProtocol]) =>
    run(
      Effect.gen(function* () {
        const connection = yield* open
        yield* connection.raw(connectFrame({ ...good, minProtocol, maxProtocol }))
        const details = { code: "PROTOCOL_MISMATCH", expectedProtocol: 4 }
        expect(yield* refusal(connection)).toEqual({
          frames: [
            {
              type: "res",
              id: "a",
              ok: false,
              error: { code: "INVALID_REQUEST", message: "protocol mismatch", details }
            }
          ],
          closed: { code: 1002, reason: "protocol mismatch" }
        })
      })
    )
  )

  it.for(matches)("of [%d, %d] version %d is spoken", ([minProtocol, maxProtocol, chosen]) =>
    run(
      Effect.gen(function* () {
        const connection = yield* open
        yield* connection.raw(connectFrame({ ...good, minProtocol, maxProtocol }))
        expect(yield* connection.response("a")).toMatchObject({
          ok: true,
          payload: { type: "hello-ok", protocol: chosen }
        })
      })
    )
  )

  it("requests right behind connect are taken, in order", () =>
    run(
      Effect.gen(function* () {
        const connection = yield* open
        yield* connection.raw(connectFrame(good, "hello"))
        for (const id of ["a", "b", "c"])
          yield* connection.raw(JSON.stringify({ type: "req", id, method: "nope" }))
        yield* connection.raw(connectFrame(good, "again"))
        yield* connection.response("again")
        const answers = (yield* connection.frames).flatMap((frame) =>
          frame.type === "res" ? [[frame.id, frame.ok]] : []
        )
        expect(answers).toEqual([
          ["hello", true],
          ["a", false],
          ["b", false],
          ["c", false],
          ["again", false]
        ])
      })
    ))

  it("a hundred frames behind a refused connect: one answer, and the close is not held up", () =>
    run(
      Effect.gen(function* () {
        const connection = yield* open
        yield* connection.raw(connectFrame({ ...good, minProtocol: 9 }))
        for (let n = 0; n < 100; n++) yield* connection.raw(connectFrame(good, `n${n}`))
        const { closed, frames } = yield* refusal(connection)
        expect(frames).toHaveLength(1)
        expect(closed.code).toBe(1002)
      })
    ))

  it("a first frame over 512 KiB: closed with 1009", () =>
    run(
      Effect.gen(function* () {
        const connection = yield* open
        yield* connection.raw(padded("a", maxPayload + 1))
        const { closed, frames } = yield* refusal(connection)
        expect(frames).toEqual([])
        expect(closed.code).toBe(1009)
      })
    ))

  it("connect takes what newer clients add", () =>
    run(
      Effect.gen(function* () {
        const connection = yield* open
        const challenge = challengeOf(yield* challenged(connection))
        const key = Device.make()
        const signature = key.sign({
          version: "v3",
          clientId: "an-app-of-2031",
          mode: "hologram",
          role: "operator",
          scopes: "operator.read,operator.write,operator.everything",
          signedAt: challenge.ts,
          token: "t",
          nonce: challenge.nonce,
          platform: "test",
          deviceFamily: ""
        })
        const proved = {
          id: key.id,
          publicKey: key.publicKey,
          signature,
          signedAt: challenge.ts,
          nonce: challenge.nonce
        }
        yield* connection.raw(
          connectFrame({
            ...good,
            maxProtocol: 7,
            client: {
              ...client,
              id: "an-app-of-2031",
              mode: "hologram",
              buildId: "b",
              timeZone: "Europe/Vienna"
            },
            role: "operator",
            caps: ["tool-events", "levitation"],
            scopes: ["operator.read", "operator.write", "operator.everything"],
            device: { ...proved, attestation: "x" },
            auth: { token: "t", deviceToken: "d", passkey: { id: 1 } },
            workerRuns: { bundleHash: 1 },
            resume: { epoch: "e", pos: 3 },
            __proto__: null
          })
        )
        expect(yield* connection.response("a")).toMatchObject({
          ok: true,
          payload: { protocol: 4, auth: { scopes: ["operator.read", "operator.write"] } }
        })
      })
    ))

  it("a device that is not proved: an error, then 1008", () =>
    run(
      Effect.gen(function* () {
        const connection = yield* open
        yield* connection.raw(connectFrame({ ...good, device }))
        const { closed, frames } = yield* refusal(connection)
        expect(frames).toMatchObject([
          {
            type: "res",
            id: "a",
            ok: false,
            error: {
              code: "INVALID_REQUEST",
              message: "unauthorized: device public key invalid",
              details: { code: "DEVICE_AUTH_PUBLIC_KEY_INVALID", reason: "device public key invalid" }
            }
          }
        ])
        expect(closed).toEqual({ code: 1008, reason: "unauthorized" })
      })
    ))

  it("features lists exactly what is implemented", () =>
    run(
      Effect.gen(function* () {
        const connection = yield* open
        const hello = helloOf(yield* connection.connect())
        expect(hello?.features.methods.toSorted()).toEqual([
          "agents.list",
          "chat.abort",
          "chat.history",
          "chat.image",
          "chat.inject",
          "chat.send",
          "health",
          "models.list",
          "permission.list",
          "permission.resolve",
          "runs.list",
          "sessions.delete",
          "sessions.list",
          "sessions.patch",
          "sessions.preview",
          "sessions.reset",
          "sessions.resolve",
          "status",
          "system-presence"
        ])
        for (const method of hello?.features.methods ?? []) {
          const { error } = yield* connection.request(method, { sessionKey: 1 })
          expect(error?.message ?? "").not.toContain("unknown method")
        }
      })
    ))

  it("a request without its scope: an error, and the connection goes on", () =>
    run(
      Effect.gen(function* () {
        for (const [protocol, code] of [
          [3, "INVALID_REQUEST"],
          [4, "FORBIDDEN"]
        ] as const) {
          const connection = yield* open
          yield* connection.connect({ protocol, scopes: ["operator.read"] })
          const { error } = yield* connection.request("chat.abort", { sessionKey: "main" })
          expect(error).toEqual({
            code,
            message: "missing scope: operator.write",
            details: { code: "FORBIDDEN", scope: "operator.write", missingScope: "operator.write" }
          })
          expect(yield* connection.request("health")).toMatchObject({ ok: true })
        }
      })
    ))

  it("a node, and an operator with scopes that nobody knows, may do nothing", () =>
    run(
      Effect.gen(function* () {
        for (const params of [
          { ...good, role: "node" },
          { ...good, scopes: ["operator.unheard-of", "", "__proto__"] }
        ]) {
          const connection = yield* open
          yield* connection.raw(connectFrame(params))
          expect(yield* connection.response("a")).toMatchObject({
            ok: true,
            payload: { auth: { scopes: [] } }
          })
          for (const method of Method.names) {
            expect((yield* connection.request(method, {})).error?.message).toMatch(/^missing scope: /)
          }
        }
      })
    ))

  it("hello-ok, version 3: nothing that only version 4 knows, and never a device token", () =>
    run(
      Effect.gen(function* () {
        const connection = yield* open
        const hello = helloOf(yield* connection.connect({ protocol: 3 }))
        expect(hello?.protocol).toBe(3)
        expect(Object.keys(hello ?? {}).toSorted()).toEqual([
          "features",
          "policy",
          "protocol",
          "resume",
          "server",
          "snapshot",
          "type"
        ])
        expect(Object.keys(hello?.server ?? {}).toSorted()).toEqual(["connId", "version"])
        expect(Object.keys(hello?.features ?? {}).toSorted()).toEqual(["events", "methods"])
        expect(Object.keys(hello?.policy ?? {}).toSorted()).toEqual([
          "maxBufferedBytes",
          "maxPayload",
          "tickIntervalMs"
        ])
      })
    ))

  it.effect("the challenge comes first, at once and without a seq", () =>
    Effect.gen(function* () {
      const connection = yield* open
      const challenge = yield* challenged(connection)
      expect(challenge).toEqual({
        type: "event",
        event: "connect.challenge",
        payload: { nonce: expect.stringMatching(/^[0-9a-f-]{36}$/), ts: 0 }
      })
      const other = yield* challenged(yield* open)
      expect(other).not.toEqual(challenge)
    }).pipe(Effect.scoped, Effect.provide(layer()))
  )

  it.effect("no connect within 10 s: closed with 1008, and not before", () =>
    Effect.gen(function* () {
      const late = yield* open
      const silent = yield* open
      yield* challenged(late)
      yield* challenged(silent)
      yield* TestClock.adjust("9999 millis")
      expect(yield* late.connect()).toMatchObject({ ok: true })
      yield* TestClock.adjust("1 millis")
      expect(yield* refusal(silent)).toEqual({
        frames: [],
        closed: { code: 1008, reason: "handshake timeout" }
      })
      // Who has come in stays, however long.
      yield* TestClock.adjust("2 minutes")
      expect(yield* late.request("health")).toMatchObject({ ok: true })
    }).pipe(Effect.scoped, Effect.provide(layer()))
  )

  it.effect("each connection has 10 s of its own", () =>
    Effect.gen(function* () {
      const first = yield* open
      yield* challenged(first)
      yield* TestClock.adjust("6 seconds")
      const second = yield* open
      yield* challenged(second)
      yield* TestClock.adjust("4 seconds")
      expect((yield* first.closed).reason).toBe("handshake timeout")
      expect(yield* second.connect()).toMatchObject({ ok: true })
    }).pipe(Effect.scoped, Effect.provide(layer()))
  )

  it.effect("hello-ok, version 4", () =>
    Effect.gen(function* () {
      const connection = yield* open
      yield* challenged(connection)
      yield* TestClock.adjust("1500 millis")
      const hello = yield* connection.connect()
      expect(hello.payload).toEqual({
        type: "hello-ok",
        protocol: 4,
        server: {
          version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
          connId: expect.stringMatching(/^[0-9a-f-]{36}$/),
          buildId: expect.stringMatching(/./),
          bootId: expect.stringMatching(/^[0-9a-f-]{36}$/)
        },
        features: { methods: Method.names, events: Event.names, capabilities: Event.capabilities },
        snapshot: {
          presence: [{ ts: 1500, version: expect.any(String), mode: "gateway", reason: "self" }],
          health: { ok: true, ts: 1500, durationMs: 0 },
          stateVersion: { presence: 0, health: 0 },
          uptimeMs: 1500,
          sessionDefaults: {
            defaultAgentId: "main",
            mainKey: "main",
            mainSessionKey: "agent:main:main",
            scope: "per-sender"
          }
        },
        policy: {
          maxPayload: 524_288,
          maxBufferedBytes: 1_572_864,
          tickIntervalMs: 30_000,
          // What fits into a frame of 512 KiB as base64.
          attachments: { maxBytes: 390_144, maxImageBytes: 390_144 }
        },
        resume: { epoch: helloOf(hello)?.server.bootId, pos: 0 },
        auth: {
          method: "none",
          role: "operator",
          scopes: ["operator.read", "operator.write", "operator.admin"]
        }
      })
    }).pipe(Effect.scoped, Effect.provide(layer()))
  )

  it.effect("a wrong or missing token: an error, then 1008, and nothing pipelined behind it is served", () =>
    Effect.gen(function* () {
      const refusals = [
        [undefined, "token missing", "AUTH_TOKEN_MISSING"],
        [{}, "token missing", "AUTH_TOKEN_MISSING"],
        [{ token: "" }, "token missing", "AUTH_TOKEN_MISSING"],
        [{ token: "s3cre" }, "token mismatch", "AUTH_TOKEN_MISMATCH"],
        [{ token: "s3cret " }, "token mismatch", "AUTH_TOKEN_MISMATCH"],
        [{ token: "S3CRET" }, "token mismatch", "AUTH_TOKEN_MISMATCH"],
        [{ password: "nope" }, "token mismatch", "AUTH_TOKEN_MISMATCH"]
      ] as const
      for (const [auth, reason, code] of refusals) {
        const connection = yield* open
        yield* connection.raw(connectFrame({ ...good, auth }))
        yield* connection.raw(JSON.stringify({ type: "req", id: "b", method: "health" }))
        expect(yield* refusal(connection)).toEqual({
          frames: [
            {
              type: "res",
              id: "a",
              ok: false,
              error: {
                code: "INVALID_REQUEST",
                message: `unauthorized: ${reason}`,
                details: { code, reason }
              }
            }
          ],
          closed: { code: 1008, reason: "unauthorized" }
        })
      }
    }).pipe(Effect.scoped, Effect.provide(layer({ token: "s3cret" })))
  )

  it.effect("the right token comes in as token or as password", () =>
    Effect.gen(function* () {
      for (const auth of [
        { token: "s3cret" },
        { password: "s3cret" },
        { token: "s3cret", deviceToken: "x" }
      ]) {
        const connection = yield* open
        yield* connection.raw(connectFrame({ ...good, auth }))
        const hello = yield* connection.response("a")
        expect(hello).toMatchObject({ ok: true, payload: { auth: { method: "token" } } })
        expect(JSON.stringify(hello)).not.toContain("s3cret")
      }
    }).pipe(Effect.scoped, Effect.provide(layer({ token: "s3cret" })))
  )

  it.effect("versions are looked at before tokens: a mismatch says so", () =>
    Effect.gen(function* () {
      const connection = yield* open
      yield* connection.raw(
        connectFrame({ ...good, minProtocol: 9, maxProtocol: 9, auth: { token: "wrong" } })
      )
      expect((yield* refusal(connection)).closed.code).toBe(1002)
    }).pipe(Effect.scoped, Effect.provide(layer({ token: "s3cret" })))
  )
})
