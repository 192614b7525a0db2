/**
 * The agent behind an API in the style of OpenAI's chat completions: OpenAI itself, OpenRouter, and servers on one's own
 * machine (Ollama, vLLM, llama.cpp, LM Studio).
 *
 * Levels of thinking are passed on as `reasoning_effort`, whatever their name; `off` sends none.
 */
import type { HttpClient } from "@effect/platform"
import { type Effect, type Layer, Option, Redacted, Schema } from "effect"
import * as AgentEvent from "../domain/AgentEvent.js"
import * as Usage from "../domain/Usage.js"
import type { Agent, AgentRunner, ConversationMessage } from "./AgentRunner.js"
import type * as Dialect from "./model/Dialect.js"
import type * as EventReader from "./model/EventReader.js"
import * as ModelAgent from "./model/ModelAgent.js"
import * as ModelError from "./model/ModelError.js"
import { defaultBaseUrls, type ModelOptions } from "./model/ModelOptions.js"
import * as StopReason from "./model/StopReason.js"
import * as Wire from "./model/Wire.js"

export const defaultBaseUrl = defaultBaseUrls.openai

/** The agent as a value, for `AgentRunner.layerAgents`. Nothing is asked before the first run. */
export const make = (options: ModelOptions): Effect.Effect<Agent, never, HttpClient.HttpClient> =>
  ModelAgent.make(dialect, options)

/** The agent alone. */
export const layer = (options: ModelOptions): Layer.Layer<AgentRunner, never, HttpClient.HttpClient> =>
  ModelAgent.layer(dialect, options)

/** What some servers refuse by these names: then it is left out, or said as they want it. */
const streamOptions = "stream_options"
const newLimit = "max_completion_tokens"

const body = (
  options: ModelOptions,
  question: Dialect.Question,
  refused: ReadonlySet<string>
): Dialect.Body => {
  const { maxTokens, system, temperature } = options
  const effort = question.thinking === "off" ? undefined : question.thinking
  return {
    model: options.model,
    stream: true,
    // Without it the tokens used stay unknown.
    ...(refused.has(streamOptions) ? {} : { stream_options: { include_usage: true } }),
    messages: [
      ...(system === undefined ? [] : [{ role: "system", content: system }]),
      ...question.messages.map(message)
    ],
    ...(effort === undefined ? {} : { reasoning_effort: effort }),
    ...(maxTokens === undefined ? {} : { [refused.has(newLimit) ? newLimit : "max_tokens"]: maxTokens }),
    ...(temperature === undefined ? {} : { temperature })
  }
}

/** Text alone is sent as a string: older servers know nothing else. */
const message = ({ content, role }: ConversationMessage): Dialect.Body => ({
  role,
  content: content.every((block) => block.type === "text")
    ? content.map((block) => block.text).join("\n\n")
    : content.map((block) =>
        block.type === "text"
          ? { type: "text", text: block.text }
          : { type: "image_url", image_url: { url: `data:${block.mimeType};base64,${block.data}` } }
      )
})

const { maybe } = Wire

/** What we read of a `chat.completion.chunk`. What else it holds is nothing to us. */
const Event = Schema.Struct({
  choices: maybe(
    Schema.Array(
      Schema.Struct({
        index: maybe(Schema.Number),
        finish_reason: maybe(Schema.String),
        delta: maybe(
          Schema.Struct({
            /** Mistral sends parts while its model thinks. */
            content: maybe(Schema.Union(Schema.String, Schema.Array(Schema.Unknown))),
            reasoning_content: maybe(Schema.String),
            reasoning: maybe(Schema.String),
            refusal: maybe(Schema.String),
            tool_calls: maybe(Schema.Array(Schema.Unknown)),
            function_call: maybe(Schema.Unknown)
          })
        )
      })
    )
  ),
  usage: maybe(
    Schema.Struct({
      prompt_tokens: Schema.optional(Schema.Unknown),
      completion_tokens: Schema.optional(Schema.Unknown),
      prompt_tokens_details: maybe(Schema.Struct({ cached_tokens: Schema.optional(Schema.Unknown) }))
    })
  ),
  error: Schema.optional(Schema.Unknown)
})
const isEvent = Schema.is(Event)
const isTextPart = Schema.is(Schema.Struct({ type: Schema.Literal("text"), text: Schema.String }))

const answer = (site: ModelError.Site): EventReader.Answer => {
  let saidDone = false
  let finishReason: string | undefined
  let hasSpoken = false
  let hasRefused = false
  let usage: Usage.Usage | undefined

  const say = (
    event: (delta: string) => AgentEvent.AgentEvent,
    delta: string | null | undefined,
    said: Array<AgentEvent.AgentEvent>
  ): void => {
    if (delta === undefined || delta === null || delta === "") return
    hasSpoken = true
    said.push(event(delta))
  }

  return {
    take: (data, said) => {
      if (data === "[DONE]") {
        saidDone = true
        return undefined
      }
      const event = Wire.parse(data)
      if (!isEvent(event)) return ModelError.malformed(site)
      if (event.error !== undefined && event.error !== null) return ModelError.fromObject(site, event.error)
      if (event.usage !== undefined && event.usage !== null) usage = usageOf(event.usage)
      const choice = event.choices?.find(({ index }) => (index ?? 0) === 0)
      const delta = choice?.delta
      if (delta !== undefined && delta !== null) {
        say(AgentEvent.thinking, delta.reasoning_content ?? delta.reasoning, said)
        if (typeof delta.content !== "object") say(AgentEvent.textDelta, delta.content, said)
        else
          for (const part of delta.content ?? [])
            if (isTextPart(part)) say(AgentEvent.textDelta, part.text, said)
        if ((delta.refusal ?? "") !== "") hasRefused = true
        if ((delta.tool_calls?.length ?? 0) > 0 || (delta.function_call ?? undefined) !== undefined)
          return ModelError.unexpectedToolCall(site)
      }
      finishReason = choice?.finish_reason ?? finishReason
      if (finishReason === "error") return ModelError.fromObject(site, undefined)
      return undefined
    },
    over: () => saidDone,
    end: () => {
      if (hasRefused || finishReason === "content_filter") return ModelError.contentFiltered(site)
      if (finishReason === "tool_calls" || finishReason === "function_call")
        return ModelError.unexpectedToolCall(site)
      if (finishReason === undefined && !saidDone) return ModelError.streamCut(site)
      if (finishReason === undefined && !hasSpoken) return ModelError.emptyAnswer(site)
      return AgentEvent.end({
        ...(finishReason === undefined ? {} : { stopReason: StopReason.make(finishReason) }),
        ...(usage === undefined ? {} : { usage })
      })
    },
    usage: () => usage
  }
}

const usageOf = (said: NonNullable<(typeof Event.Type)["usage"]>): Usage.Usage => {
  const sent = Wire.tokens(said.prompt_tokens)
  const cached = Wire.tokens(said.prompt_tokens_details?.cached_tokens)
  return Usage.make({
    input: Math.max(0, sent - cached),
    output: Wire.tokens(said.completion_tokens),
    ...(cached === 0 ? {} : { cacheRead: cached })
  })
}

const dialect: Dialect.Dialect = {
  kind: "openai",
  answerPath: "/chat/completions",
  modelsPath: "/models",
  headers: (key): Record<string, string> =>
    Option.match(key, {
      onNone: () => ({}),
      onSome: (key) => ({ authorization: `Bearer ${Redacted.value(key)}` })
    }),
  body,
  answer,
  // OpenAI's own newer models refuse `max_tokens` and say what they want; most other servers know nothing else.
  refusal: (said) => [streamOptions, newLimit].find((name) => said.includes(name))
}
