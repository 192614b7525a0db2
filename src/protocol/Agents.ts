/** `agents.list` and `models.list`. */
import { Schema } from "effect"
import { Count, optional } from "./Field.js"

export const AgentRow = Schema.Struct({
  id: Schema.NonEmptyString,
  name: optional(Schema.String),
  /** What answers: `demo`, `openai`, `anthropic`, `acp`, `command`, or a name of the team's own. */
  kind: Schema.String,
  /** The id of its model. */
  model: optional(Schema.String),
  /** Can it see images? */
  images: Schema.Boolean
})

export const AgentsResult = Schema.Struct({
  defaultId: Schema.NonEmptyString,
  mainKey: Schema.NonEmptyString,
  scope: Schema.NonEmptyString,
  agents: Schema.Array(AgentRow)
})

export const ModelRow = Schema.Struct({
  id: Schema.NonEmptyString,
  name: Schema.String,
  provider: Schema.String,
  /** Tokens. */
  contextWindow: optional(Count),
  reasoning: optional(Schema.Boolean)
})
/** The models of all agents, each once. */
export const ModelsResult = Schema.Struct({ models: Schema.Array(ModelRow) })
