import { expect, it } from "@effect/vitest"
import { GatewayTest } from "colloquy/testing"
import { Effect, Layer, Stream, TestClock } from "effect"
import { agent, Busy, Model, Refused } from "./SupportAgent.js"

/** A model that does one thing after another. */
const model = (...answers: ReadonlyArray<Stream.Stream<string, Busy | Refused>>) => {
  const prompts: Array<string> = []
  const layer = Layer.succeed(Model, {
    complete: (prompt) => {
      prompts.push(prompt)
      return answers[prompts.length - 1] ?? Stream.die("not expected to be called")
    }
  })
  return { prompts, gateway: GatewayTest.layerWith(Layer.provide(agent, layer)) }
}

const send = (idempotencyKey: string, message: string) => ({ sessionKey: "main", message, idempotencyKey })

it.effect("a busy model is tried again when it says so, and sees the conversation", () => {
  const busy = Stream.fail(new Busy({ retryAfterMs: 3000 }))
  const { gateway, prompts } = model(Stream.make("Hi."), busy, Stream.make("Five", " times."))
  return Effect.gen(function* () {
    const test = yield* GatewayTest.GatewayTest
    const client = yield* test.connect()
    yield* client.request("chat.send", send("run-1", "hello"))
    yield* client.terminal("run-1")
    yield* client.request("chat.send", send("run-2", "how often?"))
    yield* TestClock.adjust("3 seconds")
    expect(yield* client.terminal("run-2")).toMatchObject({
      state: "final",
      message: { content: [{ text: "Five times." }] }
    })
    expect(prompts.at(-1)).toBe("user: hello\nassistant: Hi.\nuser: how often?")
  }).pipe(Effect.provide(gateway))
})

it.effect(
  "after it has said something it is not tried again: one error, and the partial text is kept",
  () => {
    const halfWay = Stream.concat(Stream.make("Well, "), Stream.fail(new Refused({ topic: "prices" })))
    const { gateway } = model(halfWay)
    return Effect.gen(function* () {
      const test = yield* GatewayTest.GatewayTest
      const client = yield* test.connect()
      yield* client.request("chat.send", send("run-1", "what does it cost?"))
      expect(yield* client.terminal("run-1")).toMatchObject({
        state: "error",
        errorMessage: "the model does not talk about prices"
      })
      const history = yield* client.request("chat.history", { sessionKey: "main" })
      expect(history.payload).toMatchObject({
        messages: [
          { role: "user" },
          { role: "assistant", stopReason: "error", content: [{ text: "Well, " }] }
        ]
      })
    }).pipe(Effect.provide(gateway))
  }
)
