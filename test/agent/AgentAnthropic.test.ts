/** The agent `anthropic`: what it asks, and what it makes of the answers. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import type { ConversationMessage } from "../../src/agent/AgentRunner.js"
import * as HttpClientNode from "../../src/transport/HttpClientNode.js"
import { agentRequest } from "../support/Request.js"
import { type Exchange, make as makeServer } from "./model/HostileServer.js"
import { anthropic, ask as askProvider, failure, hear, options, streamed, typed } from "./model/Providers.js"

const ask = (
  answer: (exchange: Exchange) => void = streamed(anthropic.text("yes"), anthropic.stop, anthropic.over),
  more: Parameters<typeof askProvider>[2] = {},
  request = agentRequest("hi")
) => askProvider(anthropic, answer, more, request)

/** What the server was asked. */
const asked = (more: Parameters<typeof askProvider>[2] = {}, request = agentRequest("hi")) =>
  Effect.map(ask(undefined, more, request), ({ exchange }): unknown => JSON.parse(exchange.body))

const start = typed({
  type: "message_start",
  message: {
    id: "msg_1",
    usage: {
      input_tokens: 30,
      cache_creation_input_tokens: 20,
      cache_read_input_tokens: 10,
      output_tokens: 1
    }
  }
})
const stopped = (stop_reason: string | null, usage: object = { output_tokens: 9 }) =>
  typed({ type: "message_delta", delta: { stop_reason, stop_sequence: null }, usage })

const conversation: ReadonlyArray<ConversationMessage> = [
  {
    role: "user",
    content: [
      { type: "text", text: "What is this?" },
      { type: "text", text: " \n" }
    ]
  },
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
  it.scoped("is the conversation, without blocks of white space", () =>
    Effect.gen(function* () {
      const request = agentRequest("And this?", { conversation: () => Effect.succeed(conversation) })
      const { exchange } = yield* ask(undefined, { system: "Be short." }, request)
      expect(JSON.parse(exchange.body)).toEqual({
        model: "model-1",
        stream: true,
        max_tokens: 8192,
        system: "Be short.",
        messages: [
          { role: "user", content: [{ type: "text", text: "What is this?" }] },
          { role: "assistant", content: [{ type: "text", text: "A cat." }] },
          {
            role: "user",
            content: [
              { type: "text", text: "And this?" },
              { type: "image", source: { type: "base64", media_type: "image/png", data: "iVBORw==" } }
            ]
          }
        ]
      })
      expect(exchange.headers).toMatchObject({ "anthropic-version": "2023-06-01" })
    }).pipe(Effect.provide(HttpClientNode.layer))
  )

  it.scoped("turns levels of thinking into effort, with room for it", () =>
    Effect.gen(function* () {
      const high = yield* asked({ temperature: 0.5 }, agentRequest("hi", { thinking: "high" }))
      expect(high).toMatchObject({
        max_tokens: 8192 + 16_384,
        thinking: { type: "adaptive", display: "summarized" },
        output_config: { effort: "high" }
      })
      expect(high).not.toHaveProperty("temperature")
      expect(yield* asked({ thinking: "minimal", maxTokens: 100 })).toMatchObject({
        max_tokens: 100,
        output_config: { effort: "low" }
      })
      const none = [
        yield* asked({ thinking: "high", temperature: 0.5 }, agentRequest("hi", { thinking: "off" })),
        yield* asked({ thinking: "somehow", temperature: 0.5 })
      ]
      for (const body of none) {
        expect(body).not.toHaveProperty("thinking")
        expect(body).not.toHaveProperty("output_config")
        expect(body).toMatchObject({ max_tokens: 8192, temperature: 0.5 })
      }
    }).pipe(Effect.provide(HttpClientNode.layer))
  )

  it.scoped("turns them into budgets that leave room for the answer where a model refuses effort", () =>
    Effect.gen(function* () {
      const cases: ReadonlyArray<readonly [string, number | undefined, object]> = [
        [
          "high",
          undefined,
          { max_tokens: 8192 + 16_384, thinking: { type: "enabled", budget_tokens: 16_384 } }
        ],
        ["xhigh", 4096, { max_tokens: 4096, thinking: { type: "enabled", budget_tokens: 2048 } }],
        ["high", 2000, { max_tokens: 2000 }]
      ]
      for (const [thinking, maxTokens, expected] of cases) {
        const server = yield* makeServer
        const limit = maxTokens === undefined ? {} : { maxTokens }
        const agent = yield* anthropic.make(options(server.url, { thinking, ...limit }))
        const fiber = yield* Effect.fork(hear(agent))
        const refused = yield* server.next
        refused.begin(400, { "content-type": "application/json" })
        refused.end('{"error":{"message":"adaptive thinking is not supported on this model"}}')
        const again = yield* server.next
        const body: unknown = JSON.parse(again.body)
        expect(body).toMatchObject(expected)
        expect(body).not.toHaveProperty("output_config")
        if (!("thinking" in expected)) expect(body).not.toHaveProperty("thinking")
        streamed(anthropic.text("yes"), anthropic.stop, anthropic.over)(again)
        expect(yield* Fiber.join(fiber)).toMatchObject({ text: "yes" })
      }
    }).pipe(Effect.provide(HttpClientNode.layer))
  )
})

describe("the answer", () => {
  it.scoped("has thoughts and text, and tokens in all their kinds", () =>
    Effect.gen(function* () {
      const { events } = yield* ask(
        streamed(
          start,
          typed({ type: "content_block_start", index: 0, content_block: { type: "thinking", thinking: "" } }),
          typed({ type: "ping" }),
          typed({ type: "content_block_delta", index: 0, delta: { type: "thinking_delta", thinking: "hm" } }),
          typed({
            type: "content_block_delta",
            index: 0,
            delta: { type: "signature_delta", signature: "x" }
          }),
          typed({ type: "content_block_delta", index: 0, delta: { type: "delta_of_tomorrow" } }),
          typed({ type: "content_block_stop", index: 0 }),
          typed({ type: "content_block_start", index: 1, content_block: { type: "text", text: "" } }),
          anthropic.text("yes"),
          typed({ type: "content_block_start", index: 2, content_block: { type: "block_of_tomorrow" } }),
          stopped("end_turn"),
          anthropic.over
        )
      )
      expect(events).toEqual([
        { _tag: "Thinking", delta: "hm" },
        { _tag: "TextDelta", delta: "yes" },
        {
          _tag: "End",
          stopReason: "stop",
          usage: { input: 30, output: 9, cacheRead: 10, cacheWrite: 20, totalTokens: 69 }
        }
      ])
    }).pipe(Effect.provide(HttpClientNode.layer))
  )

  it.scoped("tells the tokens so far of an answer that fails", () =>
    Effect.gen(function* () {
      const { events } = yield* ask(streamed(start))
      expect(events).toEqual([
        {
          _tag: "UsageSoFar",
          usage: { input: 30, output: 1, cacheRead: 10, cacheWrite: 20, totalTokens: 61 }
        }
      ])
    }).pipe(Effect.provide(HttpClientNode.layer))
  )

  it.scoped("ends for a reason in the words of clients", () =>
    Effect.gen(function* () {
      const reasons = {
        end_turn: "stop",
        stop_sequence: "stop",
        max_tokens: "length",
        model_context_window_exceeded: "length",
        something_new: "something_new"
      }
      for (const [said, stopReason] of Object.entries(reasons)) {
        const { events } = yield* ask(streamed(anthropic.text("yes"), stopped(said), anthropic.over))
        expect(events.at(-1)).toMatchObject({ _tag: "End", stopReason })
      }
    }).pipe(Effect.provide(HttpClientNode.layer))
  )

  it.scoped("that is withheld, calls tools or only pauses is an error", () =>
    Effect.gen(function* () {
      const error = (type: string) => typed({ type: "error", error: { type, message: "no" } })
      const cases: ReadonlyArray<readonly [string, string, boolean]> = [
        [stopped("refusal"), "CONTENT_FILTERED", false],
        [stopped("tool_use"), "UNEXPECTED_TOOL_CALL", false],
        [
          typed({ type: "content_block_start", index: 0, content_block: { type: "tool_use", id: "t1" } }),
          "UNEXPECTED_TOOL_CALL",
          false
        ],
        [stopped("pause_turn"), "INCOMPLETE_ANSWER", false],
        [error("overloaded_error"), "PROVIDER_ERROR", true],
        [error("api_error"), "PROVIDER_ERROR", true],
        [error("rate_limit_error"), "RATE_LIMITED", true],
        [error("authentication_error"), "UNAUTHORIZED", false],
        [error("invalid_request_error"), "BAD_REQUEST", false],
        [error("error_of_tomorrow"), "PROVIDER_ERROR", true]
      ]
      for (const [said, code, retryable] of cases) {
        const heard = yield* ask(streamed(start, anthropic.text("half"), said, anthropic.over))
        expect(heard.text).toBe("half")
        expect(failure(heard)).toMatchObject({ code, retryable })
      }
    }).pipe(Effect.provide(HttpClientNode.layer))
  )

  it.scoped("is not whole when the connection is cut before the provider has said so", () =>
    Effect.gen(function* () {
      const heard = yield* ask((exchange) => {
        exchange.begin()
        exchange.write(anthropic.text("yes") + anthropic.stop)
        setImmediate(exchange.cut)
      })
      expect(failure(heard)).toMatchObject({ code: "STREAM_CUT" })
    }).pipe(Effect.provide(HttpClientNode.layer))
  )
})
