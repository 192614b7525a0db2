/**
 * StoreIndex: the entries of all sessions (`sessions.json`), read when the file has changed, and written behind the run
 * journal: a change counts at once for everybody who asks here, and comes into the file soon, with all the changes that
 * wait then. A crash in between loses nothing, since the journal says it again.
 *
 * Between looking at a version for the last time and replacing it lies one rename; an edit that another program makes in
 * that moment is lost, since it takes no lock.
 */
import { Clock, Effect, Either, Exit, Option, type Scope } from "effect"
import type { SessionId } from "../domain/Ids.js"
import type { SessionKey, SessionKeyDefaults } from "../domain/SessionKey.js"
import * as IndexDocument from "./IndexDocument.js"
import * as JsonFields from "./JsonFields.js"
import * as Batcher from "../journal/Batcher.js"
import * as Shared from "../journal/Shared.js"
import { SessionStoreError } from "../domain/SessionError.js"
import * as RecentEntries from "./RecentEntries.js"
import type { IndexDriver, IndexStamp } from "./StoreDriver.js"
import * as StoredEntry from "./StoredEntry.js"

/** The name of the file of entries. */
export const fileName = "sessions.json"

/** What to set in a session's entry. What is left out stays as it is. */
export interface Change {
  /** The session that was begun with this change: it stands, whatever the file says meanwhile. */
  readonly sessionId?: SessionId
  /** Milliseconds since the Unix epoch. */
  readonly updatedAt?: number
  /** Any other fields; values are what JSON can hold. */
  readonly fields?: { readonly [name: string]: unknown }
  /** The session that ended with this change: its entry goes, unless it is another session's by then. */
  readonly removed?: SessionId
}

/** Makes the text of an entry of the one that the file has; undefined: there is none. */
export type Edit = (text: string | undefined) => string

interface EditOfKey {
  readonly key: SessionKey
  readonly edit: Edit
}

type EditJob = Batcher.Job<EditOfKey, StoredEntry.StoredEntry, SessionStoreError>

export interface StoreIndex {
  /** The entry of a session: as it is in the file now, with what waits to be written. Fails when that can't be used. */
  readonly get: (key: SessionKey) => Effect.Effect<Option.Option<StoredEntry.StoredEntry>, SessionStoreError>

  /** The entry as it was read last, for when it can't be read now. */
  readonly getLast: (
    key: SessionKey
  ) => Effect.Effect<Option.Option<StoredEntry.StoredEntry>, SessionStoreError>

  /** All entries that can be used. */
  readonly list: Effect.Effect<ReadonlyMap<SessionKey, StoredEntry.StoredEntry>, SessionStoreError>

  /**
   * The same from the most to the least recently used one, as they are iterated: that costs what is passed over. Making the
   * order costs all of them, in turns of the event loop, when the file is another one.
   */
  readonly newest: Effect.Effect<Iterable<RecentEntries.Keyed>, SessionStoreError>

  /** Changes a session's entry, making it if there is none. It is written soon, and tried again until it is. */
  readonly change: (key: SessionKey, change: Change) => Effect.Effect<void>

  /**
   * Edits a session's entry at once. When it succeeds, the file would survive a power cut; those that wait at the same time
   * share it. When it fails, nothing is changed, unless all that failed was making the new version durable. An entry that
   * can't be used is not edited.
   */
  readonly edit: (key: SessionKey, edit: Edit) => Effect.Effect<StoredEntry.StoredEntry, SessionStoreError>

  /** Waits until all changes so far are in the file. */
  readonly flush: Effect.Effect<void, SessionStoreError>

  /** The same, and until the file would survive a power cut. */
  readonly secure: Effect.Effect<void, SessionStoreError>

  /**
   * Makes the version that is there now the backup. Needed when the run journal is about to forget what only the newest
   * version says: without it the backup is one version behind.
   */
  readonly keep: Effect.Effect<void, SessionStoreError>

  /** Why the last write failed; none when it did not. */
  readonly problem: Effect.Effect<Option.Option<SessionStoreError>>
}

/** A version of the file that was read or written. */
interface Version {
  readonly stamp: Option.Option<IndexStamp>
  readonly document: IndexDocument.IndexDocument
  /** No change can hide behind the same stamp: it is ours, or was old enough when it was read. */
  readonly settled: boolean
  /** Does it survive a power cut, as far as we know? Then it is good enough to be the backup. */
  readonly durable: boolean
}

/**
 * The clocks of common file systems tick every 1 to 10 ms, and two edits of another program within a tick may have one
 * stamp: what was read sooner than this many ms after an edit is read again at the next look.
 */
const clockResolution = 20
/** How often a write starts again because another program changed the file under it. */
const attempts = 5
/** Between two attempts to write after a failure, in milliseconds. */
const retryInterval = 1000
/** A write is followed by a pause of so many times its duration, so that a large file is not written all the time. */
const pauseFactor = 10
/** While there is traffic, a version is made durable so often, in milliseconds: the next one keeps it as the backup. */
const secureInterval = 10_000
/** The longest such pause, in milliseconds. */
const longestPause = 2000

export const make = (
  driver: IndexDriver,
  defaults: SessionKeyDefaults
): Effect.Effect<StoreIndex, SessionStoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    // Held while the file is replaced or read anew, so that nobody reads a version that may yet be taken back.
    const exclusive = yield* Effect.makeSemaphore(1)
    let version: Version | undefined
    const recent = yield* RecentEntries.make

    const isSettled = ({ modifiedAt }: IndexStamp): Effect.Effect<boolean> =>
      modifiedAt === undefined
        ? Effect.succeed(true)
        : Effect.map(Clock.currentTimeMillis, (now) => now - modifiedAt > clockResolution)

    const read = Effect.gen(function* () {
      const content = Option.getOrUndefined(yield* driver.read)
      if (content === undefined) {
        return (version = {
          stamp: Option.none(),
          document: IndexDocument.empty(defaults),
          settled: true,
          durable: false
        })
      }
      const settled = yield* isSettled(content.stamp)
      const document = IndexDocument.parse(content.bytes, defaults)
      if (Either.isLeft(document)) return yield* failure("read", document.left)
      return (version = {
        stamp: Option.some(content.stamp),
        document: document.right,
        settled,
        durable: true
      })
    })

    // A look at the file costs a system call: those who ask while one is under way share the next one.
    const look = yield* Shared.make(driver.stamp)

    /** Is what was read last still what the file holds? */
    const isCurrent = Effect.suspend(() => {
      const known = version
      if (known === undefined || !known.settled) return Effect.succeed(false)
      return Effect.map(look, (stamp) => sameStamp(known.stamp, stamp) && known === version)
    })

    const currentOr = (otherwise: Effect.Effect<Version, SessionStoreError>) =>
      Effect.flatMap(isCurrent, (hit) => (hit && version !== undefined ? Effect.succeed(version) : otherwise))

    // Those who find that it must be read again share the reading.
    const load = yield* Batcher.make<"load", void, Version, SessionStoreError>({
      run: (_, jobs) =>
        Effect.map(exclusive.withPermits(1)(currentOr(read)), (loaded) => {
          for (const job of jobs) job.settle(Exit.succeed(loaded))
        })
    })

    const current = currentOr(load("load", undefined))

    const begun = yield* Effect.either(read)
    if (Either.isLeft(begun)) {
      // What can't be read at all may be sound: this fails with the system's reason.
      yield* driver.read
      yield* recover(driver, defaults, begun.left.reason)
    }

    const pending = new Map<SessionKey, Change>()
    /** What an entry of the file means with what waits to be written; none when it can't be used. */
    const pendingIn = (document: IndexDocument.IndexDocument, key: SessionKey) => {
      const text = document.text(document.spelling(key) ?? key)
      const change = pending.get(key)
      const after = change === undefined ? text : apply(text, change)
      return after === undefined ? Option.none() : Either.getRight(StoredEntry.decode(after))
    }
    const entryIn = ({ document }: Version, key: SessionKey) =>
      Effect.flatMap(entryOf(document, key), (entry) => {
        const change = pending.get(key)
        if (change === undefined) return Effect.succeed(entry)
        const text = apply(document.text(document.spelling(key) ?? key), change)
        return text === undefined ? Effect.succeedNone : usable(key, StoredEntry.decode(text))
      })

    /** Replaces the file, unless it has changed since `base`. */
    const replace = (
      prepared: IndexDocument.Prepared,
      base: Version,
      stamp: IndexStamp,
      keys: Iterable<SessionKey>
    ) =>
      exclusive.withPermits(1)(
        Effect.gen(function* () {
          if (!sameStamp(base.stamp, yield* driver.stamp)) return false
          yield* driver.publish(base.durable).pipe(
            // Nobody knows what is there now.
            Effect.tapError(() => Effect.sync(() => (version = undefined)))
          )
          prepared.commit()
          recent.touch(keys)
          version = { stamp: Option.some(stamp), document: base.document, settled: true, durable: false }
          return true
        })
      )

    /** Answers for each of the edits that were made what the entry is now. */
    const write = (
      attempt: number,
      edits: ReadonlyArray<EditJob> = []
    ): Effect.Effect<ReadonlyArray<readonly [EditJob, StoredEntry.StoredEntry]>, SessionStoreError> =>
      Effect.gen(function* () {
        const batch = new Map(pending)
        if (batch.size === 0 && edits.length === 0) return []
        const base = yield* current
        const changes = new Map<string, string | undefined>()
        const nameOf = (key: SessionKey) => base.document.spelling(key) ?? key
        const textOf = (name: string) => (changes.has(name) ? changes.get(name) : base.document.text(name))
        for (const [key, change] of batch) {
          const name = nameOf(key)
          const before = textOf(name)
          const after = apply(before, change)
          // An entry that another program has made unusable is its to mend; one that it has removed is gone.
          const isUsable = Either.isRight(StoredEntry.decode(before ?? "{}"))
          if (isUsable && (after !== undefined || change.removed !== undefined)) changes.set(name, after)
        }
        const edited: Array<readonly [EditJob, StoredEntry.StoredEntry]> = []
        for (const job of edits) {
          const { edit, key } = job.item
          const name = nameOf(key)
          const before = textOf(name)
          const known = before === undefined ? undefined : StoredEntry.decode(before)
          if (known !== undefined && Either.isLeft(known)) {
            job.settle(Exit.fail(unusable(name, known.left)))
            continue
          }
          const after = edit(before)
          const entry = StoredEntry.decode(after)
          if (Either.isLeft(entry)) {
            job.settle(Exit.fail(unusable(name, entry.left)))
            continue
          }
          changes.set(name, after)
          edited.push([job, entry.right])
        }
        const prepared = base.document.prepare(changes)
        const stamp = yield* driver.stage(prepared.chunks)
        const keys = [...batch.keys(), ...edits.map(({ item }) => item.key)]
        if (!(yield* replace(prepared, base, stamp, keys))) {
          if (attempt < attempts) return yield* write(attempt + 1, edits)
          return yield* failure("write", "changed by another program again and again")
        }
        for (const [key, change] of batch) if (pending.get(key) === change) pending.delete(key)
        // What has come meanwhile is no reason to begin the session again that was begun before the edit.
        for (const [job] of edited) {
          const left = pending.get(job.item.key)
          if (left === undefined) continue
          const { sessionId: _, removed: __, ...rest } = left
          pending.set(job.item.key, rest)
        }
        return edited
      })

    const writer = yield* Effect.makeSemaphore(1)
    let problem: SessionStoreError | undefined
    const flush = Effect.uninterruptible(
      Effect.asVoid(write(1)).pipe(
        Effect.tapBoth({
          onSuccess: () => Effect.sync(() => (problem = undefined)),
          onFailure: (error) => Effect.sync(() => (problem = error))
        })
      )
    ).pipe(writer.withPermits(1))

    let securedAt = yield* Clock.currentTimeMillis
    const secured = Effect.suspend(() => {
      const now = version
      return Effect.map(driver.secure, () => {
        if (now !== undefined && now === version) version = { ...now, durable: true }
      })
    })
    const secure = Effect.uninterruptible(Effect.zipRight(flush, secured))

    const edit = yield* Batcher.make<"edit", EditOfKey, StoredEntry.StoredEntry, SessionStoreError>({
      run: (_, jobs) =>
        Effect.gen(function* () {
          const edited = yield* write(1, jobs)
          problem = undefined
          yield* secured
          for (const [job, entry] of edited) job.settle(Exit.succeed(entry))
        }).pipe(Effect.uninterruptible, writer.withPermits(1))
    })

    let kept: string | undefined
    const keep = Effect.suspend(() => {
      // A version that can't be read now is none to keep: the one that was read last is.
      const stamp = Option.getOrUndefined(version?.stamp ?? Option.none())?.id
      if (version === undefined || stamp === undefined || stamp === kept) return Effect.void
      return Effect.map(driver.keep(version.document.chunks()), () => {
        kept = stamp
      })
    })

    /** Writes what waits, in turns with pauses, until nothing waits. */
    const drain = Effect.gen(function* () {
      while (pending.size > 0) {
        const before = yield* Clock.currentTimeMillis
        const due = before - securedAt >= secureInterval
        const written = yield* Effect.either(due ? secure : flush)
        if (due && Either.isRight(written)) securedAt = before
        const duration = (yield* Clock.currentTimeMillis) - before
        yield* Effect.sleep(
          Either.isRight(written) ? Math.min(longestPause, pauseFactor * duration) : retryInterval
        )
      }
    })
    let draining = false
    const wake: Effect.Effect<void> = Effect.suspend(() => {
      if (draining) return Effect.void
      draining = true
      return drain.pipe(
        Effect.onExit((exit) => {
          draining = false
          // What came right before this has woken nobody.
          return Exit.isSuccess(exit) && pending.size > 0 ? wake : Effect.void
        }),
        Effect.interruptible,
        Effect.forkIn(scope),
        Effect.asVoid
      )
    })

    return {
      get: (key) => Effect.flatMap(current, (loaded) => entryIn(loaded, key)),
      getLast: (key) =>
        Effect.suspend(() => (version === undefined ? Effect.succeedNone : entryIn(version, key))),
      list: Effect.map(current, ({ document }) => {
        if (pending.size === 0) return document.entries()
        const entries = new Map(document.entries())
        for (const [key, change] of pending) {
          const text = apply(document.text(document.spelling(key) ?? key), change)
          const entry = text === undefined ? undefined : StoredEntry.decode(text)
          if (entry !== undefined && Either.isRight(entry)) entries.set(key, entry.right)
          else if (change.removed !== undefined && text === undefined) entries.delete(key)
        }
        return entries
      }),
      newest: Effect.flatMap(current, ({ document }) =>
        recent.newest(
          document,
          () => pending.keys(),
          (key) => pendingIn(document, key)
        )
      ),
      edit: (key, change) => edit("edit", { key, edit: change }),
      change: (key, change) =>
        Effect.suspend(() => {
          // What waits for an entry that goes has nowhere to go.
          const before = change.removed === undefined ? pending.get(key) : undefined
          const fields = { ...before?.fields, ...change.fields }
          pending.set(key, { ...before, ...change, ...(Object.keys(fields).length > 0 && { fields }) })
          return wake
        }),
      flush,
      secure,
      keep: Effect.zipRight(Effect.ignore(current), keep).pipe(writer.withPermits(1), Effect.uninterruptible),
      problem: Effect.sync(() => Option.fromNullable(problem))
    }
  })

/** A file that can't be used at the start is kept beside, and the last good version takes its place. */
const recover = (
  driver: IndexDriver,
  defaults: SessionKeyDefaults,
  reason: string
): Effect.Effect<void, SessionStoreError> =>
  Effect.gen(function* () {
    const kept = yield* driver.keepDamaged
    const backup = Option.map(yield* driver.backup, (bytes) => IndexDocument.parse(bytes, defaults))
    const good = Option.flatMap(backup, Either.getRight)
    yield* driver.stage(Option.getOrElse(good, () => IndexDocument.empty(defaults)).chunks())
    yield* driver.publish(false)
    yield* Effect.logError(
      `${fileName} ${reason}. It is kept as ${kept}, and ${
        Option.isSome(good)
          ? `the last good version (${fileName}.bak) is used: edits of other programs since then are not in it`
          : "there is no good version of it: only the sessions that the run journal knows are left"
      }`
    )
  })

/** The text of an entry with a change in it. Undefined: there is none, and the change is not the beginning of one. */
const apply = (
  text: string | undefined,
  { fields = {}, removed, sessionId, updatedAt }: Change
): string | undefined => {
  const base = removed !== undefined && text !== undefined && isOf(text, removed) ? undefined : text
  return base === undefined && sessionId === undefined
    ? undefined
    : JsonFields.set(base ?? "{}", [
        ...(sessionId === undefined ? [] : [{ name: "sessionId", text: JSON.stringify(sessionId) }]),
        ...(updatedAt === undefined ? [] : [{ name: "updatedAt", text: String(updatedAt) }]),
        ...Object.entries(fields).map(([name, value]) => ({ name, text: JSON.stringify(value) ?? "null" }))
      ])
}

/** Is it the entry of this session? */
const isOf = (text: string, sessionId: SessionId): boolean => {
  const entry = StoredEntry.decode(text)
  return Either.isRight(entry) && entry.right.sessionId === sessionId
}

const unusable = (name: string, reason: string) =>
  new SessionStoreError({
    operation: "read",
    subject: fileName,
    reason: `the entry ${JSON.stringify(name)}: ${reason}`
  })

const failure = (operation: "read" | "write", reason: string) =>
  Effect.fail(new SessionStoreError({ operation, subject: fileName, reason }))

const entryOf = (document: IndexDocument.IndexDocument, key: SessionKey) => {
  const name = document.spelling(key)
  const entry = name === undefined ? Option.none() : document.entry(name)
  return Option.isNone(entry) ? Effect.succeedNone : usable(name ?? key, entry.value)
}

/** What an entry means; fails when it can't be used. */
const usable = (name: string, entry: Either.Either<StoredEntry.StoredEntry, string>) =>
  Either.match(entry, {
    onLeft: (reason) => Effect.fail(unusable(name, reason)),
    onRight: Effect.succeedSome
  })

const sameStamp = (a: Option.Option<IndexStamp>, b: Option.Option<IndexStamp>): boolean =>
  Option.getOrUndefined(a)?.id === Option.getOrUndefined(b)?.id
