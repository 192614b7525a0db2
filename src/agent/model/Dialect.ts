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
  readonly body: (options: ModelOptions, question: Question) => Body
  readonly answer: (site: ModelError.Site) => EventReader.Answer
  /** Fields of the body that are left out when a server refuses them. */
  readonly mayLeaveOut: ReadonlyArray<string>
  /** The levels of thinking that it knows; absent: it is for the provider to know them. */
  readonly levels?: ReadonlySet<string>
}
