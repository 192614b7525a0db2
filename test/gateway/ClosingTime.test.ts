/** A test that ends in the middle of something ends, and says why. */
import { expect, it } from "@effect/vitest"
import { Clock, Effect, Exit } from "effect"
import { SessionStoreMemory } from "../../src/session/SessionStoreMemory.js"
import * as GatewayTest from "../../src/testing/GatewayTest.js"
import { ScriptedAgent } from "../../src/testing/ScriptedAgent.js"

it.effect("a gateway closes though nobody moves the clock: a slow save, an agent that does not stop", () =>
  Effect.gen(function* () {
    const test = Effect.gen(function* () {
      const client = yield* (yield* GatewayTest.GatewayTest).connect()
      const agent = yield* ScriptedAgent
      yield* agent.ignoreInterruption(true)
      yield* client.request("chat.send", { sessionKey: "a", message: "hi", idempotencyKey: "a" })
      yield* (yield* agent.next).say("unfinished")
      yield* (yield* SessionStoreMemory).setSaveDelay("30 seconds")
      yield* client.post("chat.send", { sessionKey: "b", message: "hi", idempotencyKey: "b" })
      return yield* Effect.fail("the reason")
    }).pipe(Effect.provide(GatewayTest.layer()))
    expect(yield* Effect.exit(test)).toEqual(Exit.fail("the reason"))
    const closedAt = yield* Clock.currentTimeMillis
    // It stands still again.
    yield* Effect.yieldNow()
    expect(yield* Clock.currentTimeMillis).toBe(closedAt)
  })
)
