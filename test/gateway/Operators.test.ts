/** What `runs.list`, `system-presence` and `sessions.changed` tell a principal that sees only some sessions. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Principal from "../../src/auth/Principal.js"
import { ScriptedAgent } from "../../src/testing/ScriptedAgent.js"
import * as GatewayTest from "../../src/testing/GatewayTest.js"
import * as World from "../access/World.js"

const layer = GatewayTest.layer({
  principals: {
    owner: Principal.owner,
    alice: World.principal("alice", ["agent:main:alice:*", "agent:main:shared"]),
    bob: World.principal("bob", ["agent:main:bob:*", "agent:main:shared"]),
    admin: World.principal("admin", ["agent:main:admin:*"], Principal.allScopes)
  }
})

const stage = Effect.gen(function* () {
  const test = yield* GatewayTest.GatewayTest
  const connect = (token: string) => test.connect({ token, caps: ["resume", "sessions"] })
  const [owner, alice, bob, admin] = [
    yield* connect("owner"),
    yield* connect("alice"),
    yield* connect("bob"),
    yield* connect("admin")
  ]
  const agent = yield* ScriptedAgent
  const send = (client: typeof owner, key: string, sessionKey: string) =>
    Effect.zipRight(
      client.request("chat.send", { sessionKey, message: "hi", idempotencyKey: key }),
      agent.next
    )
  return { admin, alice, bob, owner, send }
})

const fields = (payload: unknown, field: string): ReadonlyArray<unknown> =>
  Array.isArray(payload) ? payload.map((row: object) => new Map(Object.entries(row)).get(field)) : []
const runsOf = (payload: unknown) =>
  fields(new Map(Object.entries(payload ?? {})).get("runs"), "runId").toSorted()

it.effect("runs are seen by those who may see their sessions", () =>
  Effect.gen(function* () {
    const { admin, alice, bob, owner, send } = yield* stage
    yield* send(alice, "a", "agent:main:alice:box")
    yield* send(bob, "b", "agent:main:bob:box")
    yield* send(bob, "s", "agent:main:shared")
    const runs = (client: typeof owner) =>
      Effect.map(client.request("runs.list"), ({ payload }) => runsOf(payload))
    expect(yield* runs(owner)).toEqual(["a", "b", "s"])
    expect(yield* runs(alice)).toEqual(["a", "s"])
    expect(yield* runs(bob)).toEqual(["b", "s"])
    expect(yield* runs(admin)).toEqual([])
    const { payload } = yield* alice.request("runs.list", { sessionKey: "agent:main:bob:box" })
    expect(runsOf(payload)).toEqual([])
  }).pipe(Effect.provide(layer))
)

it.effect("connections are seen by their principals, and all of them by who may do and see everything", () =>
  Effect.gen(function* () {
    const test = yield* GatewayTest.GatewayTest
    const { admin, alice, bob, owner } = yield* stage
    yield* test.open
    const second = yield* test.connect({ token: "alice" })
    const names = (client: typeof owner) =>
      Effect.map(client.request("system-presence"), ({ payload }) => fields(payload, "principal"))
    expect(yield* names(owner)).toEqual(["owner", "alice", "bob", "admin", "alice"])
    expect(yield* names(alice)).toEqual(["alice", "alice"])
    expect(yield* names(bob)).toEqual(["bob"])
    // It may do everything in its sessions; who else is here is seen from everywhere only.
    expect(yield* names(admin)).toEqual(["admin"])
    const reader = yield* test.connect({ token: "owner", scopes: ["operator.read"] })
    expect(yield* names(reader)).toEqual(["owner", "owner"])
    yield* second.leave
    yield* reader.leave
    expect(yield* names(owner)).toEqual(["owner", "alice", "bob", "admin"])
  }).pipe(Effect.provide(layer))
)

it.effect("what a client says of itself is cut, and what it does not say is left out", () =>
  Effect.gen(function* () {
    const test = yield* GatewayTest.GatewayTest
    const client = yield* test.open
    const long = "x".repeat(1000)
    const connect = {
      minProtocol: 4,
      maxProtocol: 4,
      client: {
        id: long,
        version: long,
        platform: long,
        mode: long,
        displayName: "My tab",
        instanceId: long
      },
      auth: { token: "owner" }
    }
    yield* client.raw(JSON.stringify({ type: "req", id: "c", method: "connect", params: connect }))
    yield* client.response("c")
    const cut = "x".repeat(64)
    expect((yield* client.request("system-presence")).payload).toEqual([
      {
        ts: 0,
        version: cut,
        mode: cut,
        reason: "connect",
        connId: expect.any(String),
        principal: "owner",
        client: { id: cut, version: cut, platform: cut, mode: cut, displayName: "My tab" },
        connectedAt: 0
      }
    ])
  }).pipe(Effect.provide(layer))
)

it.effect("changes of sessions are told to those who may see them, and count for nobody else", () =>
  Effect.gen(function* () {
    const { admin, alice, bob, owner } = yield* stage
    const patch = (client: typeof owner, key: string) => client.request("sessions.patch", { key, label: "x" })
    yield* patch(alice, "agent:main:alice:box")
    yield* patch(bob, "agent:main:bob:box")
    yield* patch(owner, "agent:main:shared")
    yield* patch(owner, "main")
    for (const [client, session] of [
      [owner, "main"],
      [alice, "agent:main:alice:box"],
      [bob, "agent:main:bob:box"],
      [admin, "agent:main:admin:box"]
    ] as const)
      yield* client.request("chat.inject", { sessionKey: session, message: "the last" })
    const told = (client: typeof owner) =>
      Effect.gen(function* () {
        yield* client.awaitChat(({ runId }) => runId.startsWith("inject-"))
        const all = yield* client.events("sessions.changed")
        return all.map(({ payload }) => JSON.stringify(payload))
      })
    const of = (sessionKey: string, pos: number, reason = "patch") =>
      JSON.stringify({ sessionKey, reason, pos })
    expect(yield* told(alice)).toEqual([
      of("agent:main:alice:box", 1),
      of("agent:main:shared", 2),
      of("agent:main:alice:box", 3, "inject")
    ])
    expect(yield* told(bob)).toEqual([
      of("agent:main:bob:box", 1),
      of("agent:main:shared", 2),
      of("agent:main:bob:box", 3, "inject")
    ])
    expect(yield* told(admin)).toEqual([of("agent:main:admin:box", 1, "inject")])
    expect((yield* told(owner)).slice(0, 4)).toEqual([
      of("agent:main:alice:box", 1),
      of("agent:main:bob:box", 2),
      of("agent:main:shared", 3),
      of("agent:main:main", 4)
    ])
  }).pipe(Effect.provide(layer))
)
