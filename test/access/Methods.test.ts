/**
 * Every method × who asks, with the exact answer. Rows are typed by the list of methods: a new method without one does not
 * compile.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, TestContext } from "effect"
import { version as serverVersion } from "../../src/domain/Product.js"
import * as GatewayConfig from "../../src/GatewayConfig.js"
import type { Scope } from "../../src/protocol/Connect.js"
import * as Method from "../../src/protocol/Method.js"
import { GatewayTest } from "../../src/testing/GatewayTest.js"
import type { ConnectOptions } from "../../src/testing/TestClient.js"
import * as World from "./World.js"

type Version = 3 | 4
/** A response without its type and id. */
interface Told {
  readonly ok: boolean
  readonly payload?: unknown
  readonly error?: unknown
}

interface Row {
  readonly params: (of: World.Belongings) => object
  /** What is told of what belongs to somebody else, whether it is there or not. */
  readonly foreign: (version: Version, of: World.Belongings) => Told
  /** What is told of one's own. */
  readonly right: (of: World.Belongings) => Told
}

const ok = (payload: unknown): Told => ({ ok: true, payload })
const refused = (message: string, details: object, code = "INVALID_REQUEST"): Told => ({
  ok: false,
  error: { code, message, details }
})
const forbidden = (version: Version, path = "sessionKey"): Told =>
  refused(
    `${path}: not a session of this principal`,
    { code: "SESSION_FORBIDDEN", path },
    version === 4 ? "FORBIDDEN" : "INVALID_REQUEST"
  )
const question = { ...World.question, id: "id 1", runId: "key of alice", agentId: "main", ts: 0 }
const { timeout: _, ...asked } = question

/** Of a method that names nothing: the same for everybody who has the same. */
const general = (payload: unknown): Row => ({
  params: () => ({}),
  foreign: () => ok(payload),
  right: () => ok(payload)
})

const sessionsOfAlice = ok({
  ts: 0,
  path: "sessions.json",
  count: 1,
  hasMore: false,
  defaults: { model: "m1", modelProvider: "p", contextTokens: null },
  sessions: [
    {
      key: World.sessionKeyOf("alice"),
      kind: "direct",
      sessionId: "id 1",
      updatedAt: 0,
      derivedTitle: "message of alice",
      lastMessagePreview: "message of alice"
    }
  ]
})

const runsOfAlice = ok({
  ts: 0,
  runs: [
    {
      runId: "key of alice",
      sessionKey: World.sessionKeyOf("alice"),
      agentId: "main",
      phase: "running",
      acceptedAt: 0,
      principal: "alice"
    }
  ],
  maxConcurrentRuns: GatewayConfig.defaults.maxConcurrentRuns
})

const connectionsOfAlice = ok(
  ["id 1", "id 2"].map((connId) => ({
    ts: 0,
    version: "0",
    mode: "test",
    reason: "connect",
    connId,
    principal: "alice",
    client: { id: "test", version: "0", platform: "test", mode: "test" },
    connectedAt: 0
  }))
)

const rows: { readonly [M in Method.MethodName]: Row } = {
  "chat.history": {
    params: ({ sessionKey }) => ({ sessionKey }),
    foreign: (_version, { sessionKey }) => ok({ sessionKey, messages: [], hasMore: false, totalMessages: 0 }),
    right: ({ key, sessionKey, sha256 }) =>
      ok({
        sessionKey,
        sessionId: "id 1",
        messages: [
          {
            id: "id 2",
            role: "user",
            content: [
              { type: "text", text: "message of alice" },
              { type: "image", mimeType: "image/png", size: World.pictureOf("alice").size, sha256 }
            ],
            timestamp: 0,
            runId: key
          }
        ],
        hasMore: false,
        totalMessages: 1
      })
  },
  "chat.image": {
    params: ({ sessionKey, sha256 }) => ({ sessionKey, sha256 }),
    foreign: (_version, { sha256 }) =>
      refused("no message of this session has that image", { code: "UNKNOWN_IMAGE", sha256 }),
    right: () => {
      const { data, mimeType, size } = World.pictureOf("alice")
      return ok({ mimeType, data, size })
    }
  },
  "chat.send": {
    params: ({ sessionKey }) => ({ sessionKey, message: "more", idempotencyKey: "new" }),
    foreign: (version) => forbidden(version),
    right: () => ok({ runId: "new", status: "started" })
  },
  "chat.abort": {
    params: ({ key, sessionKey }) => ({ sessionKey, runId: key }),
    foreign: () => ok({ ok: true, aborted: false, runIds: [] }),
    right: ({ key }) => ok({ ok: true, aborted: true, runIds: [key] })
  },
  "chat.inject": {
    params: ({ sessionKey }) => ({ sessionKey, message: "note" }),
    foreign: (version) => forbidden(version),
    right: () => ok({ ok: true, messageId: "id 1" })
  },
  "permission.list": {
    params: ({ sessionKey }) => ({ sessionKey }),
    foreign: () => ok({ permissions: [] }),
    right: ({ sessionKey }) => ok({ permissions: [{ ...asked, sessionKey, expiresAtMs: 3_600_000 }] })
  },
  "permission.resolve": {
    params: ({ questionId: id }) => ({ id, optionId: "y" }),
    foreign: () =>
      refused("id: no agent waits for an answer to this (any more)", {
        code: "UNKNOWN_PERMISSION",
        id: "id 1"
      }),
    right: () => ok({ ok: true, id: "id 1", optionId: "y" })
  },
  "sessions.list": {
    params: () => ({ includeDerivedTitles: true, includeLastMessage: true }),
    foreign: () => sessionsOfAlice,
    right: () => sessionsOfAlice
  },
  "sessions.preview": {
    params: ({ sessionKey }) => ({ keys: [sessionKey] }),
    foreign: (_version, { sessionKey: key }) =>
      ok({ ts: 0, previews: [{ key, status: "missing", items: [] }] }),
    right: ({ sessionKey: key }) =>
      ok({ ts: 0, previews: [{ key, status: "ok", items: [{ role: "user", text: "message of alice" }] }] })
  },
  "sessions.patch": {
    params: ({ sessionKey }) => ({ key: sessionKey, label: "box" }),
    foreign: (version) => forbidden(version, "key"),
    right: ({ sessionKey: key }) =>
      ok({ ok: true, path: "sessions.json", key, entry: { sessionId: "id 1", updatedAt: 0, label: "box" } })
  },
  "sessions.reset": {
    params: ({ sessionKey }) => ({ key: sessionKey }),
    foreign: (version) => forbidden(version, "key"),
    right: ({ sessionKey: key }) =>
      ok({
        ok: true,
        path: "sessions.json",
        key,
        entry: { sessionId: "id 1", updatedAt: 0, model: "m1", modelProvider: "p" }
      })
  },
  "sessions.delete": {
    params: ({ sessionKey }) => ({ key: sessionKey }),
    foreign: (_version, { sessionKey: key }) => ok({ ok: true, key, deleted: false, archived: [] }),
    right: ({ sessionKey: key }) =>
      ok({ ok: true, key, deleted: true, archived: ["id 1.jsonl.deleted.1970-01-01T00-00-00.000Z"] })
  },
  "sessions.resolve": {
    params: ({ sessionKey }) => ({ key: sessionKey }),
    foreign: () => refused("key: there is no such session", { code: "UNKNOWN_SESSION", path: "key" }),
    right: ({ sessionKey: key }) => ok({ ok: true, key, agentId: "main" })
  },
  "agents.list": general({
    defaultId: "main",
    mainKey: "main",
    scope: "per-sender",
    agents: [{ id: "main", name: "Main", kind: "scripted", model: "m1", images: true }]
  }),
  "models.list": general({ models: [{ provider: "p", id: "m1", name: "m1" }] }),
  "runs.list": {
    params: () => ({}),
    foreign: () => runsOfAlice,
    right: () => runsOfAlice
  },
  // Alice asks over her second connection.
  "system-presence": {
    params: () => ({}),
    foreign: () => connectionsOfAlice,
    right: () => connectionsOfAlice
  },
  health: general({ ok: true, ts: 0, durationMs: 0, defaultAgentId: "main", sessions: { count: 1 } }),
  status: general({
    version: serverVersion,
    uptimeMs: 0,
    connections: 2,
    runs: { active: 1, queued: 0, handedOff: 0 },
    sessions: { count: 1 },
    agents: { defaultId: "main", ids: ["main"] }
  })
}

/** What does not do for a method. */
const otherScope = (scope: Scope): Scope => (scope === "operator.read" ? "operator.write" : "operator.read")

/** What alice is told in each situation, in a gateway in which she has her things and bob perhaps his. */
const answers = (method: Method.MethodName, bobIsThere: boolean) =>
  Effect.gen(function* () {
    const test = yield* GatewayTest
    const bob = bobIsThere ? (yield* World.furnish("bob")).belongings : World.nothingOf("bob")
    const alice = (yield* World.furnish("alice")).belongings
    const ask = (options: ConnectOptions, of: World.Belongings) =>
      Effect.gen(function* () {
        const client = yield* test.connect({ token: "alice", ...options })
        const response = yield* client.request(method, rows[method].params(of))
        yield* client.leave
        return World.normal(response)
      })
    const scopes = [otherScope(Method.methods[method].scope)]
    const stranger = yield* test.open
    const told: Record<Situation, unknown> = {
      "no login": yield* stranger.request(method, rows[method].params(alice)),
      "wrong scope, v3": yield* ask({ protocol: 3, scopes }, alice),
      "wrong scope, v4": yield* ask({ protocol: 4, scopes }, alice),
      "wrong scope, somebody else's": yield* ask({ protocol: 4, scopes }, bob),
      "somebody else's, v3": yield* ask({ protocol: 3 }, bob),
      "somebody else's, v4": yield* ask({ protocol: 4 }, bob),
      "one's own": yield* ask({}, alice)
    }
    return { told, alice, bob, closed: yield* stranger.closed }
  }).pipe(Effect.provide(Layer.provideMerge(World.layer, TestContext.TestContext)))

type Situation =
  | "no login"
  | `wrong scope, ${"v3" | "v4" | "somebody else's"}`
  | `somebody else's, ${"v3" | "v4"}`
  | "one's own"

describe("who may ask for what", () => {
  for (const method of Method.names) {
    it.live(method, () =>
      Effect.gen(function* () {
        const { scope } = Method.methods[method]
        const row = rows[method]
        const first = "invalid handshake: first request must be connect"
        const missing = (code: string) =>
          refused(`missing scope: ${scope}`, { code: "FORBIDDEN", scope, missingScope: scope }, code)
        const { alice, bob, closed, told } = yield* answers(method, true)
        const response = (id: string, of: Told) => ({ type: "res", id, ...of })
        expect(told).toEqual({
          "no login": response("t1", refused(first, { code: "CONNECT_FIRST" })),
          "wrong scope, v3": response("t2", missing("INVALID_REQUEST")),
          "wrong scope, v4": response("t2", missing("FORBIDDEN")),
          "wrong scope, somebody else's": response("t2", missing("FORBIDDEN")),
          "somebody else's, v3": response("t2", row.foreign(3, bob)),
          "somebody else's, v4": response("t2", row.foreign(4, bob)),
          "one's own": response("t2", row.right(alice))
        })
        expect(closed).toEqual({ code: 1008, reason: first })
        // That bob has these things changes no letter of it.
        expect(JSON.stringify((yield* answers(method, false)).told)).toBe(JSON.stringify(told))
      })
    )
  }
})

describe("what is not there looks the same in one's own sessions and in others'", () => {
  const own = (method: Method.MethodName, params: object) =>
    Effect.gen(function* () {
      yield* World.furnish("bob")
      const client = yield* (yield* GatewayTest).connect({ token: "alice" })
      const ask = (sessionKey: string) =>
        Effect.map(client.request(method, { ...params, sessionKey }), (response) =>
          JSON.stringify({ ...response, id: "" }).replaceAll(sessionKey, "")
        )
      expect(yield* ask("agent:main:bob:box")).toBe(yield* ask("agent:main:alice:box"))
    }).pipe(Effect.provide(World.layer))

  it.effect("a history", () => own("chat.history", {}))
  it.effect("a page of a history", () => own("chat.history", { before: "x", limit: 1 }))
  it.effect("an image", () => own("chat.image", { sha256: World.pictureOf("bob").sha256 }))
  it.effect("a run", () => own("chat.abort", { runId: "key of bob" }))
  it.effect("all runs", () => own("chat.abort", {}))
  it.effect("questions", () => own("permission.list", {}))
})

it.effect("who has no session but the global one sees the agent that answers it", () =>
  Effect.gen(function* () {
    const client = yield* (yield* GatewayTest).connect({ token: "guest" })
    expect((yield* client.request("agents.list")).payload).toMatchObject({ agents: [{ id: "main" }] })
    const send = { sessionKey: "global", message: "hi", idempotencyKey: "k" }
    expect((yield* client.request("chat.send", send)).payload).toEqual({ runId: "k", status: "started" })
  }).pipe(Effect.provide(World.layer))
)
