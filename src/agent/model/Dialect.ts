/** Dialect: what differs between the providers of models. */
import type { Option, Redacted } from "effect"
import type { ConversationMessage } from "../AgentRunner.js"
import type * as EventReader from "./EventReader.js"
import type * as ModelError from "./ModelError.js"
import type { ModelOptions } from "./ModelOptions.js"

/** JSON for a provider. */
export type Body = Readonly<Record<string, unknown>>

/** What a model is asked. */
export interface Question {
  readonly messages: ReadonlyArray<ConversationMessage>
  readonly thinking: string | undefined
}

/** How one provider's API is spoken. */
export interface Dialect {
  readonly kind: "openai" | "anthropic"
  /** Where answers are asked for, below the base URL. */
  readonly answerPath: string
  /** Where the models are listed; one model's own page is below it. */
  readonly modelsPath: string
  /** What asks for the whole list, where it comes in pages. */
  readonly modelsQuery?: string
  readonly headers: (key: Option.Option<Redacted.Redacted>) => Readonly<Record<string, string>>
  /** What is sent. `refused`: what this server does not take, by the names that `refusal` gives. */
  readonly body: (options: ModelOptions, question: Question, refused: ReadonlySet<string>) => Body
  /** What a server does not take when it refuses a request with these words, if `body` can do without it. */
  readonly refusal: (said: string) => string | undefined
  readonly answer: (site: ModelError.Site) => EventReader.Answer
  /** The levels of thinking that it knows; absent: it is for the provider to know them. */
  readonly levels?: ReadonlySet<string>
}
