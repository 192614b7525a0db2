import { expect, it } from "@effect/vitest"
import * as AgentRunner from "colloquy/AgentRunner"
import { GatewayTest } from "colloquy/testing"
import { Effect, Schedule, Stream, TestClock } from "effect"

// The agent under test says a word every second.
const agent = AgentRunner.fromStream(({ message }) =>
  Stream.fromIterable(message.split(" ")).pipe(
    Stream.map((word) => `${word} `),
    Stream.schedule(Schedule.spaced("1 second"))
  )
)

it.effect("streams, and stops in the middle when it is aborted", () =>
  Effect.gen(function* () {
    const test = yield* GatewayTest.GatewayTest
    const client = yield* test.connect({ caps: ["delta-only"] })

    const started = yield* client.request("chat.send", {
      sessionKey: "main",
      message: "one two three four",
      idempotencyKey: "run-1"
    })
    expect(started.payload).toEqual({ runId: "run-1", status: "started" })

    // Time is the test's: two seconds are two words.
    yield* TestClock.adjust("1 second")
    yield* TestClock.adjust("1 second")
    yield* client.awaitChat((event) => event.state === "delta" && event.deltaText === "two ")

    yield* client.request("chat.abort", { sessionKey: "main", runId: "run-1" })
    expect(yield* client.terminal("run-1")).toMatchObject({
      state: "aborted",
      stopReason: "rpc",
      message: { content: [{ type: "text", text: "one two " }] }
    })

    // The partial answer is in the transcript, marked.
    const history = yield* client.request("chat.history", { sessionKey: "main" })
    expect(history.payload).toMatchObject({
      messages: [{ role: "user" }, { role: "assistant", stopReason: "aborted" }]
    })
  }).pipe(Effect.provide(GatewayTest.layerWith(agent)))
)
