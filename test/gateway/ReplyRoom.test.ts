/** Many connections that ask for history and don't read it hold a bounded part of the memory. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import { ReplyRoom } from "../../src/gateway/ReplyRoom.js"
import { SessionStore } from "../../src/session/SessionStore.js"
import * as Message from "../../src/domain/Message.js"
import * as SessionKey from "../../src/domain/SessionKey.js"
import * as GatewayTest from "../../src/testing/GatewayTest.js"

const mib = 1024 * 1024

describe("ReplyRoom", () => {
  it.effect("lets in so many at once, and nobody while too much waits; each principal for itself", () =>
    Effect.gen(function* () {
      const room = new ReplyRoom()
      for (let at = 0; at < 16; at++) yield* room.enter("a")
      let entered = 0
      const wait = Effect.fork(
        Effect.map(room.enter("a"), () => {
          entered += 1
        })
      )
      yield* wait
      yield* wait
      yield* Effect.yieldNow()
      expect(entered).toBe(0)
      yield* room.enter("b")
      room.leave("a", 65 * mib)
      for (let at = 0; at < 15; at++) room.leave("a", 0)
      yield* TestClock.adjust(0)
      expect(entered).toBe(0)
      room.taken("a", 65 * mib)
      yield* TestClock.adjust(0)
      expect(entered).toBe(2)
    })
  )

  it.effect("connections that don't read are given a few pages; when they are gone, others read on", () =>
    Effect.gen(function* () {
      const store = yield* SessionStore
      const key = SessionKey.main({ defaultAgentId: SessionKey.defaultAgentId, mainKey: "main" })
      for (let at = 0; at < 4; at++) {
        yield* store.append(key, Message.text("assistant", "x".repeat(mib), 0))
      }
      const test = yield* GatewayTest.GatewayTest
      const stalled = yield* Effect.replicateEffect(test.connect(), 20)
      for (const client of stalled) {
        yield* client.stall
        yield* client.post("chat.history", { sessionKey: "main" })
      }
      yield* TestClock.adjust("1 second")
      const reader = yield* test.connect()
      const id = yield* reader.post("chat.history", { sessionKey: "main" })
      // Those that take nothing are closed, and what waited for them is not held any more.
      yield* TestClock.adjust("20 seconds")
      yield* TestClock.adjust("20 seconds")
      yield* Effect.forEach(stalled, (client) => client.leave, { discard: true })
      yield* TestClock.adjust("20 seconds")
      expect(yield* reader.response(id)).toMatchObject({ ok: true })
    }).pipe(Effect.provide(GatewayTest.layer()))
  )
})
