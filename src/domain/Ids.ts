/**
 * Identifiers. They are made from Effect's `Random`, so a seeded test sees the same ids every time; the running
 * gateway puts a cryptographic source under `Random` (see `CryptoRandom`), so that ids are unique across nodes.
 */
import { Brand, Effect } from "effect"

/**
 * A run's id, unique in the gateway. Clients know a run by the idempotency key of the send that began it; keys are each
 * principal's own, so that of the owner is the run's id as it is, and of any other principal with its name before it.
 */
export type RunId = string & Brand.Brand<"RunId">
export const RunId = Brand.nominal<RunId>()

/** Names hold no control characters; an owner's key that does is put behind the name, too, so that no two ids are equal. */
const separator = "\u001f"
/** The name of the gateway's owner. */
export const owner = "owner"

/** The run that a principal's idempotency key means. */
export const runIdOf = (principal: string, key: string): RunId =>
  RunId(principal === owner && !key.includes(separator) ? key : `${principal}${separator}${key}`)

/** The idempotency key of a run, as its sender wrote it: the run's id on the wire. */
export const keyOf = (runId: RunId): string => {
  const end = runId.indexOf(separator)
  return end < 0 ? runId : runId.slice(end + 1)
}

/** The id of one message in a transcript. */
export type MessageId = string & Brand.Brand<"MessageId">
export const MessageId = Brand.nominal<MessageId>()

/** The id of a transcript: the name of its file without `.jsonl`. */
export type SessionId = string & Brand.Brand<"SessionId">
export const SessionId = Brand.nominal<SessionId>()

/** The id of one client connection. */
export type ConnectionId = string & Brand.Brand<"ConnectionId">
export const ConnectionId = Brand.nominal<ConnectionId>()

/** A random UUID (version 4, RFC 9562) in lower case. */
export const uuid: Effect.Effect<string> = Effect.randomWith(({ nextInt }) =>
  // One after another: `Effect.all` costs ten times as much, and a run draws several ids.
  Effect.flatMap(nextInt, (a) =>
    Effect.flatMap(nextInt, (b) =>
      Effect.flatMap(nextInt, (c) =>
        Effect.map(nextInt, (d) => format(word(a) + word(b) + word(c) + word(d)))
      )
    )
  )
)

const format = (hex: string): string => {
  const variant = "89ab"[Number.parseInt(hex.charAt(16), 16) & 3] ?? "8"
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`
}

const word = (n: number): string => (n >>> 0).toString(16).padStart(8, "0")

/** A fresh message id. */
export const makeMessageId: Effect.Effect<MessageId> = Effect.map(uuid, MessageId)
/** A fresh session id. */
export const makeSessionId: Effect.Effect<SessionId> = Effect.map(uuid, SessionId)
/** A fresh connection id. */
export const makeConnectionId: Effect.Effect<ConnectionId> = Effect.map(uuid, ConnectionId)
