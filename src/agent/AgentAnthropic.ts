/**
 * The agent behind Anthropic's Messages API.
 *
 * Levels of thinking become an effort (`minimal` is `low`, too) with adaptive thinking, whose text is asked for. Models before
 * Claude 4.6 refuse that and get a budget of tokens instead: `minimal` 1024, `low` 4096, `medium` 8192, `high` 16384, `xhigh`
 * 32768. `off` and levels of other names ask for nothing. An answer's limit counts what is thought, too: the default limit
 * grows by the budget, and of a limit that is configured a budget takes half at most, and nothing if that is less than 1024.
 * Temperature is left out while the model thinks, as the API wants it.
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

export const defaultBaseUrl = defaultBaseUrls.anthropic

/** The agent as a value, for `AgentRunner.layerAgents`. Nothing is asked before the first run. */
export const make = (options: ModelOptions): Effect.Effect<Agent, never, HttpClient.HttpClient> =>
  ModelAgent.make(dialect, options)

/** The agent alone. */
export const layer = (options: ModelOptions): Layer.Layer<AgentRunner, never, HttpClient.HttpClient> =>
  ModelAgent.layer(dialect, options)

const defaultMaxTokens = 8192
const leastBudget = 1024
const budgets = new Map([
  ["minimal", leastBudget],
  ["low", 4096],
  ["medium", 8192],
  ["high", 16_384],
  ["xhigh", 32_768]
])

/** What older models refuse. */
const adaptive = "adaptive thinking"

const body = (
  options: ModelOptions,
  question: Dialect.Question,
  refused: ReadonlySet<string>
): Dialect.Body => {
  const { maxTokens, system, temperature } = options
  const thinking = thinkingOf(question.thinking ?? "off", maxTokens, refused)
  return {
    model: options.model,
    stream: true,
    max_tokens: maxTokens ?? defaultMaxTokens + (budgets.get(question.thinking ?? "off") ?? 0),
    ...(system === undefined || isBlank(system) ? {} : { system }),
    messages: question.messages.map(message).filter(({ content }) => content.length > 0),
    ...thinking,
    ...(temperature === undefined || thinking !== undefined ? {} : { temperature })
  }
}

const thinkingOf = (
  level: string,
  maxTokens: number | undefined,
  refused: ReadonlySet<string>
): Dialect.Body | undefined => {
  const wanted = budgets.get(level)
  if (wanted === undefined) return undefined
  if (!refused.has(adaptive))
    return {
      thinking: { type: "adaptive", display: "summarized" },
      output_config: { effort: level === "minimal" ? "low" : level }
    }
  const budget = maxTokens === undefined ? wanted : Math.min(wanted, Math.floor(maxTokens / 2))
  return budget < leastBudget ? undefined : { thinking: { type: "enabled", budget_tokens: budget } }
}

const isBlank = (text: string): boolean => text.trim() === ""

/** Blocks of white space are left out: the API refuses the whole request for one. */
const message = ({ content, role }: ConversationMessage) => ({
  role,
  content: content
    .filter((block) => block.type === "image" || !isBlank(block.text))
    .map((block) =>
      block.type === "text"
        ? { type: "text", text: block.text }
        : { type: "image", source: { type: "base64", media_type: block.mimeType, data: block.data } }
    )
})

const { maybe } = Wire

const Tokens = Schema.Struct({
  input_tokens: Schema.optional(Schema.Unknown),
  output_tokens: Schema.optional(Schema.Unknown),
  cache_read_input_tokens: Schema.optional(Schema.Unknown),
  cache_creation_input_tokens: Schema.optional(Schema.Unknown)
})

/** What we read of the events. Types that are not here are left out, as the API's rules on versions ask of clients. */
const Event = {
  message_start: Schema.is(Schema.Struct({ message: Schema.Struct({ usage: maybe(Tokens) }) })),
  content_block_start: Schema.is(
    Schema.Struct({ content_block: Schema.Struct({ type: Schema.String, text: maybe(Schema.String) }) })
  ),
  content_block_delta: Schema.is(
    Schema.Struct({
      delta: Schema.Struct({
        type: Schema.String,
        text: maybe(Schema.String),
        thinking: maybe(Schema.String)
      })
    })
  ),
  message_delta: Schema.is(
    Schema.Struct({ delta: Schema.Struct({ stop_reason: maybe(Schema.String) }), usage: maybe(Tokens) })
  ),
  error: Schema.is(Schema.Struct({ error: Schema.Unknown }))
}
const isTyped = Schema.is(Schema.Struct({ type: Schema.String }))

const answer = (site: ModelError.Site): EventReader.Answer => {
  let saidStop = false
  let stopReason: string | undefined
  let counted: typeof Tokens.Type = {}
  let usage: Usage.Usage | undefined

  const count = (tokens: typeof Tokens.Type | null | undefined): void => {
    if (tokens === undefined || tokens === null) return
    // Counts are of the whole answer so far; those that are not said again stay.
    counted = { ...counted, ...tokens }
    usage = usageOf(counted)
  }
  const say = (
    event: (delta: string) => AgentEvent.AgentEvent,
    delta: string | null | undefined,
    said: Array<AgentEvent.AgentEvent>
  ): void => {
    if (delta !== undefined && delta !== null && delta !== "") said.push(event(delta))
  }

  return {
    take: (data, said) => {
      const event = Wire.parse(data)
      if (!isTyped(event)) return ModelError.malformed(site)
      switch (event.type) {
        case "content_block_delta":
          if (!Event.content_block_delta(event)) return ModelError.malformed(site)
          if (event.delta.type === "text_delta") say(AgentEvent.textDelta, event.delta.text, said)
          else if (event.delta.type === "thinking_delta") say(AgentEvent.thinking, event.delta.thinking, said)
          return undefined
        case "content_block_start":
          if (!Event.content_block_start(event)) return ModelError.malformed(site)
          if (event.content_block.type === "tool_use") return ModelError.unexpectedToolCall(site)
          if (event.content_block.type === "text") say(AgentEvent.textDelta, event.content_block.text, said)
          return undefined
        case "message_start":
          if (!Event.message_start(event)) return ModelError.malformed(site)
          count(event.message.usage)
          return undefined
        case "message_delta":
          if (!Event.message_delta(event)) return ModelError.malformed(site)
          stopReason = event.delta.stop_reason ?? stopReason
          count(event.usage)
          return undefined
        case "message_stop":
          saidStop = true
          return undefined
        case "error":
          return ModelError.fromObject(site, Event.error(event) ? event.error : undefined)
        default:
          return undefined
      }
    },
    over: () => saidStop,
    end: (cleanly) => {
      if (!saidStop && (stopReason === undefined || !cleanly)) return ModelError.streamCut(site)
      if (stopReason === "refusal") return ModelError.contentFiltered(site)
      if (stopReason === "tool_use") return ModelError.unexpectedToolCall(site)
      if (stopReason === "pause_turn") return ModelError.incomplete(site, stopReason)
      return AgentEvent.end({
        ...(stopReason === undefined ? {} : { stopReason: StopReason.make(stopReason) }),
        ...(usage === undefined ? {} : { usage })
      })
    },
    usage: () => usage
  }
}

const usageOf = (counted: typeof Tokens.Type): Usage.Usage => {
  const read = Wire.tokens(counted.cache_read_input_tokens)
  const written = Wire.tokens(counted.cache_creation_input_tokens)
  return Usage.make({
    input: Wire.tokens(counted.input_tokens),
    output: Wire.tokens(counted.output_tokens),
    ...(read === 0 ? {} : { cacheRead: read }),
    ...(written === 0 ? {} : { cacheWrite: written })
  })
}

const dialect: Dialect.Dialect = {
  kind: "anthropic",
  answerPath: "/v1/messages",
  modelsPath: "/v1/models",
  modelsQuery: "limit=1000",
  headers: (key): Record<string, string> => ({
    "anthropic-version": "2023-06-01",
    ...Option.match(key, { onNone: () => ({}), onSome: (key) => ({ "x-api-key": Redacted.value(key) }) })
  }),
  body,
  answer,
  refusal: (said) => (/adaptive|effort|output_config/i.test(said) ? adaptive : undefined),
  levels: new Set(budgets.keys())
}
