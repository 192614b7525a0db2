/**
 * SessionStore: which sessions there are, and what was said in them.
 *
 * A session has an entry (`sessions.json`: canonical key → entry) and a transcript (`<sessionId>.jsonl`). Other
 * programs edit both; unknown fields and foreign lines survive every operation. The bytes of images are in files of their
 * own, named by what is in them, and messages refer to them (docs/decisions/14).
 *
 * @see protocol.md, "Files"
 */
import { Context, type Effect, type Option } from "effect"
import type { MessageId, SessionId } from "../domain/Ids.js"
import type { ImageContent, ImageReference, Message, StoredMessage } from "../domain/Message.js"
import type {
  ImageUnavailable,
  SendDenied,
  SessionChanged,
  SessionStoreError
} from "../domain/SessionError.js"
import type { SessionKey } from "../domain/SessionKey.js"
import type { AcceptedRun, RunEnd } from "../journal/JournalRecord.js"

/**
 * A session's entry. Only the fields that the gateway reads are named; `raw` holds the whole object as it is stored,
 * these fields included.
 */
export interface SessionEntry {
  readonly sessionId: SessionId
  /** Milliseconds since the Unix epoch. */
  readonly updatedAt: number
  readonly sessionFile?: string
  readonly thinkingLevel?: string
  /** Which tool events the session's clients see: `off`, `on`, `full`. */
  readonly verboseLevel?: string
  /** `deny`: `chat.send` is refused. */
  readonly sendPolicy?: string
  readonly raw: { readonly [field: string]: unknown }
}

/** What `accept` has made durable. */
export interface Accepted {
  readonly sessionId: SessionId
  readonly messageId: MessageId
  readonly entry: SessionEntry
  /** As it is stored: images by reference. */
  readonly message: Message
}

/** Which part of a transcript to read. */
export interface HistoryQuery {
  /** At most this many messages, 1..1000. */
  readonly limit: number
  /** The largest UTF-8 length of `JSON.stringify(messages)`, in bytes. */
  readonly maxBytes: number
  /** Only messages older than this one. An unknown id gives an empty page. */
  readonly before?: MessageId | undefined
}

/** A page of a transcript. */
export interface HistoryPage {
  /** Absent when there is no such session. */
  readonly sessionId?: SessionId
  readonly thinkingLevel?: string
  /** Oldest first. */
  readonly messages: ReadonlyArray<StoredMessage>
  /** Are there older messages than the first one here? */
  readonly hasMore: boolean
}

export interface ExpectedSession {
  /** Fails with `SessionChanged`, changing nothing, when the session is another one. */
  readonly expected?: SessionId | undefined
}

export interface RemoveOptions extends ExpectedSession {
  /** Give the transcript another name? It is kept in any case. */
  readonly transcript: "aside" | "leave"
}

export interface Removed {
  /** False: there is no such session. */
  readonly removed: boolean
  /** The transcript's new name, without its directory. */
  readonly aside?: string
}

/** What to look at. */
export interface GlanceQuery {
  /** The first message of a user? */
  readonly first: boolean
  /** At most so many of the newest messages. */
  readonly last: number
}

/** What was seen of a transcript. */
export interface Glance {
  /** The first message of a user, when it was asked for and is near the beginning. */
  readonly first?: StoredMessage
  /** The newest messages, oldest first. A large one is a placeholder. */
  readonly last: ReadonlyArray<StoredMessage>
}

/** A message that was appended. */
export interface Appended {
  readonly sessionId: SessionId
  readonly messageId: MessageId
}

export interface SessionStoreShape {
  /** The session's entry as it is on disk now: an edit by another program is seen. */
  readonly get: (key: SessionKey) => Effect.Effect<Option.Option<SessionEntry>, SessionStoreError>

  /** All entries by key. */
  readonly list: Effect.Effect<ReadonlyMap<SessionKey, SessionEntry>, SessionStoreError>

  /**
   * The same, the most recently used one first, those of the same time by key. Iterating it costs what is passed over, not
   * all there are, and takes no turns of the event loop: who looks at many lets it have some. It gives the entries as they
   * were when it was asked for, or as they have become since.
   */
  readonly newest: Effect.Effect<Iterable<readonly [SessionKey, SessionEntry]>, SessionStoreError>

  /**
   * Takes a user's message: makes the session if it is new, sets the entry's `updatedAt`, keeps every other field,
   * and appends the message to the transcript. An image that comes with its bytes is kept in a file, and the message
   * refers to it; the same image is kept once.
   *
   * Durability: when it succeeds, the files of its images were durable before the message was; the message and what it means for its session are in the run journal, durable, together
   * with `run`, the run that the message begins; and in the transcript. `sessions.json` follows soon (see `flush`); `get`
   * and `list` know it at once. When it fails, also for one of its images, neither a reader of the transcript nor of the entry sees anything of it, and
   * the journal knows of no such run; files of images may be left that nobody refers to. Ordering: messages of concurrent calls for one session are appended in the order in
   * which the calls began. Interruption is not observed once writing has begun.
   */
  readonly accept: (
    key: SessionKey,
    message: Message,
    run?: AcceptedRun
  ) => Effect.Effect<Accepted, SessionStoreError | SendDenied>

  /**
   * Appends a message to the session's transcript, making the session if it is new. Same durability and ordering as
   * `accept`; `end` is the end of the run that the message answers. The entry of a session that exists is not written.
   */
  readonly append: (
    key: SessionKey,
    message: Message,
    end?: RunEnd
  ) => Effect.Effect<Appended, SessionStoreError>

  /**
   * Sets fields of the entry of a session that exists, and keeps every other one; one that does not exist stays so. `get` and
   * `list` know it at once, `sessions.json` soon (see `flush`); a crash before that loses it. What is set already is not
   * written.
   */
  readonly patch: (key: SessionKey, fields: { readonly [name: string]: unknown }) => Effect.Effect<void>

  /**
   * Sets fields of the session's entry and takes away those whose value is undefined, keeping every other one; makes the
   * session, with an empty transcript, if there is none. Nothing else is touched: not when it was used.
   *
   * Durability: when it succeeds, `sessions.json` says so, and survives a crash and a power cut; those who wait at the same
   * time share the write of the file. When it fails, nothing is changed, unless only making it durable has failed. Ordering:
   * one after another, and with the messages of the session, in the order of the calls. Interruption is not observed.
   */
  readonly update: (
    key: SessionKey,
    fields: { readonly [name: string]: unknown },
    options?: ExpectedSession
  ) => Effect.Effect<SessionEntry, SessionStoreError | SessionChanged>

  /**
   * Begins the session anew: another id and an empty transcript, to which all messages go from now on. The old transcript
   * stays as it is; the entry keeps its fields, but for `sessionFile` and those that speak of the last run. Makes the session
   * if there is none. Durability and ordering as `update`.
   */
  readonly reset: (key: SessionKey) => Effect.Effect<SessionEntry, SessionStoreError>

  /**
   * Removes a session: its entry goes, and its transcript gets another name (`<file>.deleted.<time>`) unless it is to be left
   * or another entry names it, too. Images stay: other messages may refer to them.
   *
   * Durability: when it succeeds the run journal says so, durably, and with the session its messages are gone for every
   * later start; `get` and `list` know it at once, `sessions.json` soon (see `flush`). That the transcript could not be renamed is no
   * failure. When it fails, nothing is changed. Ordering as `update`. Costs a look at all entries when the transcript goes.
   */
  readonly remove: (
    key: SessionKey,
    options: RemoveOptions
  ) => Effect.Effect<Removed, SessionStoreError | SessionChanged>

  /**
   * Reads a page from the transcript's end. Costs time and memory in proportion to the page, not to the transcript
   * (finding `before` costs the distance from the end to it). Blank and broken lines are skipped. A single message
   * over `maxBytes` is replaced by a placeholder that says so. A session that is not there is an empty page.
   */
  readonly history: (key: SessionKey, query: HistoryQuery) => Effect.Effect<HistoryPage, SessionStoreError>

  /**
   * Looks at the beginning and at the end of a transcript, and no farther than 64 KiB into it and 256 KiB back: what a title
   * and a preview are made of. None: there is no such session.
   */
  readonly glance: (
    key: SessionKey,
    query: GlanceQuery
  ) => Effect.Effect<Option.Option<Glance>, SessionStoreError>

  /**
   * Reads an image that a message refers to. What is not what was stored is never given as the image: it is
   * `ImageUnavailable`, and will be, until somebody sends the image again or puts its file back. Costs the image.
   */
  readonly image: (
    reference: ImageReference
  ) => Effect.Effect<ImageContent, ImageUnavailable | SessionStoreError>

  /**
   * The newest reference to an image in the session's transcript; none: the session has no such image, whatever other ones
   * have. Costs the distance from the transcript's end to that message, all of it when there is none.
   */
  readonly findImage: (
    key: SessionKey,
    sha256: string
  ) => Effect.Effect<Option.Option<ImageReference>, SessionStoreError>

  /** Waits until `sessions.json` says what was accepted so far. */
  readonly flush: Effect.Effect<void, SessionStoreError>

  /** What the store can't write at the moment; it tries again by itself, and this is empty when all is well. */
  readonly problems: Effect.Effect<ReadonlyArray<SessionStoreError>>
}

/** The port. Layers: `SessionStoreFile.layer`, `SessionStoreMemory.layer`. */
export class SessionStore extends Context.Tag("colloquy/SessionStore")<SessionStore, SessionStoreShape>() {}
