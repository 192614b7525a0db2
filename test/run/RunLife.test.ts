import { expect, it } from "@effect/vitest"
import * as AgentRunner from "colloquy/AgentRunner"
import { GatewayTest } from "colloquy/testing"
import { Effect, Stream } from "effect"

// 100,000 pieces without a wait between them.
const flood = AgentRunner.fromStream(() => Stream.map(Stream.range(1, 100_000), () => "."))

it.effect("an agent that floods lets the event loop have its turns", () =>
  Effect.gen(function* () {
    const client = yield* (yield* GatewayTest.GatewayTest).connect()
    let turns = 0
    const count = () => {
      turns += 1
      next = setImmediate(count)
    }
    let next = setImmediate(count)
    yield* client.request("chat.send", { sessionKey: "main", message: "go", idempotencyKey: "r" })
    expect(yield* client.terminal("r")).toMatchObject({ state: "final" })
    clearImmediate(next)
    // One for each chunk of the stream (4,096) at least.
    expect(turns).toBeGreaterThanOrEqual(24)
  }).pipe(Effect.provide(GatewayTest.layerWith(flood)))
)
