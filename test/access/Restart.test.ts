/** What one principal learns of another when the gateway ends in the middle of a run and is started again. */
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, TestClock } from "effect"
import { type MemoryDisk, SessionStoreMemory } from "../../src/session/SessionStoreMemory.js"
import * as GatewayTest from "../../src/testing/GatewayTest.js"
import { ScriptedAgent } from "../../src/testing/ScriptedAgent.js"
import { helloOf } from "../../src/testing/TestClient.js"
import * as World from "./World.js"

const layer = (disk?: MemoryDisk) =>
  GatewayTest.layer({
    principals: {
      alice: World.principal("alice", ["agent:main:alice:*"]),
      bob: World.principal("bob", ["agent:main:bob:*"])
    },
    config: { drainGrace: Duration.zero, interruptGrace: Duration.zero },
    ...(disk === undefined ? {} : { disk })
  })

const send = (name: string, message = "hi") => ({
  sessionKey: `agent:main:${name}:x`,
  message,
  idempotencyKey: "k"
})

/** Alice's run is cut off; bob has none, or one of the same key that has ended. Where both were, and what a crash leaves. */
const before = (bobSends: boolean, aliceEnds = false) =>
  Effect.gen(function* () {
    const test = yield* GatewayTest.GatewayTest
    const agent = yield* ScriptedAgent
    const alice = yield* test.connect({ token: "alice", caps: ["resume"] })
    const bob = yield* test.connect({ token: "bob", caps: ["resume"] })
    if (bobSends) {
      yield* bob.request("chat.send", send("bob"))
      yield* (yield* agent.next).answer("bob's answer")
      yield* bob.terminal("k")
    }
    const positions = { alice: yield* alice.position, bob: yield* bob.position }
    yield* alice.request("chat.send", send("alice"))
    const run = yield* agent.next
    yield* run.say("alice's secret")
    yield* alice.awaitChat(({ state }) => state === "delta")
    yield* TestClock.adjust("1 second")
    if (aliceEnds) {
      yield* run.finish
      yield* alice.terminal("k")
    }
    return { ...positions, disk: yield* Effect.flatMap(SessionStoreMemory, ({ crash }) => crash) }
  }).pipe(Effect.provide(layer()))

describe("behind a restart", () => {
  it.effect("the end of a run that was cut off is told to who may see it, and to nobody else", () =>
    Effect.gen(function* () {
      const left = yield* before(false)
      yield* Effect.gen(function* () {
        const test = yield* GatewayTest.GatewayTest
        yield* TestClock.adjust(0)
        const alice = yield* test.connect({ token: "alice", caps: ["resume"], resume: left.alice })
        expect(yield* alice.terminal("k")).toMatchObject({ state: "error" })
        // Also with a position that is alice's.
        for (const resume of [left.bob, left.alice, { ...left.alice, pos: 0 }]) {
          const bob = yield* test.connect({ token: "bob", caps: ["resume"], resume })
          yield* bob.request("chat.history", { sessionKey: "agent:main:alice:x" })
          yield* TestClock.adjust("30 seconds")
          expect(yield* bob.chat()).toEqual([])
          expect(JSON.stringify(yield* bob.frames)).not.toMatch(/secret|"k"/)
        }
      }).pipe(Effect.provide(layer(left.disk)))
    })
  )

  it.effect("a key still means the run of whoever sent it", () =>
    Effect.gen(function* () {
      const left = yield* before(true)
      yield* Effect.gen(function* () {
        const test = yield* GatewayTest.GatewayTest
        yield* TestClock.adjust(0)
        const alice = yield* test.connect({ token: "alice" })
        const bob = yield* test.connect({ token: "bob" })
        expect((yield* bob.request("chat.send", send("bob"))).payload).toEqual({ runId: "k", status: "ok" })
        expect((yield* bob.request("chat.send", send("bob", "other"))).error).toMatchObject({
          details: { code: "IDEMPOTENCY_MISMATCH", runId: "k" }
        })
        expect((yield* alice.request("chat.send", send("alice"))).payload).toMatchObject({
          runId: "k",
          status: "error"
        })
      }).pipe(Effect.provide(layer(left.disk)))
    })
  )

  it.effect("where one is says nothing of runs that were others'", () =>
    Effect.gen(function* () {
      const left = yield* before(true, true)
      yield* Effect.gen(function* () {
        const test = yield* GatewayTest.GatewayTest
        yield* TestClock.adjust(0)
        const bob = yield* test.open
        const hello = helloOf(yield* bob.connect({ token: "bob", caps: ["resume"], resume: left.bob }))
        // It would carry the older epoch only while there is an end to be retold to him.
        expect(hello?.resume.epoch).not.toContain("<")
      }).pipe(Effect.provide(layer(left.disk)))
    })
  )
})
