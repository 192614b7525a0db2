import { expect, it } from "@effect/vitest"
import { GatewayTest, ScriptedAgent } from "colloquy/testing"
import { Effect } from "effect"

it.effect("a failing agent is an error, and the same key answers it again", () =>
  Effect.gen(function* () {
    const test = yield* GatewayTest.GatewayTest
    const agent = yield* ScriptedAgent.ScriptedAgent
    const client = yield* test.connect()
    const send = { sessionKey: "main", message: "hello", idempotencyKey: "run-1" }

    yield* client.request("chat.send", send)
    const run = yield* agent.next // a receipt: the agent was called
    yield* run.say("I will ")
    yield* run.fail("the model is overloaded")

    expect(yield* client.terminal("run-1")).toMatchObject({
      state: "error",
      errorMessage: "the model is overloaded"
    })
    expect(yield* client.request("chat.send", send)).toMatchObject({
      ok: false,
      payload: { status: "error", summary: "the model is overloaded" }
    })
    expect(yield* agent.runs).toHaveLength(1)
  }).pipe(Effect.provide(GatewayTest.layer()))
)
