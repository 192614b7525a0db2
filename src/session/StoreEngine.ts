/**
 * StoreEngine: `SessionStore` and `RunJournal` over any `StoreDriver`.
 *
 * A message is first made durable in the run journal, in one line with what it means for a run; then it goes into its
 * transcript, then (a new session, a new `updatedAt`) into the index. So one fsync, shared by all who wait, is all that an
 * `accept` waits for; a crash behind it loses nothing, since the journal is asked at the next start what the files lack.
 *
 * The messages of one session that wait go into its transcript with one write.
 */
import { Cause, Clock, DateTime, Deferred, Effect, Either, Exit, FiberId, Option, type Scope } from "effect"
import { makeMessageId, makeSessionId, type MessageId, type SessionId } from "../domain/Ids.js"
import type { Message } from "../domain/Message.js"
import { ImageUnavailable, SendDenied, SessionChanged, SessionStoreError } from "../domain/SessionError.js"
import type { SessionKey, SessionKeyDefaults } from "../domain/SessionKey.js"
import { defaults } from "../GatewayConfig.js"
import * as Batcher from "../journal/Batcher.js"
import * as EventLoop from "../event/EventLoop.js"
import type { AcceptedRun, Removal, RunEnd } from "../journal/JournalRecord.js"
import * as RunJournal from "../journal/RunJournal.js"
import * as ImageFile from "./ImageFile.js"
import * as JsonFields from "./JsonFields.js"
import type {
  Accepted,
  Glance,
  HistoryPage,
  Removed,
  SessionEntry,
  SessionStoreShape
} from "./SessionStore.js"
import type { StoreDriver, TranscriptSource, TranscriptTail } from "./StoreDriver.js"
import { begun, type StoredEntry } from "./StoredEntry.js"
import * as StoreIndex from "./StoreIndex.js"
import * as Transcript from "./Transcript.js"
import * as TranscriptReader from "./TranscriptReader.js"
import * as TranscriptRepair from "./TranscriptRepair.js"

export interface EngineOptions {
  /**
   * How keys in `sessions.json` that are not canonical (`main`) are understood: as `GatewayConfig` has it, whose
   * defaults are the default.
   */
  readonly sessionKeyDefaults?: SessionKeyDefaults
  /** The working directory of the agents, for the first line of a new transcript. Default `/`. */
  readonly cwd?: string
  /** The run journal is compacted when it is larger than this (and than twice its last compact size). Default 8 MiB. */
  readonly compactJournalAbove?: number | undefined
}

/** The two ports that the engine gives. */
export interface Engine {
  readonly store: SessionStoreShape
  readonly journal: RunJournal.RunJournalShape
}

/** A message on its way into a transcript. */
interface Entrance {
  readonly kind: "accept" | "append"
  /** Its images by reference. */
  readonly message: Message
  readonly messageJson: string
  /** What it refers to, to be written before it. */
  readonly files: ReadonlyArray<ImageFile.ImageFile>
  readonly run?: AcceptedRun | undefined
  readonly end?: RunEnd | undefined
}

type EntranceJob = Batcher.Job<Entrance, Accepted, SessionStoreError | SendDenied>

/** A message of a batch that is being written. */
interface Row {
  readonly id: MessageId
  readonly job: EntranceJob
}

/** A transcript that is being written. */
interface Gate {
  /** Those who wait for their turn. */
  readonly waiting: Array<Deferred.Deferred<void>>
  /** Where the part ends that is whole; undefined when that is all of it. */
  committed: number | undefined
}

/** What is taken into one write at most (a single message may be larger), in UTF-16 code units. */
const batchLength = 4 * 1024 * 1024
/** How often a page is read again because another program changed the transcript under it. */
const attempts = 4
/** Between two looks at whether the disk is back, in milliseconds. */
const probeInterval = 1000
/** Transcripts that are made durable at once, and images that are written for the messages of one session. */
const syncsAtOnce = 4

export const make = (
  driver: StoreDriver,
  options: EngineOptions
): Effect.Effect<Engine, SessionStoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const cwd = options.cwd ?? "/"
    const index = yield* StoreIndex.make(driver.index, options.sessionKeyDefaults ?? defaults)
    const gates = new Map<string, Gate>()
    /** The names of transcripts that were written since they were made durable the last time. */
    let written = new Set<string>()

    // Who finds nothing to do must not say so while another one is at it.
    const securing = yield* Effect.makeSemaphore(1)
    /** Makes durable what was written before this began. */
    const secure = Effect.suspend(() => {
      const files = written
      written = new Set()
      return Effect.forEach(
        files,
        (name) => Effect.flatMap(driver.transcripts.locate(name), driver.transcripts.sync),
        { concurrency: syncsAtOnce, discard: true }
      ).pipe(
        Effect.zipRight(index.secure),
        Effect.zipRight(index.keep),
        Effect.onError(() =>
          Effect.sync(() => {
            for (const name of files) written.add(name)
          })
        )
      )
    }).pipe(securing.withPermits(1))

    const { journal, messages } = yield* RunJournal.open({
      driver: driver.log,
      store: secure,
      compactAbove: options.compactJournalAbove
    })
    yield* redoRemovals(driver, index, messages)
    yield* repair(driver, index, messages, cwd)
    for (const { file } of messages.found) written.add(file)
    // At an orderly end the files say all there is, and the next start has nothing to repair.
    yield* Effect.addFinalizer(() =>
      Effect.catchAll(messages.checkpoint, (error) =>
        Effect.logWarning("the session store could not be written at the end; the run journal has it", error)
      )
    )

    // A session's messages come in one turn, what is done to its entry in another. And two entries may name one file: a
    // session's order alone does not keep its writers apart.
    const inTurn = <A, E>(file: string, use: (gate: Gate) => Effect.Effect<A, E>): Effect.Effect<A, E> => {
      const enter = (gate: Gate) =>
        Effect.ensuring(
          use(gate),
          Effect.sync(() => leave(file, gate))
        )
      return Effect.suspend(() => {
        const busy = gates.get(file)
        if (busy !== undefined) {
          const turn = Deferred.unsafeMake<void>(FiberId.none)
          busy.waiting.push(turn)
          return Effect.zipRight(Deferred.await(turn), enter(busy))
        }
        const gate: Gate = { waiting: [], committed: undefined }
        gates.set(file, gate)
        return enter(gate)
      })
    }
    const leave = (file: string, gate: Gate): void => {
      gate.committed = undefined
      const next = gate.waiting.shift()
      if (next === undefined) gates.delete(file)
      else Deferred.unsafeDone(next, Exit.void)
    }

    /**
     * The entry for an answer. Its session is known since the question came: that another program is just rewriting
     * `sessions.json`, or has broken it, must not lose the answer.
     */
    const sessionOf = (key: SessionKey) => Effect.catchAll(index.get(key), (error) => lastKnown(key, error))

    const lastSessionOf = (key: SessionKey) => Effect.catchAll(lastKnown(key, notKnown), () => sessionOf(key))

    /** The entry as it was read last, of a session that has begun. */
    const lastKnown = (key: SessionKey, otherwise: SessionStoreError) =>
      Effect.filterOrFail(
        index.getLast(key),
        Option.exists(({ sessionId }) => sessionId !== undefined),
        () => otherwise
      )

    /** Why the last message could not be put into its transcript. */
    let trouble: SessionStoreError | undefined
    const findOut = Effect.sleep(probeInterval).pipe(
      Effect.zipRight(Effect.either(driver.probe)),
      Effect.map((probed) => {
        trouble = Either.isRight(probed) ? undefined : probed.left
      }),
      Effect.repeat({ while: () => trouble !== undefined }),
      Effect.interruptible
    )
    /** Until the disk is back, somebody looks now and then: whoever was refused may not come again. */
    const inTrouble = (error: SessionStoreError): Effect.Effect<void> =>
      Effect.suspend(() => {
        const known = trouble !== undefined
        trouble = error
        return known ? Effect.void : Effect.asVoid(Effect.forkIn(findOut, scope))
      })

    /** Writes the images of a batch's messages. Refuses those whose images can't be written; gives the others. */
    const writeImages = (jobs: ReadonlyArray<EntranceJob>) =>
      Effect.filter(
        jobs,
        (job) =>
          Effect.matchCauseEffect(
            Effect.forEach(job.item.files, driver.images.write, { concurrency: syncsAtOnce, discard: true }),
            {
              onFailure: (cause) => {
                job.settle(Exit.failCause(cause))
                const error = Option.getOrUndefined(Cause.failureOption(cause))
                return Effect.as(error?.operation === "write" ? inTrouble(error) : Effect.void, false)
              },
              onSuccess: () => Effect.succeed(true)
            }
          ),
        { concurrency: syncsAtOnce }
      )

    /** Writes a batch of one session's messages: all of them, or none. */
    const write = (
      key: SessionKey,
      batch: ReadonlyArray<EntranceJob>,
      attempt: number
    ): Effect.Effect<void, SessionStoreError> =>
      Effect.gen(function* () {
        const accepts = batch.some(({ item }) => item.kind === "accept")
        // An answer goes where its question went a moment ago.
        const answers = batch.every(({ item }) => item.end !== undefined)
        const entry = yield* accepts ? index.get(key) : answers ? lastSessionOf(key) : sessionOf(key)
        const allowed = Option.exists(entry, isDenied) ? refuse(key, batch) : batch
        const jobs = allowed.some(({ item }) => item.files.length > 0) ? yield* writeImages(allowed) : allowed
        if (jobs.length === 0) return
        const known = Option.flatMapNullable(entry, ({ sessionId }) => sessionId)
        const sessionId = Option.isSome(known) ? known.value : yield* makeSessionId
        const name = transcriptOf(sessionId, entry)
        const file = yield* driver.transcripts.locate(name)
        const rows: Array<Row> = []
        for (const job of jobs) rows.push({ job, id: yield* makeMessageId })
        const ids = rows.map(({ id }) => id)
        const now = yield* Clock.currentTimeMillis
        const timestamp = DateTime.formatIso(DateTime.unsafeMake(now))
        const isNew = Option.isNone(known)
        let torn = false
        let committed = false

        const records = (tail: TranscriptTail) =>
          rows.map(({ id, job: { item } }): RunJournal.JournalMessage => ({
            run: item.run,
            end: item.end,
            messageJson: item.messageJson,
            entry: {
              id,
              sessionKey: key,
              sessionId,
              file: name,
              timestamp,
              tail: tail.size,
              ...(item.kind === "accept" || isNew ? { updatedAt: now } : {}),
              message: { ...item.message }
            }
          }))

        yield* inTurn(file, (gate) =>
          driver.transcripts.append(
            file,
            (tail) =>
              Effect.suspend(() => {
                torn = !tail.endsWithNewline && attempt === 1
                // Whatever this fails with: the append is tried again once the end is cut off.
                if (torn) return new SessionStoreError({ operation: "write", subject: name, reason: "torn" })
                return Effect.map(messages.commit(records(tail)), () => {
                  committed = true
                  written.add(name)
                  gate.committed = tail.size
                  return encode(tail, sessionId, timestamp, cwd, rows)
                })
              }),
            { trusting: answers && attempt === 1 }
          )
        ).pipe(
          Effect.catchAllCause((cause) => {
            if (torn) return Effect.void
            const error = Option.getOrUndefined(Cause.failureOption(cause))
            const isDisk = error?.operation === "write"
            return (isDisk ? inTrouble(error) : Effect.void).pipe(
              Effect.zipRight(committed ? messages.withdraw(ids) : Effect.void),
              Effect.zipRight(Effect.failCause(cause))
            )
          })
        )
        if (torn) {
          yield* inTurn(file, () => TranscriptRepair.cutTail(driver.transcripts, file))
          return yield* write(key, jobs, attempt + 1)
        }
        trouble = undefined
        // Again: it may have been made durable before the write had ended.
        written.add(name)
        messages.applied(ids)
        if (isNew || accepts) yield* index.change(key, { ...(isNew ? { sessionId } : {}), updatedAt: now })
        const stored = Effect.orElseSucceed(index.getLast(key), () => entry)
        const session = Option.getOrElse(Option.flatMap(yield* stored, begun), () => ({
          sessionId,
          updatedAt: now,
          raw: {}
        }))
        for (const { id, job } of rows)
          job.settle(
            Exit.succeed({
              sessionId: session.sessionId,
              messageId: id,
              entry: session,
              message: job.item.message
            })
          )
      })

    const submit = yield* Batcher.make<SessionKey, Entrance, Accepted, SessionStoreError | SendDenied>({
      take: takeSome,
      run: (key, jobs) => inTurn(turnOf(key), () => write(key, jobs, 1))
    })

    const enter = (key: SessionKey, entrance: Omit<Entrance, "messageJson" | "files">) =>
      Effect.suspend(() => {
        const { files, message } = ImageFile.split(entrance.message)
        // What can't be written as JSON is a defect of this caller, and must not reach those who share the write.
        return submit(key, { ...entrance, message, messageJson: JSON.stringify(message), files })
      })

    /** Does something to a session, no message of which is being written meanwhile. */
    const alone = <A, E>(key: SessionKey, use: Effect.Effect<A, E>): Effect.Effect<A, E> =>
      Effect.uninterruptible(inTurn(turnOf(key), () => use))

    /** Makes an empty transcript, durably: an entry that names one that is not there looks like a loss. */
    const beginTranscript = (sessionId: SessionId, entry: Option.Option<StoredEntry>, now: number) =>
      Effect.gen(function* () {
        const file = yield* driver.transcripts.locate(transcriptOf(sessionId, entry))
        const timestamp = DateTime.formatIso(DateTime.unsafeMake(now))
        yield* inTurn(file, () =>
          driver.transcripts.append(file, ({ size }) =>
            Effect.succeed(Buffer.from(size === 0 ? Transcript.headerLine(sessionId, timestamp, cwd) : ""))
          )
        )
        yield* driver.transcripts.sync(file)
      })

    /** The entry of a session that has begun by being edited. */
    const editBegun = (
      key: SessionKey,
      sessionId: SessionId,
      fields: ReadonlyArray<readonly [name: string, value: unknown]>
    ) =>
      Effect.map(
        index.edit(key, (text) => {
          const gone = new Set(fields.flatMap(([name, value]) => (value === undefined ? [name] : [])))
          return JsonFields.set(
            JsonFields.without(text ?? "{}", gone),
            [["sessionId", sessionId] as const, ...fields].flatMap(([name, value]) =>
              value === undefined ? [] : [{ name, text: JSON.stringify(value) ?? "null" }]
            )
          )
        }),
        (entry): SessionEntry => ({ ...entry, sessionId })
      )

    /** Does the entry of another session name this transcript? */
    const isShared = (key: SessionKey, file: string) =>
      Effect.gen(function* () {
        const breathe = EventLoop.turnEvery(entriesPerTurn)
        // Most names are plain, and to resolve each would cost too much.
        const isPlain = (name: string) => !/[/\\]/.test(name)
        const placeOf = (name: string) => Either.getOrElse(driver.transcripts.locate(name), () => name)
        const isSame = (other: string) =>
          other === file || (!(isPlain(other) && isPlain(file)) && placeOf(other) === placeOf(file))
        let looked = 0
        for (const [other, entry] of yield* index.newest) {
          looked += 1
          if (looked % entriesPerTurn === 0) yield* breathe(entriesPerTurn)
          if (other === key || entry.sessionId === undefined) continue
          if (isSame(transcriptOf(entry.sessionId, Option.some(entry)))) return true
        }
        return false
      })

    /** Reads a session's transcript; again, when another program changes it meanwhile. */
    const read = <A>(
      key: SessionKey,
      use: (
        session: SessionEntry,
        transcript: Option.Option<{ readonly source: TranscriptSource; readonly end: number }>
      ) => Effect.Effect<A, SessionStoreError | TranscriptReader.TranscriptShrank>
    ): Effect.Effect<Option.Option<A>, SessionStoreError> =>
      Effect.gen(function* () {
        const entry = yield* index.get(key)
        const session = Option.getOrUndefined(Option.flatMap(entry, begun))
        if (session === undefined) return Option.none()
        const file = yield* driver.transcripts.locate(transcriptOf(session.sessionId, entry))
        const transcript = Option.map(yield* driver.transcripts.open(file), (source) => ({
          source,
          end: Math.min(source.size, gates.get(file)?.committed ?? source.size)
        }))
        return Option.some(yield* use(session, transcript))
      }).pipe(
        Effect.scoped,
        Effect.retry({ times: attempts, while: isShrank }),
        Effect.catchIf(isShrank, () => changedAgain)
      )

    const store: SessionStoreShape = {
      get: (key) => Effect.map(index.get(key), Option.flatMap(begun)),
      list: Effect.map(index.list, (entries) => {
        const sessions = new Map<SessionKey, SessionEntry>()
        for (const [key, entry] of entries) {
          const session = begun(entry)
          if (Option.isSome(session)) sessions.set(key, session.value)
        }
        return sessions
      }),
      newest: Effect.map(index.newest, begunOf),
      accept: (key, message, run) => enter(key, { kind: "accept", message, run }),
      append: (key, message, end) =>
        enter(key, { kind: "append", message, end }).pipe(
          Effect.map(({ messageId, sessionId }) => ({ messageId, sessionId })),
          // Only an `accept` is ever denied.
          Effect.catchTag("SendDenied", Effect.die)
        ),
      patch: (key, fields) =>
        Effect.flatMap(Effect.either(index.getLast(key)), (entry) =>
          // A change of what is not there would wait for a session that begins under the key.
          Either.isRight(entry) &&
          Option.getOrElse(
            Option.map(entry.right, ({ raw }) => holds(raw, fields)),
            () => true
          )
            ? Effect.void
            : index.change(key, { fields })
        ),
      update: (key, fields, { expected } = {}) =>
        alone(
          key,
          Effect.gen(function* () {
            const entry = yield* index.get(key)
            const known = Option.getOrUndefined(entry)?.sessionId
            if (expected !== undefined && known !== expected)
              return yield* new SessionChanged({ sessionKey: key })
            if (known !== undefined) return yield* editBegun(key, known, Object.entries(fields))
            const now = yield* Clock.currentTimeMillis
            const sessionId = yield* makeSessionId
            yield* beginTranscript(sessionId, entry, now)
            return yield* editBegun(key, sessionId, [["updatedAt", now], ...Object.entries(fields)])
          })
        ),
      reset: (key) =>
        alone(
          key,
          Effect.gen(function* () {
            // An entry that can't be used is its author's to mend.
            yield* index.get(key)
            const now = yield* Clock.currentTimeMillis
            const sessionId = yield* makeSessionId
            yield* beginTranscript(sessionId, Option.none(), now)
            return yield* editBegun(key, sessionId, [
              ["updatedAt", now],
              ...ofOldTranscript.map((name) => [name, undefined] as const)
            ])
          })
        ),
      remove: (key, { expected, transcript }) =>
        alone(
          key,
          Effect.gen(function* () {
            const entry = yield* index.get(key)
            const sessionId = Option.getOrUndefined(entry)?.sessionId
            if (sessionId === undefined) return { removed: false }
            if (expected !== undefined && sessionId !== expected)
              return yield* new SessionChanged({ sessionKey: key })
            const file = transcriptOf(sessionId, entry)
            const goes = transcript === "aside" && !(yield* isShared(key, file))
            const now = DateTime.formatIso(yield* DateTime.now).replaceAll(":", "-")
            const removal: Removal = {
              sessionKey: key,
              sessionId,
              file,
              ...(goes ? { aside: `.deleted.${now}` } : {})
            }
            yield* messages.remove(removal)
            yield* index.change(key, { removed: sessionId })
            messages.removalApplied(sessionId)
            written.delete(file)
            const isAside = yield* putAside(driver, removal, (located, use) => inTurn(located, () => use))
            // Another program may have given it a whole path, which is nobody's business.
            const name = file.split(/[/\\]/).at(-1)
            return {
              removed: true,
              ...(isAside ? { aside: `${name}${removal.aside}` } : {})
            } satisfies Removed
          })
        ),
      history: (key, query) =>
        read(key, ({ sessionId, thinkingLevel }, transcript) =>
          Effect.map(
            Option.match(transcript, {
              onNone: () => Effect.succeed(emptyPage),
              onSome: ({ end, source }) => TranscriptReader.page(source, end, query)
            }),
            (page): HistoryPage => ({
              sessionId,
              ...(thinkingLevel !== undefined && { thinkingLevel }),
              ...page
            })
          )
        ).pipe(Effect.map(Option.getOrElse(() => emptyPage))),
      glance: (key, query) =>
        read(key, (_, transcript) =>
          Option.match(transcript, {
            onNone: () => Effect.succeed<Glance>({ last: [] }),
            onSome: ({ end, source }) => TranscriptReader.glance(source, end, query)
          })
        ),
      image: (reference) =>
        // One byte more than there may be, so that a longer file is found to be one.
        Effect.flatMap(driver.images.read(ImageFile.nameOf(reference), reference.size + 1), (bytes) =>
          Option.isSome(bytes)
            ? ImageFile.join(reference, bytes.value)
            : new ImageUnavailable({ sha256: reference.sha256, reason: "missing" })
        ),
      findImage: (key, sha256) =>
        read(key, (_, transcript) =>
          Option.match(transcript, {
            onNone: () => Effect.succeedNone,
            onSome: ({ end, source }) => TranscriptReader.findImage(source, end, sha256)
          })
        ).pipe(Effect.map(Option.flatten)),
      flush: index.flush,
      problems: Effect.zipWith(messages.problem, index.problem, (...found) =>
        Array.from(new Set([...found, Option.fromNullable(trouble)].flatMap(Option.toArray)))
      )
    }
    return { store, journal }
  })

/** Those of sessions that have begun. */
function* begunOf(
  entries: Iterable<readonly [SessionKey, StoredEntry]>
): Iterable<readonly [SessionKey, SessionEntry]> {
  for (const [key, entry] of entries) {
    const session = begun(entry)
    if (Option.isSome(session)) yield [key, session.value]
  }
}

/** Are these fields set so already? */
const holds = (raw: SessionEntry["raw"], fields: { readonly [name: string]: unknown }): boolean =>
  Object.entries(fields).every(([name, value]) => JSON.stringify(raw[name]) === JSON.stringify(value))

/** Gives the transcript of a session that was removed its new name. Answers whether it has it. */
const putAside = (
  { transcripts }: StoreDriver,
  { aside, file }: Removal,
  inTurn: (
    file: string,
    use: Effect.Effect<boolean, SessionStoreError>
  ) => Effect.Effect<boolean, SessionStoreError>
): Effect.Effect<boolean> =>
  aside === undefined
    ? Effect.succeed(false)
    : Effect.flatMap(transcripts.locate(file), (located) =>
        inTurn(located, transcripts.rename(located, `${located}${aside}`))
      ).pipe(
        Effect.catchAll((error) =>
          Effect.as(
            Effect.logWarning("the transcript of a removed session could not be renamed", error),
            false
          )
        )
      )

/** Ends what a crash has left undone of removals. */
const redoRemovals = (
  driver: StoreDriver,
  index: StoreIndex.StoreIndex,
  messages: RunJournal.MessageJournal
): Effect.Effect<void> =>
  Effect.forEach(
    messages.removals,
    (removal) =>
      Effect.gen(function* () {
        const { sessionId, sessionKey } = removal
        const entry = yield* Effect.orElseSucceed(index.getLast(sessionKey), Option.none)
        // What another program has made of the entry since then stands.
        if (Option.exists(entry, (known) => known.sessionId === sessionId))
          yield* index.change(sessionKey, { removed: sessionId })
        messages.removalApplied(sessionId)
        yield* putAside(driver, removal, (_, use) => use)
      }),
    { discard: true }
  )

/** Brings the files up to what the journal says. */
const repair = (
  driver: StoreDriver,
  index: StoreIndex.StoreIndex,
  messages: RunJournal.MessageJournal,
  cwd: string
): Effect.Effect<void, SessionStoreError> =>
  Effect.gen(function* () {
    const { missing, stored } = yield* TranscriptRepair.recover(driver.transcripts, messages.found, cwd)
    messages.applied(stored)
    if (missing > 0)
      yield* Effect.logInfo(`${missing} messages were put into their transcripts from the run journal`)
    for (const { sessionId, sessionKey, updatedAt } of messages.found) {
      // An entry that can't be used is its author's to mend.
      const entry = yield* Effect.either(index.getLast(sessionKey))
      if (Either.isLeft(entry)) continue
      const known = Option.getOrUndefined(entry.right)
      // What another program has made of the entry since then stands.
      if (known?.sessionId !== undefined && known.sessionId !== sessionId) continue
      const isNew = known?.sessionId === undefined
      if (!isNew && (updatedAt ?? 0) <= known.updatedAt) continue
      yield* index.change(sessionKey, {
        ...(isNew ? { sessionId } : {}),
        ...(updatedAt === undefined ? {} : { updatedAt })
      })
    }
  })

const notKnown = new SessionStoreError({
  operation: "read",
  subject: StoreIndex.fileName,
  reason: "the session is not known yet"
})

/** Entries that are looked at in one turn of the event loop. */
const entriesPerTurn = 1024

/** Fields of an entry that speak of its transcript, or of the last run in it. */
const ofOldTranscript = [
  "sessionFile",
  "stopReason",
  "abortedLastRun",
  "inputTokens",
  "outputTokens",
  "totalTokens"
] as const

/** No file has such a name. */
const turnOf = (key: SessionKey): string => `session ${key}`

/** The transcript of a session, from the state directory. */
const transcriptOf = (sessionId: SessionId, entry: Option.Option<StoredEntry>): string =>
  Option.getOrUndefined(entry)?.sessionFile ?? `${sessionId}.jsonl`

const isShrank = (error: unknown): error is TranscriptReader.TranscriptShrank =>
  error instanceof TranscriptReader.TranscriptShrank

const changedAgain = new SessionStoreError({
  operation: "read",
  subject: "transcript",
  reason: "changed by another program again and again"
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

/** The lines of a batch. They begin on a line of their own also behind one that lacks its line feed. */
const encode = (
  tail: TranscriptTail,
  sessionId: SessionId,
  timestamp: string,
  cwd: string,
  rows: ReadonlyArray<Row>
): Uint8Array => {
  const header = tail.size === 0 ? Transcript.headerLine(sessionId, timestamp, cwd) : ""
  const lines = rows.map(({ id, job }) => Transcript.messageLine(id, timestamp, job.item.messageJson))
  return Buffer.from(`${tail.endsWithNewline ? "" : "\n"}${header}${lines.join("")}`)
}

const takeSome = (queued: ReadonlyArray<EntranceJob>): number => {
  let length = 0
  const over = queued.findIndex(({ item }) => (length += item.messageJson.length) > batchLength)
  return over < 0 ? queued.length : over
}
