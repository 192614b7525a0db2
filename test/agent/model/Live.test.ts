/** The real providers: one short question each, only where a key is set. Which model is asked can be set as well. */
import { describe, expect, it } from "@effect/vitest"
import { Config, Effect, Option } from "effect"
import * as AgentAnthropic from "../../../src/agent/AgentAnthropic.js"
import * as AgentOpenAi from "../../../src/agent/AgentOpenAi.js"
import * as HttpClientNode from "../../../src/transport/HttpClientNode.js"
import { agentRequest } from "../../support/Request.js"
import { hear, options } from "./Providers.js"

const settings = Config.all({
  openAiKey: Config.option(Config.redacted("OPENAI_API_KEY")),
  openAiModel: Config.withDefault(Config.string("OPENAI_MODEL"), "gpt-4o-mini"),
  anthropicKey: Config.option(Config.redacted("ANTHROPIC_API_KEY")),
  anthropicModel: Config.withDefault(Config.string("ANTHROPIC_MODEL"), "claude-haiku-4-5")
})
const { anthropicKey, anthropicModel, openAiKey, openAiModel } = Effect.runSync(settings)

const lives = [
  { name: "OPENAI_API_KEY", key: openAiKey, model: openAiModel, kind: AgentOpenAi },
  { name: "ANTHROPIC_API_KEY", key: anthropicKey, model: anthropicModel, kind: AgentAnthropic }
]

describe("the real provider answers", () => {
  for (const { key, kind, model, name } of lives) {
    // oxlint-disable-next-line house/no-focus-or-skip -- it costs money and needs a key that few have
    it.scopedLive.skipIf(Option.isNone(key))(`when ${name} is set: ${model}`, () =>
      Effect.gen(function* () {
        const agent = yield* kind.make(
          options(kind.defaultBaseUrl, { apiKey: key, keyName: name, model, maxTokens: 16 })
        )
        expect(yield* agent.check).toContain(model)
        const { events, text } = yield* hear(agent, agentRequest("Answer with the one word: pong"))
        expect(text.toLowerCase()).toContain("pong")
        expect(events.at(-1)).toMatchObject({
          _tag: "End",
          stopReason: "stop",
          usage: { output: expect.any(Number) }
        })
      }).pipe(Effect.provide(HttpClientNode.layer))
    )
  }
})
