/** Both providers against a mock of their servers that others maintain, so that we don't only agree with ourselves. */
import { LLMock } from "@copilotkit/aimock"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import type { ConversationMessage } from "../../../src/agent/AgentRunner.js"
import * as HttpClientNode from "../../../src/transport/HttpClientNode.js"
import { agentRequest } from "../../support/Request.js"
import { failure, hear, key, openai, options, providers } from "./Providers.js"

const start = Effect.acquireRelease(
  Effect.promise(async () => {
    const mock = new LLMock({ host: "127.0.0.1", port: 0, chunkSize: 5 })
    await mock.start()
    return mock
  }),
  (mock) => Effect.promise(() => mock.stop())
)

const image = { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw0KGgo=" } }

for (const provider of providers) {
  const begin = Effect.gen(function* () {
    const mock = yield* start
    const baseUrl = provider === openai ? `${mock.url}/v1` : mock.url
    const make = (model = "gpt-4o") => provider.make(options(baseUrl, { model, system: "Be short." }))
    return { mock, make }
  })

  describe(`${provider.name}: aimock`, () => {
    it.scoped("text, thoughts, tokens and the reason of the end", () =>
      Effect.gen(function* () {
        const { make, mock } = yield* begin
        mock.onMessage("Who are you?", {
          content: "A mock, and proud of it.",
          reasoning: "They ask who I am.",
          usage: { prompt_tokens: 11, completion_tokens: 5, input_tokens: 11, output_tokens: 5 }
        })
        const { events, text } = yield* hear(yield* make(), agentRequest("Who are you?"))
        expect(text).toBe("A mock, and proud of it.")
        expect(events.filter(({ _tag }) => _tag === "TextDelta").length).toBeGreaterThan(2)
        expect(events.flatMap((event) => (event._tag === "Thinking" ? [event.delta] : [])).join("")).toBe(
          "They ask who I am."
        )
        expect(events.at(-1)).toEqual({
          _tag: "End",
          stopReason: "stop",
          usage: { input: 11, output: 5, totalTokens: 16 }
        })
      }).pipe(Effect.provide(HttpClientNode.layer))
    )

    it.scoped("a conversation of several turns, with an image", () =>
      Effect.gen(function* () {
        const { make, mock } = yield* begin
        mock.onMessage("And this?", { content: "A dog.", finishReason: "length" })
        const conversation: ReadonlyArray<ConversationMessage> = [
          { role: "user", content: [{ type: "text", text: "What is this?" }] },
          { role: "assistant", content: [{ type: "text", text: "A cat." }] },
          {
            role: "user",
            content: [
              { type: "text", text: "And this?" },
              { type: "image", mimeType: "image/png", data: "iVBORw0KGgo=" }
            ]
          }
        ]
        const request = agentRequest("And this?", { conversation: () => Effect.succeed(conversation) })
        const { events, text } = yield* hear(yield* make(), request)
        expect(text).toBe("A dog.")
        expect(events.at(-1)).toMatchObject({ _tag: "End", stopReason: "length" })
        expect(mock.getLastRequest()).toMatchObject({
          headers:
            provider === openai ? { authorization: expect.any(String) } : { "x-api-key": expect.any(String) },
          // The mock's journal has every provider's messages in OpenAI's words.
          body: {
            messages: [
              { role: "system", content: "Be short." },
              { role: "user", content: "What is this?" },
              { role: "assistant", content: "A cat." },
              // … and of Anthropic's images it keeps nothing.
              {
                role: "user",
                content: provider === openai ? expect.arrayContaining([image]) : "And this?"
              }
            ]
          }
        })
      }).pipe(Effect.provide(HttpClientNode.layer))
    )

    it.scoped("refusals, with the time to wait", () =>
      Effect.gen(function* () {
        const { make, mock } = yield* begin
        mock.onMessage("limit", {
          error: { message: "slow down", type: "rate_limit_error" },
          status: 429,
          retryAfter: 3
        })
        mock.onMessage("key", { error: { message: `bad ${key}`, type: "authentication_error" }, status: 401 })
        const agent = yield* make()
        expect(failure(yield* hear(agent, agentRequest("limit")))).toMatchObject({
          code: "RATE_LIMITED",
          retryable: true,
          retryAfterMs: 3000,
          message: expect.stringContaining("slow down")
        })
        const refused = failure(yield* hear(agent, agentRequest("key")))
        expect(refused).toMatchObject({ code: "UNAUTHORIZED" })
        expect(refused.message).not.toContain(key)
        expect(failure(yield* hear(agent, agentRequest("nothing fits")))).toMatchObject({
          code: "MODEL_NOT_FOUND"
        })
      }).pipe(Effect.provide(HttpClientNode.layer))
    )

    it.scoped("tool calls that nobody offered, and streams that are cut", () =>
      Effect.gen(function* () {
        const { make, mock } = yield* begin
        mock.onMessage("tool", { toolCalls: [{ name: "run", arguments: "{}" }] })
        mock.onMessage("cut", { content: "This is cut off somewhere." }, { truncateAfterChunks: 3 })
        const agent = yield* make()
        expect(failure(yield* hear(agent, agentRequest("tool")))).toMatchObject({
          code: "UNEXPECTED_TOOL_CALL"
        })
        // The mock may cut before anything has left it.
        expect(["STREAM_CUT", "UNREACHABLE"]).toContain(failure(yield* hear(agent, agentRequest("cut"))).code)
      }).pipe(Effect.provide(HttpClientNode.layer))
    )

    it.scoped("check", () =>
      Effect.gen(function* () {
        const { make } = yield* begin
        expect(yield* (yield* make()).check).toContain("gpt-4o is there")
        expect(yield* Effect.flip((yield* make("gpt-4o-maxi")).check)).toMatchObject({
          code: "MODEL_NOT_FOUND",
          message: expect.stringContaining("it has gpt-4o")
        })
      }).pipe(Effect.provide(HttpClientNode.layer))
    )
  })
}
