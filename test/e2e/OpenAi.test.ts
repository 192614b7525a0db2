/** OpenAI's own client against the gateway, over real sockets. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Redacted } from "effect"
import OpenAI from "openai"
import * as Authenticator from "../../src/auth/Authenticator.js"
import * as Principal from "../../src/auth/Principal.js"
import * as AgentEvent from "../../src/domain/AgentEvent.js"
import { ScriptedAgent } from "../../src/testing/ScriptedAgent.js"
import * as WebSocketTransport from "../../src/transport/WebSocketTransport.js"
import * as Harness from "../support/Harness.js"
import * as Pictures from "../support/Pictures.js"
import { shared } from "../support/Shared.js"

const alice = Effect.runSync(Principal.make("alice", ["agent:main:user:alice", "agent:main:alice-*"]))
const reader = Effect.runSync(Principal.make("reader", ["*"], ["operator.read"]))

const clientOf = (token: string) =>
  Effect.map(
    WebSocketTransport.Address,
    ({ port }) => new OpenAI({ apiKey: token, baseURL: `http://127.0.0.1:${port}/v1`, maxRetries: 0 })
  )
const agent = Effect.flatMap(ScriptedAgent, Effect.succeed)
const promise = <A>(make: () => PromiseLike<A>) => Effect.promise(make)
const hello = [{ role: "user" as const, content: "hello" }]

/** What a request fails with. */
const failure = (make: () => PromiseLike<unknown>) =>
  Effect.promise(async () => {
    try {
      await make()
    } catch (error) {
      if (error instanceof OpenAI.APIError) return error
      throw error
    }
    throw new Error("it did not fail")
  })

describe("OpenAI's client", () => {
  const run = shared(
    Harness.socket({
      authenticator: Authenticator.layerTokens([
        { token: Redacted.make("owner-token"), principal: Principal.owner },
        { token: Redacted.make("alice-token"), principal: alice },
        { token: Redacted.make("reader-token"), principal: reader }
      ]),
      config: { maxQueuedPerSession: 1 }
    })
  )

  it("gets a whole answer, with what it has used", () =>
    run(
      Effect.gen(function* () {
        const client = yield* clientOf("owner-token")
        const asked = yield* Effect.fork(
          promise(() => client.chat.completions.create({ model: "colloquy", messages: hello }))
        )
        const turn = yield* Effect.flatMap(agent, ({ next }) => next)
        expect(turn.request.message).toBe("hello")
        yield* turn.say("Hi ")
        yield* turn.say("there")
        yield* turn.emit(
          AgentEvent.end({
            usage: { input: 3, output: 2, cacheRead: 4, totalTokens: 9 },
            stopReason: "length"
          })
        )
        const answer = yield* Fiber.join(asked)
        expect(answer).toMatchObject({
          object: "chat.completion",
          model: "colloquy",
          choices: [{ message: { role: "assistant", content: "Hi there" }, finish_reason: "length" }],
          usage: { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9 }
        })
      })
    ))

  it("sees it stream, to [DONE], and what it has used where it asks for that", () =>
    run(
      Effect.gen(function* () {
        const client = yield* clientOf("owner-token")
        const stream = yield* promise(() =>
          client.chat.completions.create({
            model: "colloquy:main",
            messages: hello,
            stream: true,
            stream_options: { include_usage: true }
          })
        )
        const chunks = stream[Symbol.asyncIterator]()
        const next = promise(() => chunks.next())
        expect((yield* next).value).toMatchObject({ choices: [{ delta: { role: "assistant" } }] })
        const turn = yield* Effect.flatMap(agent, ({ next }) => next)
        yield* turn.say("Hi ")
        expect((yield* next).value).toMatchObject({ choices: [{ delta: { content: "Hi " } }] })
        yield* turn.say("there")
        yield* turn.emit(AgentEvent.end({ usage: { input: 3, output: 2, totalTokens: 5 } }))
        expect((yield* next).value).toMatchObject({ choices: [{ delta: { content: "there" } }] })
        expect((yield* next).value).toMatchObject({ choices: [{ delta: {}, finish_reason: "stop" }] })
        expect((yield* next).value).toMatchObject({ choices: [], usage: { total_tokens: 5 } })
        expect((yield* next).done).toBe(true)
      })
    ))

  it("aborts the run by closing its connection", () =>
    run(
      Effect.gen(function* () {
        const client = yield* clientOf("owner-token")
        const controller = new AbortController()
        const stream = yield* promise(() =>
          client.chat.completions.create(
            { model: "colloquy", messages: hello, stream: true },
            { signal: controller.signal }
          )
        )
        const turn = yield* Effect.flatMap(agent, ({ next }) => next)
        yield* turn.say("Hi")
        const chunks = stream[Symbol.asyncIterator]()
        yield* promise(() => chunks.next())
        controller.abort()
        yield* turn.interrupted
      })
    ))

  it("aborts it, too, when it waits for the whole", () =>
    run(
      Effect.gen(function* () {
        const client = yield* clientOf("owner-token")
        const controller = new AbortController()
        const asked = yield* Effect.fork(
          failure(() =>
            client.chat.completions.create(
              { model: "colloquy", messages: hello },
              { signal: controller.signal }
            )
          )
        )
        const turn = yield* Effect.flatMap(agent, ({ next }) => next)
        controller.abort()
        yield* turn.interrupted
        yield* Fiber.join(asked)
      })
    ))

  it("gives the same key the same run: whoever else waits for it keeps it going, and it is answered from the history later", () =>
    run(
      Effect.gen(function* () {
        const client = yield* clientOf("owner-token")
        const ask = (signal?: AbortSignal) =>
          client.chat.completions.create(
            { model: "colloquy", messages: hello, user: "twice" },
            { headers: { "Idempotency-Key": "key-1" }, ...(signal === undefined ? {} : { signal }) }
          )
        const controller = new AbortController()
        const leaver = yield* Effect.fork(failure(() => ask(controller.signal)))
        const turn = yield* Effect.flatMap(agent, ({ next }) => next)
        const stayer = yield* promise(() =>
          client.chat.completions.create(
            { model: "colloquy", messages: hello, user: "twice", stream: true },
            { headers: { "Idempotency-Key": "key-1" } }
          )
        )
        controller.abort()
        yield* Fiber.join(leaver)
        yield* turn.answer("once")
        const text: Array<string> = []
        yield* promise(async () => {
          for await (const chunk of stayer) text.push(chunk.choices[0]?.delta.content ?? "")
        })
        expect(text.join("")).toBe("once")
        expect((yield* promise(() => ask())).choices[0]?.message.content).toBe("once")
        expect(
          yield* failure(() =>
            client.chat.completions.create(
              { model: "colloquy", messages: [{ role: "user", content: "other" }], user: "twice" },
              { headers: { "Idempotency-Key": "key-1" } }
            )
          )
        ).toMatchObject({ status: 409, code: "idempotency_mismatch" })
      })
    ))

  it("tells a fresh session what was said before; one that it names remembers", () =>
    run(
      Effect.gen(function* () {
        const client = yield* clientOf("owner-token")
        const messages = [
          { role: "system" as const, content: "be brief" },
          { role: "user" as const, content: "one" },
          { role: "assistant" as const, content: "uno" },
          { role: "user" as const, content: "two" }
        ]
        const heard = (more: object, headers: Record<string, string> = {}) =>
          Effect.gen(function* () {
            const asked = yield* Effect.fork(
              promise(() =>
                client.chat.completions.create({ model: "colloquy", messages, ...more }, { headers })
              )
            )
            const turn = yield* Effect.flatMap(agent, ({ next }) => next)
            yield* turn.answer("due")
            yield* Fiber.join(asked)
            return turn.request
          })
        expect((yield* heard({})).message).toBe(
          "Instructions: be brief\n\nUser: one\n\nAssistant: uno\n\nUser: two"
        )
        expect(yield* heard({ user: "bob@x.example" })).toMatchObject({
          message: "two",
          sessionKey: "agent:main:user:bob@x.example"
        })
        expect(yield* heard({}, { "x-session-key": "notes" })).toMatchObject({
          sessionKey: "agent:main:notes"
        })
        const hashed = [yield* heard({ user: "Bob/.." }), yield* heard({ user: "bob/.." })]
        expect(new Set(hashed.map(({ sessionKey }) => sessionKey)).size).toBe(2)
      })
    ))

  it("sends images, as data: URLs", () =>
    run(
      Effect.gen(function* () {
        const client = yield* clientOf("owner-token")
        const picture = Pictures.of("image/png")
        const withImage = (url: string) =>
          client.chat.completions.create({
            model: "colloquy",
            messages: [
              {
                role: "user",
                content: [
                  { type: "text", text: "what is it?" },
                  { type: "image_url", image_url: { url } }
                ]
              }
            ]
          })
        const asked = yield* Effect.fork(promise(() => withImage(`data:image/png;base64,${picture.data}`)))
        const turn = yield* Effect.flatMap(agent, ({ next }) => next)
        expect(turn.request.images).toMatchObject([{ mimeType: "image/png" }])
        yield* turn.answer("a picture")
        yield* Fiber.join(asked)
        expect(yield* failure(() => withImage("https://example.com/x.png"))).toMatchObject({
          status: 400,
          param: "messages[0].content"
        })
      })
    ))

  it("is told what is wrong as it expects to be told", () =>
    run(
      Effect.gen(function* () {
        const client = yield* clientOf("owner-token")
        const stranger = yield* clientOf("wrong")
        const asAlice = yield* clientOf("alice-token")
        const asReader = yield* clientOf("reader-token")
        const ask = (by: OpenAI, more: object = {}) =>
          failure(() => by.chat.completions.create({ model: "colloquy", messages: hello, ...more }))
        const refused = yield* ask(stranger)
        expect(refused).toBeInstanceOf(OpenAI.AuthenticationError)
        expect(refused).toMatchObject({ status: 401, code: "auth_token_mismatch" })
        expect(yield* ask(client, { model: "gpt-4" })).toMatchObject({ status: 404, param: "model" })
        expect(yield* ask(client, { model: "colloquy:nobody" })).toMatchObject({
          status: 404,
          code: "unknown_agent"
        })
        expect(yield* ask(client, { messages: [] })).toMatchObject({ status: 400, param: "messages[0]" })
        expect(yield* ask(client, { messages: [{ role: "system", content: "x" }] })).toMatchObject({
          status: 400,
          param: "messages"
        })
        expect(
          yield* ask(client, { messages: [{ role: "user", content: "x".repeat(600_000) }] })
        ).toMatchObject({
          status: 413
        })
        // Not her session; and one that may only read.
        expect(yield* ask(asAlice, { user: "bob" })).toMatchObject({ status: 403, code: "session_forbidden" })
        expect(yield* ask(asReader)).toMatchObject({ status: 403, code: "forbidden" })
        const hers = yield* Effect.fork(
          promise(() =>
            asAlice.chat.completions.create({ model: "colloquy", messages: hello, user: "alice" })
          )
        )
        yield* Effect.flatMap(
          Effect.flatMap(agent, ({ next }) => next),
          ({ answer }) => answer("hi")
        )
        yield* Fiber.join(hers)
      })
    ))

  it("hears of an agent that fails, in a stream, too", () =>
    run(
      Effect.gen(function* () {
        const client = yield* clientOf("owner-token")
        const asked = yield* Effect.fork(
          failure(() => client.chat.completions.create({ model: "colloquy", messages: hello }))
        )
        yield* Effect.flatMap(
          Effect.flatMap(agent, ({ next }) => next),
          ({ fail }) => fail("no more tokens")
        )
        expect(yield* Fiber.join(asked)).toMatchObject({ status: 502, code: "agent_failed" })

        const streamed = yield* Effect.fork(
          failure(async () => {
            const stream = await client.chat.completions.create({
              model: "colloquy",
              messages: hello,
              stream: true
            })
            for await (const _ of stream) void _
          })
        )
        const turn = yield* Effect.flatMap(agent, ({ next }) => next)
        yield* turn.say("half")
        yield* turn.fail("no more tokens")
        expect((yield* Fiber.join(streamed)).message).toContain("no more tokens")
      })
    ))

  it("lists the agents that the bearer may see", () =>
    run(
      Effect.gen(function* () {
        const client = yield* clientOf("owner-token")
        const models = yield* promise(() => client.models.list())
        expect(models.data.map(({ id }) => id)).toEqual(["colloquy", "colloquy:main"])
        expect((yield* promise(() => client.models.retrieve("colloquy:main"))).id).toBe("colloquy:main")
        expect(yield* failure(() => client.models.retrieve("gpt-4"))).toMatchObject({ status: 404 })
      })
    ))
})
