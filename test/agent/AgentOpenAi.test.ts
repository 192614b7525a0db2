/** The agent `openai`: what it asks, and what it makes of the answers that OpenAI and servers like it give. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import type { ConversationMessage } from "../../src/agent/AgentRunner.js"
import * as HttpClientNode from "../../src/transport/HttpClientNode.js"
import { agentRequest } from "../support/Request.js"
import { type Exchange, make as makeServer } from "./model/HostileServer.js"
import { ask as askProvider, event, failure, hear, openai, options, streamed } from "./model/Providers.js"

const chunk = (delta: object, finish_reason: string | null = null) =>
  event({ choices: [{ index: 0, delta, finish_reason }] })

const ask = (
  answer: (exchange: Exchange) => void = streamed(openai.text("yes"), openai.stop, openai.over),
  more: Parameters<typeof askProvider>[2] = {},
  request = agentRequest("hi")
) => askProvider(openai, answer, more, request)

/** What the server was asked. */
const asked = (more: Parameters<typeof askProvider>[2] = {}, request = agentRequest("hi")) =>
  Effect.map(ask(undefined, more, request), ({ exchange }): unknown => JSON.parse(exchange.body))

const conversation: ReadonlyArray<ConversationMessage> = [
  { role: "user", content: [{ type: "text", text: "What is this?" }] },
  { role: "assistant", content: [{ type: "text", text: "A cat." }] },
  {
    role: "user",
    content: [
      { type: "text", text: "And this?" },
      { type: "image", mimeType: "image/png", data: "iVBORw==" }
    ]
  }
]

describe("the request", () => {
  it.scoped("is the conversation, text as strings and images as parts", () =>
    Effect.gen(function* () {
      const budgets: Array<unknown> = []
      const request = agentRequest("And this?", {
        conversation: (budget) =>
          Effect.sync(() => {
            budgets.push(budget)
            return conversation
          })
      })
      expect(yield* asked({ system: "Be short." }, request)).toEqual({
        model: "model-1",
        stream: true,
        stream_options: { include_usage: true },
        messages: [
          { role: "system", content: "Be short." },
          { role: "user", content: "What is this?" },
          { role: "assistant", content: "A cat." },
          {
            role: "user",
            content: [
              { type: "text", text: "And this?" },
              { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw==" } }
            ]
          }
        ]
      })
      expect(budgets).toEqual([{ messages: 100, bytes: 1_000_000, images: true }])
    }).pipe(Effect.provide(HttpClientNode.layer))
  )

  it.scoped("carries limits and levels of thinking only when there are some", () =>
    Effect.gen(function* () {
      expect(yield* asked({ maxTokens: 100, temperature: 0.5, thinking: "low" })).toMatchObject({
        max_tokens: 100,
        temperature: 0.5,
        reasoning_effort: "low"
      })
      const asksForMore = agentRequest("hi", { thinking: "high" })
      expect(yield* asked({ thinking: "low" }, asksForMore)).toMatchObject({ reasoning_effort: "high" })
      const off = agentRequest("hi", { thinking: "off" })
      expect(yield* asked({ thinking: "low" }, off)).not.toHaveProperty("reasoning_effort")
    }).pipe(Effect.provide(HttpClientNode.layer))
  )

  it.scoped("is sent again without `stream_options` where a server refuses those, and from then on", () =>
    Effect.gen(function* () {
      const server = yield* makeServer
      const agent = yield* openai.make(options(server.url))
      const first = yield* Effect.fork(hear(agent))
      const refused = yield* server.next
      refused.begin(400, { "content-type": "application/json" })
      refused.end('{"error":{"message":"unknown field stream_options"}}')
      const again = yield* server.next
      expect(JSON.parse(again.body)).not.toHaveProperty("stream_options")
      streamed(openai.text("yes"), openai.stop, openai.over)(again)
      expect(yield* Fiber.join(first)).toMatchObject({ text: "yes" })
      const second = yield* Effect.fork(hear(agent))
      const next = yield* server.next
      expect(JSON.parse(next.body)).not.toHaveProperty("stream_options")
      next.begin(400, { "content-type": "application/json" })
      next.end('{"error":{"message":"still stream_options"}}')
      expect(failure(yield* Fiber.join(second))).toMatchObject({ code: "BAD_REQUEST" })
    }).pipe(Effect.provide(HttpClientNode.layer))
  )
})

describe("the limit of an answer", () => {
  it.scoped("goes by its new name where the old one is refused", () =>
    Effect.gen(function* () {
      const server = yield* makeServer
      const agent = yield* openai.make(options(server.url, { maxTokens: 100 }))
      const fiber = yield* Effect.fork(hear(agent))
      const refused = yield* server.next
      expect(JSON.parse(refused.body)).toMatchObject({ max_tokens: 100 })
      refused.begin(400, { "content-type": "application/json" })
      refused.end(
        JSON.stringify({ error: { message: "Use 'max_completion_tokens' instead of 'max_tokens'." } })
      )
      const again = yield* server.next
      expect(JSON.parse(again.body)).toMatchObject({ max_completion_tokens: 100 })
      expect(JSON.parse(again.body)).not.toHaveProperty("max_tokens")
      streamed(openai.text("yes"), openai.stop, openai.over)(again)
      expect(yield* Fiber.join(fiber)).toMatchObject({ text: "yes" })
    }).pipe(Effect.provide(HttpClientNode.layer))
  )
})

describe("the answer", () => {
  it.scoped("has thoughts in either of their names, and parts as some servers send them", () =>
    Effect.gen(function* () {
      const { events } = yield* ask(
        streamed(
          chunk({ role: "assistant", content: "" }),
          chunk({ reasoning_content: "one " }),
          chunk({ reasoning: "two", content: null }),
          chunk({
            content: [
              { type: "thinking", thinking: [] },
              { type: "text", text: "three" }
            ]
          }),
          event({ choices: [{ index: 1, delta: { content: "another choice" } }] }),
          chunk({}, "stop"),
          openai.over
        )
      )
      expect(events).toEqual([
        { _tag: "Thinking", delta: "one " },
        { _tag: "Thinking", delta: "two" },
        { _tag: "TextDelta", delta: "three" },
        { _tag: "End", stopReason: "stop" }
      ])
    }).pipe(Effect.provide(HttpClientNode.layer))
  )

  it.scoped("counts tokens, those from the cache apart", () =>
    Effect.gen(function* () {
      const { events } = yield* ask(
        streamed(
          openai.text("yes"),
          openai.stop,
          event({
            choices: [],
            usage: {
              prompt_tokens: 100,
              completion_tokens: 7,
              total_tokens: 107,
              prompt_tokens_details: { cached_tokens: 64 },
              completion_tokens_details: null
            }
          }),
          openai.over
        )
      )
      expect(events.at(-1)).toEqual({
        _tag: "End",
        stopReason: "stop",
        usage: { input: 36, output: 7, cacheRead: 64, totalTokens: 107 }
      })
    }).pipe(Effect.provide(HttpClientNode.layer))
  )

  it.scoped("tells the tokens so far of an answer that fails", () =>
    Effect.gen(function* () {
      const { events } = yield* ask(
        streamed(
          event({
            choices: [{ delta: { content: "half" } }],
            usage: { prompt_tokens: 3, completion_tokens: 1 }
          })
        )
      )
      expect(events.at(-1)).toEqual({ _tag: "UsageSoFar", usage: { input: 3, output: 1, totalTokens: 4 } })
    }).pipe(Effect.provide(HttpClientNode.layer))
  )

  it.scoped("ends for a reason in the words of clients", () =>
    Effect.gen(function* () {
      const reasons = { stop: "stop", length: "length", max_tokens: "length", something_new: "something_new" }
      for (const [said, stopReason] of Object.entries(reasons)) {
        const { events } = yield* ask(streamed(openai.text("yes"), chunk({}, said), openai.over))
        expect(events.at(-1)).toMatchObject({ _tag: "End", stopReason })
      }
      const without = yield* ask(streamed(openai.text("yes"), openai.over))
      expect(without.events.at(-1)).toEqual({ _tag: "End" })
    }).pipe(Effect.provide(HttpClientNode.layer))
  )

  it.scoped("that is withheld, calls tools or says nothing at all is an error", () =>
    Effect.gen(function* () {
      const cases: ReadonlyArray<readonly [string, string]> = [
        [chunk({}, "content_filter"), "CONTENT_FILTERED"],
        [chunk({ refusal: "I can't" }) + chunk({}, "stop"), "CONTENT_FILTERED"],
        [chunk({ tool_calls: [{ index: 0, id: "t1" }] }), "UNEXPECTED_TOOL_CALL"],
        [chunk({}, "tool_calls"), "UNEXPECTED_TOOL_CALL"],
        [chunk({}, "error"), "PROVIDER_ERROR"],
        [event({ error: { code: 429, message: "slow down" } }), "RATE_LIMITED"],
        [event({ error: { type: "invalid_request_error", code: "context_length_exceeded" } }), "BAD_REQUEST"],
        [event({ error: {} }), "PROVIDER_ERROR"],
        ["", "EMPTY_ANSWER"]
      ]
      for (const [said, code] of cases)
        expect(failure(yield* ask(streamed(said, openai.over)))).toMatchObject({ code })
    }).pipe(Effect.provide(HttpClientNode.layer))
  )

  it.scoped("is whole when the connection is cut behind its finish", () =>
    Effect.gen(function* () {
      const { exit, text } = yield* ask((exchange) => {
        exchange.begin()
        exchange.write(openai.text("yes") + openai.stop)
        setImmediate(exchange.cut)
      })
      expect([text, Exit.isSuccess(exit)]).toEqual(["yes", true])
    }).pipe(Effect.provide(HttpClientNode.layer))
  )
})
