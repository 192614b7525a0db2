/** What `check` finds out about a model, and that it asks for no more than it needs. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, TestClock } from "effect"
import * as HttpClientNode from "../../../src/transport/HttpClientNode.js"
import * as HostileServer from "./HostileServer.js"
import { key, options, type Provider, providers, streamed } from "./Providers.js"

const json =
  (status: number, body: unknown) =>
  (exchange: HostileServer.Exchange): void => {
    exchange.begin(status, { "content-type": "application/json" })
    exchange.end(JSON.stringify(body))
  }

const models = (...ids: ReadonlyArray<string>) => json(200, { data: ids.map((id) => ({ id })) })
const nothingThere = json(404, { error: { message: "no route" } })

/** Checks the provider's agent against a server that gives these answers, one after another. */
const check = (provider: Provider, ...answers: ReadonlyArray<(exchange: HostileServer.Exchange) => void>) =>
  Effect.gen(function* () {
    const server = yield* HostileServer.make
    const agent = yield* provider.make(options(server.url))
    const fiber = yield* Effect.fork(Effect.either(agent.check))
    const asked: Array<string> = []
    for (const answer of answers) {
      const exchange = yield* server.next
      asked.push(`${exchange.method} ${exchange.path}`)
      answer(exchange)
    }
    return { asked, found: yield* Fiber.join(fiber), server }
  })

for (const provider of providers) {
  const list = provider.name === "openai" ? "GET /models" : "GET /v1/models?limit=1000"
  const page = provider.name === "openai" ? "GET /models/model-1" : "GET /v1/models/model-1"
  const post = provider.name === "openai" ? "POST /chat/completions" : "POST /v1/messages"

  describe(`${provider.name}: check`, () => {
    it.scoped("is content with the list of models", () =>
      Effect.gen(function* () {
        const { asked, found, server } = yield* check(provider, models("other", "model-1"))
        expect(found).toMatchObject({ _tag: "Right", right: `model-1 is there at ${server.url}` })
        expect(asked).toEqual([list])
      }).pipe(Effect.provide(HttpClientNode.layer))
    )

    it.scoped("asks for the model itself when it is not listed: it may have other names", () =>
      Effect.gen(function* () {
        const { asked, found } = yield* check(
          provider,
          models("model-1-20300101"),
          json(200, { id: "model-1-20300101" })
        )
        expect(found).toMatchObject({ _tag: "Right" })
        expect(asked).toEqual([list, page])
      }).pipe(Effect.provide(HttpClientNode.layer))
    )

    it.scoped("names those that there are instead of one that is not", () =>
      Effect.gen(function* () {
        const { found } = yield* check(
          provider,
          models("big", "modell", "model-2", "mode", "m"),
          nothingThere
        )
        expect(found).toMatchObject({
          _tag: "Left",
          left: {
            code: "MODEL_NOT_FOUND",
            message: expect.stringContaining("has no model model-1; it has model-2, modell, mode")
          }
        })
      }).pipe(Effect.provide(HttpClientNode.layer))
    )

    it.scoped("has the model say one token where nothing is listed", () =>
      Effect.gen(function* () {
        const whole = streamed(provider.text("ok"), provider.stop, provider.over)
        const { asked, found, server } = yield* check(provider, nothingThere, (exchange) => {
          expect(JSON.parse(exchange.body)).toMatchObject({ max_tokens: 1 })
          whole(exchange)
        })
        expect(found).toMatchObject({ _tag: "Right", right: `model-1 answers at ${server.url}` })
        expect(asked).toEqual([list, post])
      }).pipe(Effect.provide(HttpClientNode.layer))
    )

    it.scoped("fails as a run would", () =>
      Effect.gen(function* () {
        const refused = yield* check(provider, json(401, { error: { message: `bad ${key}` } }))
        expect(refused.found).toMatchObject({ _tag: "Left", left: { code: "UNAUTHORIZED" } })
        const wrong = yield* check(provider, nothingThere, nothingThere)
        expect(wrong.found).toMatchObject({ _tag: "Left", left: { code: "MODEL_NOT_FOUND" } })
      }).pipe(Effect.provide(HttpClientNode.layer))
    )

    it.scoped("gives up after 10 s, and closes the connection", () =>
      Effect.gen(function* () {
        const server = yield* HostileServer.make
        const agent = yield* provider.make(options(server.url))
        const fiber = yield* Effect.fork(Effect.flip(agent.check))
        const exchange = yield* server.next
        yield* TestClock.adjust("10 seconds")
        expect(yield* Fiber.join(fiber)).toMatchObject({ code: "UNREACHABLE", retryable: true })
        yield* exchange.closed
      }).pipe(Effect.provide(HttpClientNode.layer))
    )
  })
}
