import { describe, expect, it } from "@effect/vitest"
import { Context, Deferred, Effect, Layer, Option, Schema, Stream, TestClock } from "effect"
import * as AgentRunner from "../../src/agent/AgentRunner.js"
import * as GatewayTest from "../../src/testing/GatewayTest.js"
import type { TestClient } from "../../src/testing/TestClient.js"

/** Sends one message to a gateway with this agent and waits for the end. */
const ask = <R>(agent: Layer.Layer<AgentRunner.AgentRunner, never, R>, message = "hi") =>
  Effect.gen(function* () {
    const client = yield* (yield* GatewayTest.GatewayTest).connect()
    yield* send(client, "r1", message)
    return yield* client.terminal("r1")
  }).pipe(Effect.provide(GatewayTest.layerWith(agent)))

const send = (client: TestClient, key: string, message = "hi") =>
  client.request("chat.send", { sessionKey: "main", message, idempotencyKey: key })

class Overloaded extends Schema.TaggedError<Overloaded>()("Overloaded", { after: Schema.Number }) {}

class Greeting extends Context.Tag("test/Greeting")<Greeting, string>() {}

describe("AgentRunner", () => {
  it.effect("fromStream: pieces of text are the answer", () =>
    Effect.gen(function* () {
      const agent = AgentRunner.fromStream(({ message }) => Stream.make("You said ", message))
      expect(yield* ask(agent, "hello")).toMatchObject({
        state: "final",
        message: { content: [{ text: "You said hello" }] }
      })
    })
  )

  it.effect("fromEffect: the answer in one piece", () =>
    Effect.gen(function* () {
      const agent = AgentRunner.fromEffect(({ message, runId }) => Effect.succeed(`${runId}: ${message}`))
      expect(yield* ask(agent)).toMatchObject({ state: "final", message: { content: [{ text: "r1: hi" }] } })
    })
  )

  it.effect("an agent may use services; they are taken when the layer is built", () =>
    Effect.gen(function* () {
      const agent = AgentRunner.fromEffect(() => Effect.map(Greeting, (greeting) => `${greeting}!`))
      expect(yield* ask(Layer.provide(agent, Layer.succeed(Greeting, "Good day")))).toMatchObject({
        message: { content: [{ text: "Good day!" }] }
      })
    })
  )

  it.effect("an agent may read the conversation, its own message included", () =>
    Effect.gen(function* () {
      const agent = AgentRunner.fromEffect(({ history }) =>
        Effect.map(history(10), (messages) => JSON.stringify(messages))
      )
      const { message } = yield* ask(agent, "the question")
      expect(message?.content[0]?.text).toContain("the question")
    })
  )

  it.effect("a typed error ends the run with error; onError makes the message", () =>
    Effect.gen(function* () {
      const agent = AgentRunner.fromStream(
        () => Stream.concat(Stream.make("half"), new Overloaded({ after: 7 })),
        { onError: ({ after }) => `overloaded, try again in ${after} s` }
      )
      expect(yield* ask(agent)).toMatchObject({
        state: "error",
        errorMessage: "overloaded, try again in 7 s",
        message: { content: [{ text: "half" }] }
      })
    })
  )

  it.effect("without onError the error's own message is shown", () =>
    Effect.gen(function* () {
      for (const [error, message] of [
        [new AgentRunner.AgentError({ message: "as it is" }), "as it is"],
        [new Error("its own message"), "its own message"],
        ["a plain text", "a plain text"],
        [new Error(""), "the agent failed"]
      ] as const) {
        expect(yield* ask(AgentRunner.fromEffect(() => Effect.fail(error)))).toMatchObject({
          state: "error",
          errorMessage: message
        })
      }
    })
  )

  it.effect("a defect, also while the stream is made, gives error without its text", () =>
    Effect.gen(function* () {
      const dies = AgentRunner.fromEffect(() => Effect.die(new Error("secret")))
      const throws = AgentRunner.layer((): Stream.Stream<never> => {
        throw new Error("secret")
      })
      for (const agent of [dies, throws]) {
        const terminal = yield* ask(agent)
        expect(terminal).toMatchObject({ state: "error", errorMessage: "the agent died unexpectedly" })
        expect(JSON.stringify(terminal)).not.toContain("secret")
      }
    })
  )

  it.effect("an abort interrupts the agent, and its finalizers run", () =>
    Effect.gen(function* () {
      const released = yield* Deferred.make<string>()
      const begun = yield* Deferred.make<void>()
      const agent = AgentRunner.fromStream(({ message }) =>
        Stream.acquireRelease(Deferred.succeed(begun, undefined), () =>
          Deferred.succeed(released, `released ${message}`)
        ).pipe(Stream.flatMap(() => Stream.concat(Stream.make("half "), Stream.never)))
      )
      yield* Effect.gen(function* () {
        const client = yield* (yield* GatewayTest.GatewayTest).connect()
        yield* send(client, "r1", "it")
        yield* Deferred.await(begun)
        yield* client.awaitChat(({ state }) => state === "delta")
        yield* client.request("chat.abort", { sessionKey: "main", runId: "r1" })
        expect(yield* Deferred.await(released)).toBe("released it")
        expect(yield* client.terminal("r1")).toMatchObject({ state: "aborted" })
      }).pipe(Effect.provide(GatewayTest.layerWith(agent)))
    })
  )

  it.effect("finalizers run after a good end too, before the next run of the session begins", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const agent = AgentRunner.fromStream(({ message }) =>
        Stream.make(message).pipe(
          Stream.onStart(Effect.sync(() => log.push(`begin ${message}`))),
          Stream.ensuring(Effect.sync(() => log.push(`end ${message}`)))
        )
      )
      yield* Effect.gen(function* () {
        const client = yield* (yield* GatewayTest.GatewayTest).connect()
        yield* send(client, "r1", "one")
        yield* send(client, "r2", "two")
        yield* client.terminal("r2")
      }).pipe(Effect.provide(GatewayTest.layerWith(agent)))
      expect(log).toEqual(["begin one", "end one", "begin two", "end two"])
    })
  )

  it.effect("an agent that ends without a word hands its run off", () =>
    Effect.gen(function* () {
      const client = yield* (yield* GatewayTest.GatewayTest).connect()
      yield* send(client, "r1")
      // When all fibers have come to rest, the gateway has seen the end of the stream.
      yield* TestClock.adjust(0)
      const again = yield* send(client, "r1")
      expect(again.payload).toMatchObject({ status: "ok" })
      expect(Option.fromNullable((yield* client.chat("r1"))[0])).toEqual(Option.none())
    }).pipe(Effect.provide(GatewayTest.layerWith(AgentRunner.layer(() => Stream.empty))))
  )
})
