/** What those who see only some sessions find after a crash: their own keys, and the ends that they have not heard. */
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Either, type Scope, TestClock } from "effect"
import * as Principal from "../../src/auth/Principal.js"
import { type MemoryDisk, SessionStoreMemory } from "../../src/session/SessionStoreMemory.js"
import * as GatewayTest from "../../src/testing/GatewayTest.js"
import { ScriptedAgent } from "../../src/testing/ScriptedAgent.js"

const principals = {
  owner: Principal.owner,
  alice: Either.getOrThrow(Principal.make("alice", ["agent:main:alice:*"]))
}

const life = <A, E>(
  disk: MemoryDisk | undefined,
  body: Effect.Effect<A, E, GatewayTest.Services | Scope.Scope>
) =>
  Effect.zipRight(TestClock.adjust(0), body).pipe(
    Effect.scoped,
    Effect.provide(
      GatewayTest.layer({
        principals,
        config: { drainGrace: Duration.zero, interruptGrace: Duration.zero },
        ...(disk === undefined ? {} : { disk })
      })
    )
  )

const crash = Effect.flatMap(SessionStoreMemory, ({ crash }) => crash)
const caps = ["resume"]
const connect = (token: string, resume?: { readonly epoch: string; readonly pos: number }) =>
  Effect.flatMap(GatewayTest.GatewayTest, (test) =>
    test.connect({ token, caps, ...(resume === undefined ? {} : { resume }) })
  )
const sendOf = (sessionKey: string, idempotencyKey: string) => ({
  sessionKey,
  idempotencyKey,
  message: "hello"
})

describe("after a crash, whoever sees only some sessions", () => {
  it.effect("is told again the ends that it has not heard, and those alone", () =>
    Effect.gen(function* () {
      const before = yield* life(
        undefined,
        Effect.gen(function* () {
          const agent = yield* ScriptedAgent
          const owner = yield* connect("owner")
          const alice = yield* connect("alice")
          for (const key of ["o1", "o2"]) {
            yield* owner.request("chat.send", sendOf("main", key))
            yield* Effect.flatMap(agent.next, (run) => run.answer("secret"))
            yield* owner.terminal(key)
          }
          yield* alice.request("chat.send", sendOf("alice:x", "heard"))
          yield* Effect.flatMap(agent.next, (run) => run.answer("one"))
          yield* alice.terminal("heard")
          yield* alice.request("chat.send", sendOf("alice:x", "missed"))
          const run = yield* agent.next
          const position = yield* alice.position
          yield* alice.leave
          yield* run.answer("two")
          yield* owner.terminal("missed")
          yield* TestClock.adjust(0)
          return { position, disk: yield* crash }
        })
      )
      yield* life(
        before.disk,
        Effect.gen(function* () {
          const alice = yield* connect("alice", before.position)
          const again = yield* alice.terminal("missed")
          expect(again).toMatchObject({ state: "final", sessionKey: "alice:x" })
          yield* alice.request("chat.send", sendOf("alice:x", "after"))
          yield* Effect.flatMap(
            Effect.flatMap(ScriptedAgent, (agent) => agent.next),
            (run) => run.answer("three")
          )
          yield* alice.terminal("after")
          const ends = (yield* alice.chat()).filter(({ state }) => state !== "delta")
          expect(ends.map(({ runId }) => runId)).toEqual(["missed", "after"])
        })
      )
    })
  )

  it.effect("has its keys, and nobody else's", () =>
    Effect.gen(function* () {
      const disk = yield* life(
        undefined,
        Effect.gen(function* () {
          const agent = yield* ScriptedAgent
          const alice = yield* connect("alice")
          yield* alice.request("chat.send", sendOf("alice:x", "k"))
          yield* Effect.flatMap(agent.next, (run) => run.answer("one"))
          yield* alice.terminal("k")
          return yield* crash
        })
      )
      yield* life(
        disk,
        Effect.gen(function* () {
          const alice = yield* connect("alice")
          const owner = yield* connect("owner")
          expect(yield* alice.request("chat.send", sendOf("alice:x", "k"))).toMatchObject({
            payload: { runId: "k", status: "ok" }
          })
          expect(yield* owner.request("chat.send", sendOf("alice:x", "k"))).toMatchObject({
            payload: { runId: "k", status: "started" }
          })
          const { payload } = yield* alice.request("chat.history", { sessionKey: "alice:x" })
          expect(payload).toMatchObject({
            messages: [
              { role: "user", runId: "k" },
              { role: "assistant", runId: "k" },
              { role: "user", runId: "k" }
            ]
          })
        })
      )
    })
  )
})
