/** `sessions.*`: parameters and results. */
import { Schema } from "effect"
import { Count, optional } from "./Field.js"

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
