/** OutboxStore: where messages are kept that the gateway has not said to have, for those who want them to outlive the client. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as Chat from "../protocol/Chat.js"

/** A message in the outbox: the parameters of its `chat.send`. */
export const PendingMessage = Chat.SendParams
export type PendingMessage = Chat.SendParams

/**
 * A port. None of these fails: a store that can't keep a message loses what it is for, and the message goes to the gateway all
 * the same.
 */
export interface OutboxStore {
  /** What an earlier client left, in the order in which it came. */
  readonly load: Effect.Effect<ReadonlyArray<PendingMessage>>
  readonly put: (message: PendingMessage) => Effect.Effect<void>
  readonly remove: (idempotencyKey: string) => Effect.Effect<void>
}

/** Keeps nothing: the client has its messages in memory. */
export const none: OutboxStore = {
  load: Effect.succeed([]),
  put: () => Effect.void,
  remove: () => Effect.void
}

/** The part of a browser's `Storage` that is used. */
export interface KeyValueStorage {
  readonly getItem: (key: string) => string | null
  readonly setItem: (key: string, value: string) => void
  readonly removeItem: (key: string) => void
}

const decode = Schema.decodeUnknownEither(Schema.parseJson(Schema.Array(PendingMessage)))

/** Keeps them in a browser's `sessionStorage` or `localStorage`, under one name. */
export const storage = (where: KeyValueStorage, name: string): OutboxStore => {
  const read = (): ReadonlyArray<PendingMessage> => {
    try {
      return Either.getOrElse(decode(where.getItem(name) ?? "[]"), () => [])
    } catch {
      return []
    }
  }
  const write = (messages: ReadonlyArray<PendingMessage>): void => {
    try {
      if (messages.length === 0) where.removeItem(name)
      else where.setItem(name, JSON.stringify(messages))
    } catch {
      // It is full, or the browser allows none.
    }
  }
  const without = (key: string) => read().filter(({ idempotencyKey }) => idempotencyKey !== key)
  return {
    load: Effect.sync(read),
    put: (message) => Effect.sync(() => write([...without(message.idempotencyKey), message])),
    remove: (key) => Effect.sync(() => write(without(key)))
  }
}
