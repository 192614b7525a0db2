/**
 * JournalRecord: what the lines of the run journal say. A record that changes a transcript holds the message itself, so
 * that a crash right behind it loses nothing.
 */
import { Brand, Either, type Option, ParseResult, Schema } from "effect"
import { MessageId, RunId, SessionId } from "../domain/Ids.js"
import { AbortReason, ErrorDetails, Outcome } from "../domain/RunState.js"
import type { AgentId, SessionKey } from "../domain/SessionKey.js"

const optional = <A, I, R>(schema: Schema.Schema<A, I, R>) => Schema.optionalWith(schema, { exact: true })

const SessionKeyField = Schema.String.pipe(Schema.fromBrand(Brand.nominal<SessionKey>()))
const AgentIdField = Schema.String.pipe(Schema.fromBrand(Brand.nominal<AgentId>()))
const MessageIdField = Schema.String.pipe(Schema.fromBrand(MessageId))
const RunIdField = Schema.String.pipe(Schema.fromBrand(RunId))

/** A send that was accepted, as far as it is not its message. */
export const AcceptedRun = Schema.Struct({
  /** The idempotency key. */
  runId: RunIdField,
  sessionKey: SessionKeyField,
  /** As the client wrote it. */
  requestedKey: Schema.String,
  agentId: AgentIdField,
  /** The name of who sent it. */
  principal: Schema.String,
  /** Of session and content; see `Fingerprint`. */
  fingerprint: Schema.String,
  /** Milliseconds since the Unix epoch. */
  acceptedAt: Schema.Number,
  thinking: optional(Schema.String),
  /** Milliseconds; 0: no limit; absent: the configured default. */
  timeoutMs: optional(Schema.Number)
})
export interface AcceptedRun extends Schema.Schema.Type<typeof AcceptedRun> {}

/** How a run ended, and what of it may not have been told yet. */
export const RunEnd = Schema.Struct({
  runId: RunIdField,
  /** Milliseconds since the Unix epoch. */
  at: Schema.Number,
  outcome: Outcome,
  /** The life of the gateway in which it ended, and a position in it before the one of its terminal event. */
  epoch: Schema.String,
  pos: Schema.Number,
  /** The number of its terminal event among the chat events of the run. */
  seq: Schema.Number
})
export interface RunEnd extends Schema.Schema.Type<typeof RunEnd> {}

/** A message on its way into a transcript. */
export const Entry = Schema.Struct({
  id: MessageIdField,
  sessionKey: SessionKeyField,
  sessionId: Schema.String.pipe(Schema.fromBrand(SessionId)),
  /** The transcript, from the state directory. */
  file: Schema.String,
  /** ISO 8601, for the transcript's line. */
  timestamp: Schema.String,
  /** The transcript's size before this message or one before it, in bytes: it is not to be found before that. */
  tail: Schema.Number,
  /** Milliseconds since the Unix epoch; absent: the session's entry stays as it is. */
  updatedAt: optional(Schema.Number),
  message: Schema.Record({ key: Schema.String, value: Schema.Unknown })
})
export interface Entry extends Schema.Schema.Type<typeof Entry> {}

/** A session that is no more. */
export const Removal = Schema.Struct({
  sessionKey: SessionKeyField,
  sessionId: Schema.String.pipe(Schema.fromBrand(SessionId)),
  /** Its transcript, from the state directory. */
  file: Schema.String,
  /** What is put behind the name of the transcript; absent: that stays as it is. */
  aside: optional(Schema.String)
})
export interface Removal extends Schema.Schema.Type<typeof Removal> {}

/** An idempotency key that has its answer: `[run, fingerprint, principal, at, outcome]`. */
const SettledKey = Schema.Tuple(
  RunIdField,
  Schema.String,
  Schema.String,
  Schema.Number,
  Schema.Union(
    Schema.Tuple(Schema.Literal("ok")),
    Schema.Tuple(Schema.Literal("aborted"), AbortReason),
    Schema.Tuple(Schema.Literal("error"), Schema.String, Schema.optionalElement(ErrorDetails))
  )
)

export const JournalRecord = Schema.Union(
  /** The first line. */
  Schema.Struct({ type: Schema.Literal("journal"), version: Schema.Literal(1) }),
  /** A send was accepted. `stored`: the message is in its transcript for good (said by a compacted journal). */
  Schema.Struct({
    type: Schema.Literal("accepted"),
    run: AcceptedRun,
    entry: Entry,
    stored: optional(Schema.Literal(true))
  }),
  /** A message that belongs to no run. */
  Schema.Struct({ type: Schema.Literal("message"), entry: Entry }),
  /** A life of the gateway begins; its events have this epoch. */
  Schema.Struct({ type: Schema.Literal("life"), epoch: Schema.String }),
  /** An abort of the run is about to be answered. The run may not be accepted yet. */
  Schema.Struct({ type: Schema.Literal("aborting"), runId: RunIdField, reason: AbortReason }),
  /** The agent is about to be called. */
  Schema.Struct({ type: Schema.Literal("started"), runId: RunIdField, at: Schema.Number }),
  /** More of an answer: `text` from `from` on (UTF-16 code units), and nothing behind it. */
  Schema.Struct({
    type: Schema.Literal("text"),
    runId: RunIdField,
    from: Schema.Number,
    text: Schema.String
  }),
  /** The run ended, with a message for the transcript or without. `run`: when it was never accepted. */
  Schema.Struct({
    type: Schema.Literal("ended"),
    end: RunEnd,
    run: optional(AcceptedRun),
    entry: optional(Entry)
  }),
  /** The run's terminal event has this position. */
  Schema.Struct({ type: Schema.Literal("told"), runId: RunIdField, pos: Schema.Number }),
  /** The run's terminal event has these positions for those who see only some sessions, by their perspective. */
  Schema.Struct({
    type: Schema.Literal("seen"),
    runId: RunIdField,
    perspectives: Schema.Record({ key: Schema.String, value: Schema.Number })
  }),
  /** The message can't be put into its transcript: whoever sent it was refused, and the run that it has ended is not over. */
  Schema.Struct({ type: Schema.Literal("withdrawn"), id: MessageIdField }),
  /** The session is removed: no message of it that stands before this is to be stored, and its entry is to go. */
  Schema.Struct({ type: Schema.Literal("removed"), removal: Removal }),
  /** Keys of runs that are over (said by a compacted journal). */
  Schema.Struct({ type: Schema.Literal("keys"), keys: Schema.Array(SettledKey) }),
  /** All messages before this are in their transcripts, and all sessions in the index, for good. */
  Schema.Struct({ type: Schema.Literal("checkpoint") }),
  /** Says nothing. */
  Schema.Struct({ type: Schema.Literal("blank") })
)
export type JournalRecord = typeof JournalRecord.Type
export type SettledKey = typeof SettledKey.Type

const decodeRecord = ParseResult.decodeUnknownEither(Schema.parseJson(JournalRecord))

/** Reads a line's JSON text. None: it was written by something that we don't know. */
export const decode = (json: string): Option.Option<JournalRecord> => Either.getRight(decodeRecord(json))

export const encode = (record: JournalRecord): string => JSON.stringify(record)

/** An outcome in few bytes. */
export const packOutcome = (outcome: Outcome): SettledKey[4] => {
  switch (outcome._tag) {
    case "Final":
      return ["ok"]
    case "Aborted":
      return ["aborted", outcome.stopReason]
    case "Error":
      return outcome.details === undefined
        ? ["error", outcome.message]
        : ["error", outcome.message, outcome.details]
  }
}

export const unpackOutcome = (outcome: SettledKey[4]): Outcome => {
  switch (outcome[0]) {
    case "ok":
      return { _tag: "Final" }
    case "aborted":
      return { _tag: "Aborted", stopReason: outcome[1] }
    case "error":
      return {
        _tag: "Error",
        message: outcome[1],
        ...(outcome[2] === undefined ? {} : { details: outcome[2] })
      }
  }
}
