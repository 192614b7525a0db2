import { expect, it } from "@effect/vitest"
import { Effect, Fiber, TestClock } from "effect"
import { GatewayTest, layer } from "../../src/testing/GatewayTest.js"
import { ScriptedAgent } from "../../src/testing/ScriptedAgent.js"

it.effect("send, stream, final", () =>
  Effect.gen(function* () {
    const test = yield* GatewayTest
    const agent = yield* ScriptedAgent
    const client = yield* test.connect()
    const sent = yield* client.request("chat.send", { sessionKey: "main", message: "hi", idempotencyKey: "r1" })
    expect(sent).toMatchObject({ ok: true, payload: { runId: "r1", status: "started" } })
    const run = yield* agent.next
    yield* run.say("Hel")
    yield* client.awaitChat((event) => event.state === "delta")
    yield* run.say("lo")
    const again = yield* client.request("chat.send", { sessionKey: "main", message: "hi", idempotencyKey: "r1" })
    expect(again.payload).toEqual({ runId: "r1", status: "in_flight" })
    yield* TestClock.adjust(150)
    yield* run.finish
    const final = yield* client.terminal("r1")
    const history = yield* client.request("chat.history", { sessionKey: "main" })
  }).pipe(Effect.provide(layer())))
