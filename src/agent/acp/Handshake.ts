/** Handshake: what an agent says of itself and of a new session, read with tolerance. */
import { Schema } from "effect"

const optional = <A, I>(schema: Schema.Schema<A, I>) =>
  Schema.optionalWith(Schema.NullishOr(schema), { exact: true })
/** A capability is there when it is an object, be it empty. */
const Capability = optional(Schema.Object)

const Capabilities = Schema.Struct({
  loadSession: optional(Schema.Boolean),
  promptCapabilities: optional(Schema.Struct({ image: optional(Schema.Boolean) })),
  sessionCapabilities: optional(Schema.Struct({ resume: Capability, close: Capability }))
})

export const Initialized = Schema.Struct({
  protocolVersion: Schema.Number,
  agentInfo: optional(
    Schema.Struct({ name: Schema.String, title: optional(Schema.String), version: Schema.String })
  ),
  agentCapabilities: optional(Capabilities),
  authMethods: optional(Schema.Array(Schema.Struct({ id: Schema.String, name: optional(Schema.String) })))
})
export interface Initialized extends Schema.Schema.Type<typeof Initialized> {}

const Choice = Schema.Struct({ value: Schema.String, name: Schema.String })
const ConfigOption = Schema.Struct({
  id: Schema.String,
  category: optional(Schema.String),
  type: optional(Schema.String),
  currentValue: Schema.optionalWith(Schema.Unknown, { exact: true }),
  options: optional(Schema.Array(Schema.Union(Choice, Schema.Struct({ options: Schema.Array(Choice) }))))
})

export const SessionState = Schema.Struct({
  configOptions: optional(Schema.Array(ConfigOption)),
  /** As agents offer models that were made before `configOptions`; they take `session/set_model`. */
  models: optional(
    Schema.Struct({
      currentModelId: Schema.String,
      availableModels: Schema.Array(Schema.Struct({ modelId: Schema.String, name: Schema.String }))
    })
  )
})
export interface SessionState extends Schema.Schema.Type<typeof SessionState> {}

export const NewSession = Schema.Struct({ ...SessionState.fields, sessionId: Schema.String })

const Tokens = Schema.NonNegativeInt
export const PromptEnd = Schema.Struct({
  stopReason: Schema.String,
  usage: optional(
    Schema.Struct({
      inputTokens: Tokens,
      outputTokens: Tokens,
      thoughtTokens: optional(Tokens),
      cachedReadTokens: optional(Tokens),
      cachedWriteTokens: optional(Tokens),
      totalTokens: Tokens
    })
  )
})
export interface PromptEnd extends Schema.Schema.Type<typeof PromptEnd> {}

/** One of a session's settings that is chosen from a list. */
export interface Setting {
  readonly id: string
  readonly current: unknown
  readonly choices: ReadonlyArray<typeof Choice.Type>
}

/** The setting of a category: `model`, `thought_level`. */
export const settingOf = (state: SessionState, category: string): Setting | undefined => {
  const option = state.configOptions?.find((candidate) => candidate.category === category)
  if (option === undefined) return undefined
  return {
    id: option.id,
    current: option.currentValue,
    choices: (option.options ?? []).flatMap((choice) => ("options" in choice ? choice.options : [choice]))
  }
}
