/** What `sessions.*` tell and do for a principal that sees only some sessions. */
import { expect, it } from "@effect/vitest"
import { Effect, Either } from "effect"
import * as Principal from "../../src/auth/Principal.js"
import { SessionStoreMemory } from "../../src/session/SessionStoreMemory.js"
import { ScriptedAgent } from "../../src/testing/ScriptedAgent.js"
import * as GatewayTest from "../../src/testing/GatewayTest.js"

const principals = {
  owner: Principal.owner,
  alice: Either.getOrThrow(Principal.make("alice", ["agent:main:alice:*"]))
}

const alices = "agent:main:alice:a"
const bobs = "agent:main:bob:b"
const nobodys = "agent:main:bob:nothing"

const index = {
  [bobs]: { sessionId: "s-b", updatedAt: 3, label: "Secret", displayName: "Bob" },
  [alices]: { sessionId: "s-a", updatedAt: 2, label: "Mine" },
  "agent:main:main": { sessionId: "s-m", updatedAt: 1, label: "Mine" }
}

/** Both, and the sessions of both. */
const stage = Effect.gen(function* () {
  const store = yield* SessionStoreMemory
  yield* store.setIndex(JSON.stringify(index))
  const said = JSON.stringify({ id: "1", message: { role: "user", content: "a secret" } })
  for (const file of ["s-a.jsonl", "s-b.jsonl", "s-m.jsonl"]) yield* store.setFile(file, `${said}\n`)
  const test = yield* GatewayTest.GatewayTest
  const alice = yield* test.connect({ token: "alice" })
  const owner = yield* test.connect({ token: "owner" })
  return { store, alice, owner }
})

const scenario = (
  title: string,
  body: (staged: Effect.Effect.Success<typeof stage>) => Effect.Effect<void, unknown, GatewayTest.Services>
) => it.effect(title, () => Effect.provide(Effect.flatMap(stage, body), GatewayTest.layer({ principals })))

scenario("what it does not see is neither listed nor counted", ({ alice, owner }) =>
  Effect.gen(function* () {
    const list = (yield* alice.request("sessions.list", { includeDerivedTitles: true })).payload
    expect(list).toMatchObject({
      path: "sessions.json",
      count: 1,
      hasMore: false,
      sessions: [{ key: alices, derivedTitle: "a secret" }]
    })
    expect(JSON.stringify(list)).not.toMatch(/bob|s-b|s-m/i)
    expect((yield* alice.request("sessions.list", { limit: 1 })).payload).toMatchObject({ hasMore: false })
    expect((yield* alice.request("sessions.list", { offset: 1 })).payload).toMatchObject({ count: 0 })
    expect((yield* alice.request("sessions.list", { search: "secret" })).payload).toMatchObject({ count: 0 })
    expect((yield* owner.request("sessions.list")).payload).toMatchObject({ count: 3 })
  })
)

scenario("a preview of another's session is that of one that is not there", ({ alice }) =>
  Effect.gen(function* () {
    const { payload } = yield* alice.request("sessions.preview", { keys: [alices, bobs, nobodys] })
    expect(payload).toMatchObject({
      previews: [
        { key: alices, status: "ok", items: [{ role: "user", text: "a secret" }] },
        { key: bobs, status: "missing", items: [] },
        { key: nobodys, status: "missing", items: [] }
      ]
    })
  })
)

scenario("another's session is not found, whatever it is asked for by", ({ alice }) =>
  Effect.gen(function* () {
    const ask = (params: object) =>
      Effect.map(alice.request("sessions.resolve", params), ({ error, payload }) => ({ error, payload }))
    expect(yield* ask({ key: bobs })).toEqual(yield* ask({ key: nobodys }))
    expect(yield* ask({ sessionId: "s-b" })).toEqual(yield* ask({ sessionId: "s-nothing" }))
    expect(yield* ask({ label: "Secret" })).toEqual(yield* ask({ label: "Nothing" }))
    // The label of another's session makes one's own no less clear.
    expect((yield* ask({ label: "Mine" })).payload).toMatchObject({ ok: true, key: alices })
    expect((yield* ask({ key: bobs, allowMissing: true })).payload).toEqual({ ok: false })
  })
)

scenario("another's session is not to be patched, whether it is there or not", ({ alice, store }) =>
  Effect.gen(function* () {
    const before = yield* store.index
    for (const key of [bobs, nobodys, "main"]) {
      const { error } = yield* alice.request("sessions.patch", { key, label: "x" })
      expect(error).toMatchObject({ code: "FORBIDDEN", details: { code: "SESSION_FORBIDDEN", path: "key" } })
    }
    expect(yield* store.index).toEqual(before)
    expect((yield* alice.request("sessions.patch", { key: alices, label: "x" })).payload).toMatchObject({
      ok: true,
      key: alices,
      entry: { label: "x" }
    })
  })
)

scenario("only an administrator says who may send", ({ alice, owner }) =>
  Effect.gen(function* () {
    const patch = { key: alices, sendPolicy: "deny" }
    const { error } = yield* alice.request("sessions.patch", patch)
    expect(error).toMatchObject({ details: { code: "FORBIDDEN", scope: "operator.admin" } })
    expect((yield* owner.request("sessions.patch", patch)).ok).toBe(true)
    expect((yield* alice.request("sessions.patch", { ...patch, sendPolicy: null })).ok).toBe(false)
  })
)

scenario("another's session is neither reset nor deleted, and its runs go on", ({ alice, owner, store }) =>
  Effect.gen(function* () {
    const agent = yield* ScriptedAgent
    yield* owner.request("chat.send", { sessionKey: bobs, message: "go", idempotencyKey: "r" })
    const run = yield* agent.next
    const before = yield* store.index
    const ask = (method: string, key: string) =>
      Effect.map(alice.request(method, { key }), ({ error, payload }) => ({
        error,
        payload: JSON.stringify(payload)?.replace(key, "")
      }))
    for (const method of ["sessions.reset", "sessions.delete"])
      expect(yield* ask(method, bobs)).toEqual(yield* ask(method, nobodys))
    expect((yield* ask("sessions.reset", bobs)).error).toMatchObject({
      details: { code: "SESSION_FORBIDDEN" }
    })
    expect((yield* alice.request("sessions.delete", { key: bobs })).payload).toMatchObject({ deleted: false })
    // Not even that it is the main one.
    expect((yield* alice.request("sessions.delete", { key: "main" })).payload).toMatchObject({
      deleted: false
    })
    expect(yield* store.index).toEqual(before)
    yield* run.answer("still here")
    expect(yield* owner.terminal("r")).toMatchObject({ state: "final" })
    expect((yield* alice.request("sessions.reset", { key: alices })).ok).toBe(true)
    expect((yield* alice.request("sessions.delete", { key: alices })).payload).toMatchObject({
      deleted: true
    })
  })
)

scenario("who may only read changes nothing", ({ store }) =>
  Effect.gen(function* () {
    const test = yield* GatewayTest.GatewayTest
    const reader = yield* test.connect({ token: "owner", scopes: ["operator.read"] })
    const before = yield* store.index
    for (const method of ["sessions.patch", "sessions.reset", "sessions.delete"]) {
      const { error } = yield* reader.request(method, { key: bobs })
      expect(error).toMatchObject({ details: { code: "FORBIDDEN", scope: "operator.write" } })
    }
    expect(yield* store.index).toEqual(before)
  })
)
