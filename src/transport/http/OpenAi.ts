/**
 * The shapes of OpenAI's chat completions, as far as they are read and written here.
 * Source: https://platform.openai.com/docs/api-reference/chat
 */
import { Schema } from "effect"

const TextPart = Schema.Struct({ type: Schema.Literal("text"), text: Schema.String })
const ImagePart = Schema.Struct({
  type: Schema.Literal("image_url"),
  image_url: Schema.Struct({
    url: Schema.String.annotations({ description: "a data: URL of a PNG, JPEG, GIF or WebP image" })
  })
})

const Content = Schema.Union(Schema.String, Schema.Array(Schema.Union(TextPart, ImagePart)))
export type Content = typeof Content.Type

export const ChatMessage = Schema.Struct({
  role: Schema.Literal("system", "developer", "user", "assistant", "tool", "function"),
  content: Schema.optional(Schema.NullOr(Content)),
  name: Schema.optional(Schema.String)
}).annotations({ identifier: "ChatMessage" })
export type ChatMessage = typeof ChatMessage.Type

/** The body of a request. What is not named here (temperature, tools, …) is the agent's own business, and not read. */
export const CompletionRequest = Schema.Struct({
  /** `colloquy`: the default agent; `colloquy:<agent>`: that one. */
  model: Schema.String,
  messages: Schema.NonEmptyArray(ChatMessage),
  stream: Schema.optional(Schema.NullOr(Schema.Boolean)),
  stream_options: Schema.optional(
    Schema.NullOr(Schema.Struct({ include_usage: Schema.optional(Schema.Boolean) }))
  ),
  /** Chooses the session: whoever comes with the same text goes on with the same conversation. */
  user: Schema.optional(Schema.NullOr(Schema.String))
}).annotations({ identifier: "CompletionRequest" })
export type CompletionRequest = typeof CompletionRequest.Type

/** Tokens. */
export const Usage = Schema.Struct({
  prompt_tokens: Schema.Number,
  completion_tokens: Schema.Number,
  total_tokens: Schema.Number
})
export type Usage = typeof Usage.Type

export const Completion = Schema.Struct({
  id: Schema.String,
  object: Schema.Literal("chat.completion"),
  /** Seconds since the Unix epoch. */
  created: Schema.Number,
  model: Schema.String,
  choices: Schema.Array(
    Schema.Struct({
      index: Schema.Number,
      message: Schema.Struct({
        role: Schema.Literal("assistant"),
        content: Schema.String,
        refusal: Schema.Null
      }),
      finish_reason: Schema.Literal("stop", "length"),
      logprobs: Schema.Null
    })
  ),
  /** Absent when the agent does not count. */
  usage: Schema.optionalWith(Usage, { exact: true })
}).annotations({ identifier: "Completion" })

export const Model = Schema.Struct({
  id: Schema.String,
  object: Schema.Literal("model"),
  created: Schema.Number,
  owned_by: Schema.String
}).annotations({ identifier: "Model" })
export const ModelList = Schema.Struct({ object: Schema.Literal("list"), data: Schema.Array(Model) })

/** What an error looks like. */
export const ErrorBody = Schema.Struct({
  error: Schema.Struct({
    message: Schema.String,
    type: Schema.String,
    param: Schema.NullOr(Schema.String),
    code: Schema.NullOr(Schema.String)
  })
}).annotations({ identifier: "ErrorBody" })

/** The name under which an agent is a model. */
export const modelOf = (agentId: string): string => `colloquy:${agentId}`

/** The agent of a model's name; undefined: it is none; null: the default agent. */
export const agentOf = (model: string): string | null | undefined =>
  model === "colloquy" ? null : model.startsWith("colloquy:") ? model.slice("colloquy:".length) : undefined
