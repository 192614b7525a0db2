/** `chat.*`: parameters, results and the events `chat` and `agent`. */
import { Schema } from "effect"
import { AbortReason, ErrorDetails } from "../domain/RunState.js"
import { Count, optional, PositionField } from "./Field.js"

/** A session's key as the client writes it: `main`, a bare key, or `agent:<agentId>:<rest>`. */
const SessionKeyParam = Schema.NonEmptyString.annotations({
  description: "a session key, at most 512 characters"
})

const AgentIdParam = optional(Schema.NonEmptyString)

/** Idempotency keys live in memory for a day and longer: their length is bounded. */
const IdempotencyKey = Schema.NonEmptyString.pipe(Schema.maxLength(512)).annotations({
  description: "a non-empty string of at most 512 characters"
})

export const HistoryLimit = Schema.Int.pipe(Schema.between(1, 1000)).annotations({
  description: "an integer between 1 and 1000"
})

export const HistoryParams = Schema.Struct({
  sessionKey: SessionKeyParam,
  /** Version 4: the agent of a bare session key, instead of the default one. A full key names its own. */
  agentId: AgentIdParam,
  /** Default 200. */
  limit: optional(HistoryLimit),
  /** Only messages older than the one with this id. */
  before: optional(Schema.NonEmptyString)
})
export const HistoryResult = Schema.Struct({
  sessionKey: Schema.String,
  sessionId: optional(Schema.String),
  /**
   * Oldest first; whatever JSON objects the transcript holds, each with the `id` of its line if that has one. An image that
   * was sent is `{type: "image", mimeType, size, sha256, fileName?}`; `chat.image` gives its bytes.
   */
  messages: Schema.Array(Schema.Record({ key: Schema.String, value: Schema.Unknown })),
  thinkingLevel: optional(Schema.String),
  /** Are there older messages? */
  hasMore: Schema.Boolean,
  /** How many there are in all; present when this reply holds all of them. */
  totalMessages: optional(Count)
})

export const ImageParams = Schema.Struct({
  sessionKey: SessionKeyParam,
  /** Version 4: the agent of a bare session key, instead of the default one. A full key names its own. */
  agentId: AgentIdParam,
  /** As an image of the session's history has it. */
  sha256: Schema.String.pipe(Schema.pattern(/^[0-9a-f]{64}$/)).annotations({
    description: "64 hexadecimal digits in lower case"
  })
})
export const ImageResult = Schema.Struct({
  mimeType: Schema.NonEmptyString,
  /** Base64. */
  data: Schema.String,
  /** Bytes. */
  size: Count,
  fileName: optional(Schema.String)
})

export const AttachmentParam = Schema.Struct({
  /** Not read. */
  type: optional(Schema.String),
  /** Not read: the type is sniffed from the bytes. */
  mimeType: optional(Schema.String),
  fileName: optional(Schema.String),
  /** A PNG, JPEG, GIF or WebP image of at most 5,000,000 bytes decoded. */
  content: Schema.String.annotations({ description: "base64 text or a data: URL" })
})
export interface AttachmentParam extends Schema.Schema.Type<typeof AttachmentParam> {}

export const SendParams = Schema.Struct({
  sessionKey: SessionKeyParam,
  /** Version 4: the agent of a bare session key, instead of the default one. A full key names its own. */
  agentId: AgentIdParam,
  message: Schema.String,
  /** Becomes the run's id. The same key again must name the same session, text and attachments. */
  idempotencyKey: IdempotencyKey,
  /** The level of thinking; passed on to the agent. */
  thinking: optional(Schema.String),
  /** Not used: this gateway delivers to no other channels. */
  deliver: optional(Schema.Boolean),
  attachments: optional(Schema.Array(AttachmentParam)),
  /** Milliseconds for the agent; 0: no limit; absent: the configured default. */
  timeoutMs: optional(Count.annotations({ description: "an integer of at least 0 (milliseconds)" }))
})
export interface SendParams extends Schema.Schema.Type<typeof SendParams> {}

const RunIds = Schema.Array(Schema.String)
/** What stopping runs is answered with. */
export const AbortResult = Schema.Struct({
  ok: Schema.Literal(true),
  /** Was at least one run aborted by this? */
  aborted: Schema.Boolean,
  runIds: RunIds
})
export interface AbortResult extends Schema.Schema.Type<typeof AbortResult> {}

export const SendStatus = Schema.Literal("started", "in_flight", "ok", "aborted")
export const SendResult = Schema.Union(
  Schema.Struct({ runId: Schema.String, status: SendStatus }),
  AbortResult
)
/** The payload beside the error when the key's run failed. */
export const SendFailure = Schema.Struct({
  runId: Schema.String,
  status: Schema.Literal("error"),
  summary: Schema.String
})

export const AbortParams = Schema.Struct({
  sessionKey: SessionKeyParam,
  /** Version 4: the agent of a bare session key, instead of the default one. A full key names its own. */
  agentId: AgentIdParam,
  /** Absent: all runs of the session, queued ones too. */
  runId: optional(Schema.NonEmptyString)
})

export const InjectParams = Schema.Struct({
  sessionKey: SessionKeyParam,
  /** Version 4: the agent of a bare session key, instead of the default one. A full key names its own. */
  agentId: AgentIdParam,
  message: Schema.NonEmptyString,
  label: optional(
    Schema.String.pipe(Schema.maxLength(100)).annotations({
      description: "a string of at most 100 characters"
    })
  )
})
export const InjectResult = Schema.Struct({ ok: Schema.Literal(true), messageId: Schema.String })

/** An assistant's message in a chat event. */
export const EventMessage = Schema.Struct({
  role: Schema.Literal("assistant"),
  content: Schema.Array(Schema.Struct({ type: Schema.Literal("text"), text: Schema.String })),
  /** Milliseconds since the Unix epoch. */
  timestamp: Schema.Number
})

const chatFields = {
  runId: Schema.NonEmptyString,
  /** As the run's sender wrote it. */
  sessionKey: Schema.NonEmptyString,
  /** Version 4. */
  agentId: optional(Schema.NonEmptyString),
  /** Counts per run. */
  seq: Count,
  /** With the cap `resume`: this event's position. */
  pos: PositionField
}

/**
 * More of the answer. At least 150 ms apart within a run, and less often the longer it is. What comes right before the end
 * is in the terminal event's `message` only.
 */
export const DeltaEvent = Schema.Struct({
  ...chatFields,
  state: Schema.Literal("delta"),
  /** The whole text so far; absent with the cap `delta-only`. */
  message: optional(EventMessage),
  /** Version 4 and the cap `delta-only`: what is new. */
  deltaText: optional(Schema.String),
  /** Version 4 and the cap `delta-only`: `deltaText` is the whole text, which was rewritten. */
  replace: optional(Schema.Literal(true))
})
/** The answer is whole and in the transcript. */
export const FinalEvent = Schema.Struct({
  ...chatFields,
  state: Schema.Literal("final"),
  message: optional(EventMessage),
  usage: optional(Schema.Unknown),
  stopReason: optional(Schema.String)
})
/** The run was aborted; `message` is the partial answer. */
export const AbortedEvent = Schema.Struct({
  ...chatFields,
  state: Schema.Literal("aborted"),
  message: optional(EventMessage),
  stopReason: AbortReason
})
/** The agent failed; `message` is the partial answer. */
export const ErrorEvent = Schema.Struct({
  ...chatFields,
  state: Schema.Literal("error"),
  message: optional(EventMessage),
  errorMessage: Schema.String,
  /** More for programs, where there is more: `INTERRUPTED_BY_RESTART` when the gateway ended while the agent was at work. */
  details: optional(ErrorDetails),
  /** Version 4. */
  errorDetail: optional(Schema.Struct({ providerErrorMessagePreview: optional(Schema.String) }))
})
/** Payload of the event `chat`. `final`, `aborted` and `error` are terminal: exactly one per run, and nothing after it. */
export const ChatEvent = Schema.Union(DeltaEvent, FinalEvent, AbortedEvent, ErrorEvent)
export type ChatEvent = typeof ChatEvent.Type

/** Payload of the event `agent`: the raw agent stream. */
export const AgentEventPayload = Schema.Struct({
  runId: Schema.NonEmptyString,
  seq: Count,
  /** `lifecycle`, `assistant`, `tool`, or the agent's own. */
  stream: Schema.NonEmptyString,
  ts: Count,
  data: Schema.Record({ key: Schema.String, value: Schema.Unknown }),
  sessionKey: optional(Schema.String),
  /** With the cap `resume`: this event's position. */
  pos: PositionField
})
