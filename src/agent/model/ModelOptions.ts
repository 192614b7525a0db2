/** What the agents that ask a model's API can be told; the same for every provider. */
import type { Duration, Option, Redacted } from "effect"

/** Where the providers' own APIs begin. Here, so that knowing it does not load what speaks to them. */
export const defaultBaseUrls = {
  openai: "https://api.openai.com/v1",
  anthropic: "https://api.anthropic.com"
} as const

export interface ModelOptions {
  /** As the provider names it. */
  readonly model: string
  /** Where the API begins; each kind exports its `defaultBaseUrl`. A query is kept and sent. */
  readonly baseUrl: string
  /** None: no header with a key is sent, as servers on one's own machine want it. */
  readonly apiKey: Option.Option<Redacted.Redacted>
  /** Where the operator has put the key (`OPENAI_API_KEY`), so that a message can say what to check. */
  readonly keyName?: string
  /** Of the agent, for people. */
  readonly name?: string
  /** Who runs the model, for clients. Default: the kind. */
  readonly provider?: string
  /** The system prompt. */
  readonly system?: string
  /** The longest answer, in tokens. Default: the provider's own; Anthropic's API must be told one: 8192. */
  readonly maxTokens?: number
  /** Default: the provider's own. */
  readonly temperature?: number
  /** The level of thinking when neither the client nor the session names one. */
  readonly thinking?: string
  /** Can the model see images? Default: yes. */
  readonly images?: boolean
  /** Tokens that fit into one request, for clients. */
  readonly contextWindow?: number
  /** Has it levels of thinking? For clients. */
  readonly reasoning?: boolean
  /** How much of the conversation is sent with a message. Bytes are of UTF-8 text and of base64. */
  readonly history: { readonly messages: number; readonly bytes: number }
  readonly runTimeout?: Duration.Duration
  readonly maxConcurrentRuns?: number
}
