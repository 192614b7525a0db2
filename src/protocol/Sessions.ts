/** `sessions.*`: parameters and results. */
import { Schema } from "effect"
import { Count, optional, PositionField } from "./Field.js"

/** A session's key as the client writes it: `main`, a bare key, or `agent:<agentId>:<rest>`. */
const KeyParam = Schema.NonEmptyString.annotations({
  description: "a session key, at most 512 characters"
})
/** The agent of a bare session key, instead of the default one. A full key names its own. */
const AgentIdParam = optional(Schema.NonEmptyString)

const Positive = Schema.Int.pipe(Schema.greaterThanOrEqualTo(1)).annotations({
  description: "an integer of at least 1"
})

export const maxLabelLength = 512
const Label = Schema.NonEmptyString.pipe(Schema.maxLength(maxLabelLength)).annotations({
  description: `a non-empty string of at most ${maxLabelLength} characters`
})

/** What an entry says that clients are told. What it does not have is absent. */
const entryFields = {
  sessionId: optional(Schema.String),
  /** Milliseconds since the Unix epoch. */
  updatedAt: Schema.Number,
  label: optional(Schema.String),
  displayName: optional(Schema.String),
  thinkingLevel: optional(Schema.String),
  verboseLevel: optional(Schema.String),
  reasoningLevel: optional(Schema.String),
  responseUsage: optional(Schema.String),
  sendPolicy: optional(Schema.String),
  groupActivation: optional(Schema.String),
  /** Of the last run, as far as its agent says so. */
  model: optional(Schema.String),
  modelProvider: optional(Schema.String),
  contextTokens: optional(Schema.Number),
  inputTokens: optional(Schema.Number),
  outputTokens: optional(Schema.Number),
  totalTokens: optional(Schema.Number),
  abortedLastRun: optional(Schema.Boolean),
  lastChannel: optional(Schema.String),
  lastTo: optional(Schema.String)
}

/** A session's entry, as far as clients are told of it. */
export const SessionEntry = Schema.Struct(entryFields)
export interface SessionEntry extends Schema.Schema.Type<typeof SessionEntry> {}

export const SessionRow = Schema.Struct({
  /** In its canonical form. */
  key: Schema.String,
  kind: Schema.Literal("direct", "group", "global", "unknown"),
  ...entryFields,
  /** The beginning of the first message of a user. */
  derivedTitle: optional(Schema.String),
  /** The beginning of the newest message that has text. */
  lastMessagePreview: optional(Schema.String)
})
export interface SessionRow extends Schema.Schema.Type<typeof SessionRow> {}

export const defaultRows = 200
export const maxRows = 1000

export const ListParams = Schema.Struct({
  /** Rows at most. Default 200; more than 1000 is 1000. */
  limit: optional(Positive),
  /** Rows to pass over. Default 0. */
  offset: optional(Count),
  /** Only sessions that were used in the last so many minutes. */
  activeMinutes: optional(Positive),
  /** The session `global` too? Default false. */
  includeGlobal: optional(Schema.Boolean),
  /** The session `unknown` too? Default false. */
  includeUnknown: optional(Schema.Boolean),
  /** Only the sessions of this agent. */
  agentId: AgentIdParam,
  /** Only those with this label. */
  label: optional(Label),
  /** Only those that were begun by this session. */
  spawnedBy: optional(Schema.NonEmptyString),
  /** Only those that have this text in key, label, name or session id, in whatever case. */
  search: optional(Schema.String.pipe(Schema.maxLength(512))),
  /** Give the rows `derivedTitle`? Default false. */
  includeDerivedTitles: optional(Schema.Boolean),
  /** Give the rows `lastMessagePreview`? Default false. */
  includeLastMessage: optional(Schema.Boolean)
})
export interface ListParams extends Schema.Schema.Type<typeof ListParams> {}

export const ListResult = Schema.Struct({
  /** Milliseconds since the Unix epoch. */
  ts: Schema.Number,
  /** The name of the file of entries, without its directory: where that is, is nobody's business on the wire. */
  path: Schema.String,
  /** Rows in this reply. */
  count: Count,
  /** Are there more behind them? */
  hasMore: Schema.Boolean,
  /** Of the default agent, as far as it says so. */
  defaults: Schema.Struct({
    model: Schema.NullOr(Schema.String),
    modelProvider: Schema.NullOr(Schema.String),
    contextTokens: Schema.NullOr(Schema.Number)
  }),
  /** The most recently used one first. */
  sessions: Schema.Array(SessionRow)
})

export const maxPreviewKeys = 64
export const maxPreviewItems = 50
export const maxPreviewChars = 2000

export const PreviewParams = Schema.Struct({
  /** Only the first 64 are looked at. */
  keys: Schema.Array(Schema.NonEmptyString).pipe(Schema.minItems(1)).annotations({
    description: "an array of at least one session key"
  }),
  /** The newest messages of each at most. Default 12; more than 50 is 50. */
  limit: optional(Positive),
  /** Characters of each message at most. Default 240; more than 2000 is 2000. */
  maxChars: optional(
    Schema.Int.pipe(Schema.greaterThanOrEqualTo(20)).annotations({ description: "an integer of at least 20" })
  )
})

export const PreviewResult = Schema.Struct({
  ts: Schema.Number,
  previews: Schema.Array(
    Schema.Struct({
      /** As it was asked for. */
      key: Schema.String,
      /** `error`: its transcript can't be read. */
      status: Schema.Literal("ok", "empty", "missing", "error"),
      /** Oldest first. */
      items: Schema.Array(
        Schema.Struct({
          role: Schema.Literal("user", "assistant", "tool", "system", "other"),
          text: Schema.String
        })
      )
    })
  )
})

export const ResolveParams = Schema.Struct({
  /** One of `key`, `sessionId` and `label` is needed. */
  key: optional(KeyParam),
  sessionId: optional(Schema.NonEmptyString),
  label: optional(Label),
  /** Only a session of this agent. */
  agentId: AgentIdParam,
  /** Only one that was begun by this session. */
  spawnedBy: optional(Schema.NonEmptyString),
  /** By id or label: the session `global` too? Default false. */
  includeGlobal: optional(Schema.Boolean),
  /** By id or label: the session `unknown` too? Default false. */
  includeUnknown: optional(Schema.Boolean),
  /** Answer `{ok: false}` when there is no such session, or more than one. Default: that is an error. */
  allowMissing: optional(Schema.Boolean)
})
export interface ResolveParams extends Schema.Schema.Type<typeof ResolveParams> {}

const Resolved = {
  /** In its canonical form. */
  key: Schema.String,
  agentId: Schema.String,
  displayName: optional(Schema.String)
}
export const ResolveResult = Schema.Union(
  Schema.Struct({ ok: Schema.Literal(true), ...Resolved }),
  Schema.Struct({
    ok: Schema.Literal(false),
    /** With `allowMissing`: the newest of those that it could be, at most 10. */
    candidates: optional(Schema.Array(Schema.Struct(Resolved)))
  })
)

/** A field of an entry that is set; `null` takes it away. */
const clearable = <A extends string>(schema: Schema.Schema<A>, description: string) =>
  optional(Schema.NullOr(schema).annotations({ description: `${description}, or null` }))

const maxLevelLength = 64
const Level = Schema.NonEmptyString.pipe(Schema.maxLength(maxLevelLength))
const level = clearable(Level, `a non-empty string of at most ${maxLevelLength} characters`)
const labelled = clearable(Label, `a non-empty string of at most ${maxLabelLength} characters`)

/** What `sessions.patch` sets. All of it is kept in the session's entry, but for `model`. */
export const patchFields = {
  label: labelled,
  displayName: labelled,
  /** The level of thinking that agents are asked for when a send names none. */
  thinkingLevel: level,
  /** Tool events of the session's runs. */
  verboseLevel: clearable(Schema.Literal("off", "on", "full"), "off, on or full"),
  /** Kept for the clients that read it. */
  reasoningLevel: level,
  /** Kept for the clients that read it. */
  responseUsage: clearable(Schema.Literal("off", "tokens", "full", "on"), "off, tokens, full or on"),
  /** `deny`: sends are refused. Needs the scope `operator.admin`. */
  sendPolicy: clearable(Schema.Literal("allow", "deny"), "allow or deny"),
  /** Kept for the programs that read it. */
  groupActivation: clearable(Schema.Literal("mention", "always"), "mention or always"),
  /** The model is the agent's, so only its own (`<id>` or `<provider>/<id>`) is taken, and nothing is kept. */
  model: clearable(Schema.NonEmptyString, "the model of the session's agent")
} as const

export const PatchParams = Schema.Struct(
  {
    key: KeyParam,
    agentId: AgentIdParam,
    /** Refused with `SESSION_CHANGED` when the session has another id. */
    expectedSessionId: optional(Schema.NonEmptyString),
    ...patchFields
  },
  /** Any other field is refused: a change that is not made must not look like one that was. */
  Schema.Record({ key: Schema.String, value: Schema.Unknown })
)
export interface PatchParams extends Schema.Schema.Type<typeof PatchParams> {}

const Changed = Schema.Struct({
  ok: Schema.Literal(true),
  /** As in `sessions.list`. */
  path: Schema.String,
  /** In its canonical form. */
  key: Schema.String,
  entry: SessionEntry
})
export const PatchResult = Changed

export const ResetParams = Schema.Struct({
  key: KeyParam,
  agentId: AgentIdParam,
  /** Not used. */
  reason: optional(Schema.Literal("new", "reset"))
})
export const ResetResult = Changed

export const DeleteParams = Schema.Struct(
  {
    key: KeyParam,
    agentId: AgentIdParam,
    /** Give the transcript another name (`<file>.deleted.<time>`)? Default true. False: it stays. No message is destroyed. */
    deleteTranscript: optional(Schema.Boolean),
    /** Refused with `SESSION_CHANGED` when the session has another id. */
    expectedSessionId: optional(Schema.NonEmptyString),
    /** Not used. */
    emitLifecycleHooks: optional(Schema.Boolean)
  },
  /** Any other field is refused: it may be a condition, and nothing is deleted that must not be. */
  Schema.Record({ key: Schema.String, value: Schema.Unknown })
)
export const DeleteResult = Schema.Struct({
  ok: Schema.Literal(true),
  /** In its canonical form. */
  key: Schema.String,
  /** False: there is no such session. */
  deleted: Schema.Boolean,
  /** The new names of its transcript, without their directory. */
  archived: Schema.Array(Schema.String)
})

/** Payload of the event `sessions.changed`. */
export const SessionsChanged = Schema.Struct({
  /** In its canonical form. */
  sessionKey: Schema.NonEmptyString,
  /**
   * `message`: a message of a user is in it. `inject`: an assistant message was put in (`chat.inject`). `patch`: its entry has
   * changed. `reset`: it begins anew. `delete`: it is gone. All durable.
   */
  reason: Schema.Literal("message", "inject", "patch", "reset", "delete"),
  /** Of a `message`: the run that answers it. */
  runId: optional(Schema.NonEmptyString),
  pos: PositionField
})
