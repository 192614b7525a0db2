/**
 * StoreEngine: `SessionStore` over any `StoreDriver`.
 *
 * An `accept` first makes the message durable in the transcript, then the entry in the index. Until the entry is
 * durable, `history` of this process does not see the message; when the entry can't be written, the transcript is cut
 * back. So a crash between the two leaves a message that nobody was told about (in the transcript of a session that
 * exists; for a new session, in a file that no entry names), and never an entry that promises more than is there.
 *
 * The messages of one session that wait go into its transcript with one write; the entries of all sessions that wait
 * go into the index with one write.
 */
import { Clock, DateTime, Effect, Exit, Option, type Scope } from "effect"
import { makeMessageId, makeSessionId, type MessageId, type SessionId } from "../domain/Ids.js"
import type { Message } from "../domain/Message.js"
import { SendDenied, SessionStoreError } from "../domain/SessionError.js"
import type { SessionKey, SessionKeyDefaults } from "../domain/SessionKey.js"
import { defaults } from "../GatewayConfig.js"
import * as Batcher from "./Batcher.js"
import type { Accepted, HistoryPage, HistoryQuery, SessionEntry, SessionStoreShape } from "./SessionStore.js"
import type { StoreDriver, TranscriptTail } from "./StoreDriver.js"
import { begun, type StoredEntry } from "./StoredEntry.js"
import * as StoreIndex from "./StoreIndex.js"
import * as Transcript from "./Transcript.js"
import * as TranscriptReader from "./TranscriptReader.js"

export interface EngineOptions {
  /**
   * How keys in `sessions.json` that are not canonical (`main`) are understood: as `GatewayConfig` has it, whose
   * defaults are the default.
   */
  readonly sessionKeyDefaults?: SessionKeyDefaults
  /** The working directory of the agents, for the first line of a new transcript. Default `/`. */
  readonly cwd?: string
}

/** A message on its way into a transcript. */
interface Entrance {
  readonly kind: "accept" | "append"
  readonly messageJson: string
}

type EntranceJob = Batcher.Job<Entrance, Accepted, SessionStoreError | SendDenied>

/** A transcript that is being written. */
interface Gate {
  readonly turn: Effect.Semaphore
  users: number
  /** Where the part ends that is committed; undefined when that is all of it. */
  committed: number | undefined
}

/** What is taken into one write at most (a single message may be larger), in UTF-16 code units. */
const batchLength = 4 * 1024 * 1024
/** How often an operation starts again because another program changed the files under it. */
const attempts = 4

export const make = (
  driver: StoreDriver,
  options: EngineOptions
): Effect.Effect<SessionStoreShape, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const index = yield* StoreIndex.make(driver.index, options.sessionKeyDefaults ?? defaults)
    const gates = new Map<string, Gate>()

    // Two entries may name one file: a session's order alone does not keep its writers apart.
    const inTurn = <A, E>(file: string, use: (gate: Gate) => Effect.Effect<A, E>): Effect.Effect<A, E> =>
      Effect.suspend(() => {
        const gate = gates.get(file) ?? {
          turn: Effect.unsafeMakeSemaphore(1),
          users: 0,
          committed: undefined
        }
        gates.set(file, gate)
        gate.users++
        return gate.turn
          .withPermits(1)(
            Effect.ensuring(
              use(gate),
              Effect.sync(() => (gate.committed = undefined))
            )
          )
          .pipe(Effect.ensuring(Effect.sync(() => --gate.users === 0 && gates.delete(file))))
      })

    const locate = (sessionId: SessionId, entry: Option.Option<StoredEntry>) =>
      driver.transcripts.locate(Option.getOrUndefined(entry)?.sessionFile ?? `${sessionId}.jsonl`)

    /**
     * The entry for an answer. Its session is known since the question came: that another program is just rewriting
     * `sessions.json`, or has broken it, must not lose the answer.
     */
    const sessionOf = (key: SessionKey) =>
      Effect.catchAll(index.get(key), (error) =>
        Effect.filterOrFail(
          index.getLast(key),
          Option.exists(({ sessionId }) => sessionId !== undefined),
          () => error
        )
      )

    /** Writes a batch of one session's messages: all of them, or none. */
    const write = (
      key: SessionKey,
      batch: ReadonlyArray<EntranceJob>,
      attempt: number
    ): Effect.Effect<void, SessionStoreError> =>
      Effect.gen(function* () {
        const entry = yield* batch.some(({ item }) => item.kind === "accept")
          ? index.get(key)
          : sessionOf(key)
        const jobs = Option.exists(entry, isDenied) ? refuse(key, batch) : batch
        if (jobs.length === 0) return
        const known = Option.flatMapNullable(entry, ({ sessionId }) => sessionId)
        const sessionId = Option.isSome(known) ? known.value : yield* makeSessionId
        const file = yield* locate(sessionId, entry)
        const ids = yield* Effect.forEach(jobs, () => makeMessageId)
        const now = yield* Clock.currentTimeMillis
        const encode = encoderOf(sessionId, now, options.cwd ?? "/", jobs, ids)
        const touched = Option.isNone(known) || jobs.some(({ item }) => item.kind === "accept")

        const written = yield* inTurn(file, (gate) =>
          Effect.gen(function* () {
            let end = 0
            yield* driver.transcripts.append(file, (tail) => {
              const bytes = encode(tail)
              gate.committed = tail.size
              end = tail.size + bytes.length
              return bytes
            })
            const takeBack = Effect.suspend(() =>
              driver.transcripts.rollback(file, gate.committed ?? end, end)
            ).pipe(Effect.catchAll((error) => Effect.logWarning("could not take a message back", error)))
            const stored = touched
              ? index.update(key, touch(sessionId, now)).pipe(Effect.tapErrorCause(() => takeBack))
              : Effect.succeed(entry)
            const updated = Option.flatMap(yield* stored, begun)
            // The entry names another session since we looked: there the message belongs.
            if (Option.isNone(updated)) yield* takeBack
            return updated
          })
        )

        if (Option.isSome(written)) return answer(jobs, ids, written.value)
        if (attempt < attempts) return yield* write(key, jobs, attempt + 1)
        return yield* new SessionStoreError({
          operation: "write",
          subject: StoreIndex.fileName,
          reason: "changed by another program again and again"
        })
      })

    const submit = Batcher.make<SessionKey, Entrance, Accepted, SessionStoreError | SendDenied>({
      scope,
      take: takeSome,
      run: (key, jobs) => write(key, jobs, 1)
    })

    const enter = (key: SessionKey, kind: Entrance["kind"], message: Message) =>
      // What can't be written as JSON is a defect of this caller, and must not reach those who share the write.
      Effect.suspend(() => submit(key, { kind, messageJson: JSON.stringify(message) }))

    const historyOnce = (key: SessionKey, query: HistoryQuery) =>
      Effect.gen(function* () {
        const entry = yield* index.get(key)
        const session = Option.getOrUndefined(Option.flatMap(entry, begun))
        if (session === undefined) return emptyPage
        const named = {
          sessionId: session.sessionId,
          ...(session.thinkingLevel !== undefined && { thinkingLevel: session.thinkingLevel })
        }
        const file = yield* locate(session.sessionId, entry)
        const source = yield* driver.transcripts.open(file)
        if (Option.isNone(source)) return { ...named, ...emptyPage }
        const end = Math.min(source.value.size, gates.get(file)?.committed ?? source.value.size)
        return { ...named, ...(yield* TranscriptReader.page(source.value, end, query)) }
      }).pipe(Effect.scoped)

    return {
      get: (key) => Effect.map(index.get(key), Option.flatMap(begun)),
      list: Effect.map(index.list, (entries) => {
        const sessions = new Map<SessionKey, SessionEntry>()
        for (const [key, entry] of entries) {
          const session = begun(entry)
          if (Option.isSome(session)) sessions.set(key, session.value)
        }
        return sessions
      }),
      accept: (key, message) => enter(key, "accept", message),
      append: (key, message) =>
        enter(key, "append", message).pipe(
          Effect.map(({ messageId, sessionId }) => ({ messageId, sessionId })),
          // Only an `accept` is ever denied.
          Effect.catchTag("SendDenied", Effect.die)
        ),
      history: (key, query) =>
        historyOnce(key, query).pipe(
          Effect.retry({ times: attempts, while: (error) => error._tag === "TranscriptShrank" }),
          Effect.catchTag(
            "TranscriptShrank",
            () =>
              new SessionStoreError({
                operation: "read",
                subject: "transcript",
                reason: "changed by another program again and again"
              })
          )
        )
    }
  })

const emptyPage: HistoryPage = { messages: [], hasMore: false }

const isDenied = (entry: StoredEntry): boolean => entry.sendPolicy === "deny"

/** Refuses the sends of a batch; gives the others. */
const refuse = (key: SessionKey, batch: ReadonlyArray<EntranceJob>): ReadonlyArray<EntranceJob> => {
  for (const job of batch) {
    if (job.item.kind === "accept") job.settle(Exit.fail(new SendDenied({ sessionKey: key })))
  }
  return batch.filter(({ item }) => item.kind !== "accept")
}

/** What an `accept` sets in the entry; none when the entry has come to name another session. */
const touch =
  (sessionId: SessionId, now: number): StoreIndex.Patch =>
  (current) => {
    const named = Option.flatMapNullable(current, (entry) => entry.sessionId)
    if (Option.isSome(named) && named.value !== sessionId) return Option.none()
    const updatedAt = { name: "updatedAt", text: String(now) }
    return Option.some(
      Option.isSome(named) ? [updatedAt] : [{ name: "sessionId", text: JSON.stringify(sessionId) }, updatedAt]
    )
  }

/** The lines of a batch. They begin on a line of their own also behind a line that somebody's crash cut off. */
const encoderOf = (
  sessionId: SessionId,
  now: number,
  cwd: string,
  jobs: ReadonlyArray<EntranceJob>,
  ids: ReadonlyArray<MessageId>
) => {
  const timestamp = DateTime.formatIso(DateTime.unsafeMake(now))
  const lines = ids
    .map((id, at) => Transcript.messageLine(id, timestamp, jobs[at]?.item.messageJson ?? "null"))
    .join("")
  return (tail: TranscriptTail): Uint8Array => {
    const header = tail.size === 0 ? Transcript.headerLine(sessionId, timestamp, cwd) : ""
    return Buffer.from((tail.endsWithNewline ? "" : "\n") + header + lines)
  }
}

const answer = (
  jobs: ReadonlyArray<EntranceJob>,
  ids: ReadonlyArray<MessageId>,
  entry: SessionEntry
): void => {
  ids.forEach((messageId, at) =>
    jobs[at]?.settle(Exit.succeed({ sessionId: entry.sessionId, messageId, entry }))
  )
}

const takeSome = (queued: ReadonlyArray<EntranceJob>): number => {
  let length = 0
  const over = queued.findIndex(({ item }) => (length += item.messageJson.length) > batchLength)
  return over < 0 ? queued.length : over
}
