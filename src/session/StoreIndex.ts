/**
 * StoreIndex: the entries of all sessions (`sessions.json`), read when the file has changed and written by one writer.
 *
 * A write takes all updates that wait, puts them onto the newest version of the file, and answers all of them.
 * Between looking at that version for the last time and replacing it lies one rename; an edit that another program
 * makes in that moment is lost, since it takes no lock.
 */
import { Clock, Effect, Either, Exit, Option, type Scope } from "effect"
import type { SessionKey, SessionKeyDefaults } from "../domain/SessionKey.js"
import * as IndexDocument from "./IndexDocument.js"
import * as JsonFields from "./JsonFields.js"
import * as Batcher from "./Batcher.js"
import { SessionStoreError } from "../domain/SessionError.js"
import type { IndexDriver, IndexStamp } from "./StoreDriver.js"
import * as StoredEntry from "./StoredEntry.js"

/** The name of the file of entries. */
export const fileName = "sessions.json"

/** Fields to set in an entry, their values as JSON texts. */
export type Fields = ReadonlyArray<JsonFields.JsonField>

/** What to set, given the entry as it stands in the newest version. None: this entry is not to be written. */
export type Patch = (current: Option.Option<StoredEntry.StoredEntry>) => Option.Option<Fields>

export interface StoreIndex {
  /** The entry of a session as it is in the file now. Fails when the file or this entry can't be used. */
  readonly get: (key: SessionKey) => Effect.Effect<Option.Option<StoredEntry.StoredEntry>, SessionStoreError>

  /** The entry as it was read last, for when it can't be read now. */
  readonly getLast: (
    key: SessionKey
  ) => Effect.Effect<Option.Option<StoredEntry.StoredEntry>, SessionStoreError>

  /** All entries that can be used. */
  readonly list: Effect.Effect<ReadonlyMap<SessionKey, StoredEntry.StoredEntry>, SessionStoreError>

  /**
   * Sets fields of a session's entry, making the entry if there is none; durable when it succeeds. Updates of one
   * session are applied in the order of the calls. Gives the new entry, or none when the patch gave none.
   */
  readonly update: (
    key: SessionKey,
    patch: Patch
  ) => Effect.Effect<Option.Option<StoredEntry.StoredEntry>, SessionStoreError>
}

interface Update {
  readonly key: SessionKey
  readonly patch: Patch
}

type UpdateJob = Batcher.Job<Update, Option.Option<StoredEntry.StoredEntry>, SessionStoreError>

/** A version of the file that was read or written. */
interface Version {
  readonly stamp: Option.Option<IndexStamp>
  readonly document: IndexDocument.IndexDocument
  /** No change can hide behind the same stamp: it is ours, or was old enough when it was read. */
  readonly settled: boolean
}

/**
 * The clocks of common file systems tick every 1 to 10 ms, and two edits of another program within a tick may have one
 * stamp: what was read sooner than this many ms after an edit is read again at the next look.
 */
const clockResolution = 20
/** How often a write starts again because another program changed the file under it. */
const attempts = 5

export const make = (
  driver: IndexDriver,
  defaults: SessionKeyDefaults
): Effect.Effect<StoreIndex, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    // Held while the file is replaced or read anew, so that nobody reads a version that may yet be taken back.
    const exclusive = yield* Effect.makeSemaphore(1)
    let version: Version | undefined

    const isSettled = ({ modifiedAt }: IndexStamp): Effect.Effect<boolean> =>
      modifiedAt === undefined
        ? Effect.succeed(true)
        : Effect.map(Clock.currentTimeMillis, (now) => now - modifiedAt > clockResolution)

    const read = Effect.gen(function* () {
      const content = Option.getOrUndefined(yield* driver.read)
      if (content === undefined) {
        return (version = { stamp: Option.none(), document: IndexDocument.empty(defaults), settled: true })
      }
      const settled = yield* isSettled(content.stamp)
      const document = IndexDocument.parse(content.bytes, defaults)
      if (Either.isLeft(document)) return yield* failure("read", document.left)
      return (version = { stamp: Option.some(content.stamp), document: document.right, settled })
    })

    /** Is what was read last still what the file holds? */
    const isCurrent = Effect.gen(function* () {
      const known = version
      if (known === undefined || !known.settled) return false
      return sameStamp(known.stamp, yield* driver.stamp) && known === version
    })

    const currentOr = (otherwise: Effect.Effect<Version, SessionStoreError>) =>
      Effect.flatMap(isCurrent, (hit) => (hit && version !== undefined ? Effect.succeed(version) : otherwise))

    // Those who find that it must be read again share the reading.
    const load = Batcher.make<"load", void, Version, SessionStoreError>({
      scope,
      run: (_, jobs) =>
        Effect.map(exclusive.withPermits(1)(currentOr(read)), (loaded) => {
          for (const job of jobs) job.settle(Exit.succeed(loaded))
        })
    })

    const current = currentOr(load("load", undefined))

    const get = (key: SessionKey) => Effect.flatMap(current, ({ document }) => entryOf(document, key))
    const getLast = (key: SessionKey) =>
      Effect.suspend(() => (version === undefined ? Effect.succeedNone : entryOf(version.document, key)))

    /** Replaces the file. When that fails, the old version is put back if the new one could already be seen. */
    const replace = (prepared: IndexDocument.Prepared, base: Version, stamp: IndexStamp) =>
      driver.publish.pipe(
        Effect.tapError(() => restore(base)),
        Effect.map(() => {
          prepared.commit()
          version = { stamp: Option.some(stamp), document: base.document, settled: true }
        })
      )

    const restore = (base: Version) =>
      Effect.gen(function* () {
        version = undefined
        const stamp = yield* driver.stamp
        if (sameStamp(base.stamp, stamp)) return
        if (Option.isNone(base.stamp)) return yield* driver.remove
        yield* driver.stage(base.document.chunks())
        yield* driver.publish
      }).pipe(
        Effect.catchAll((error) =>
          Effect.logWarning("could not take a failed change of sessions.json back", error)
        )
      )

    const write = (jobs: ReadonlyArray<UpdateJob>, attempt: number): Effect.Effect<void, SessionStoreError> =>
      Effect.gen(function* () {
        const base = yield* current
        const merged = merge(base.document, jobs)
        if (merged.changes.size > 0) {
          const prepared = base.document.prepare(merged.changes)
          const stamp = yield* driver.stage(prepared.chunks)
          const written = yield* exclusive.withPermits(1)(
            Effect.flatMap(driver.stamp, (now) => {
              const untouched = sameStamp(base.stamp, now)
              if (!untouched && attempt < attempts) return Effect.succeed(false)
              if (!untouched) return failure("write", "changed by another program again and again")
              return Effect.as(replace(prepared, base, stamp), true)
            })
          )
          if (!written) return yield* write(jobs, attempt + 1)
        }
        for (const [job, exit] of merged.answers) job.settle(exit)
      })

    const update = Batcher.make<"update", Update, Option.Option<StoredEntry.StoredEntry>, SessionStoreError>({
      scope,
      run: (_, jobs) => write(jobs, 1)
    })

    return {
      get,
      getLast,
      list: Effect.map(current, ({ document }) => document.entries()),
      update: (key, patch) => update("update", { key, patch })
    }
  })

const failure = (operation: "read" | "write", reason: string) =>
  Effect.fail(new SessionStoreError({ operation, subject: fileName, reason }))

const entryOf = (document: IndexDocument.IndexDocument, key: SessionKey) => {
  const name = document.spelling(key)
  const entry = name === undefined ? Option.none() : document.entry(name)
  if (Option.isNone(entry)) return Effect.succeedNone
  return Either.match(entry.value, {
    onLeft: (reason) => Effect.fail(unusable("read", name ?? key, reason)),
    onRight: (value) => Effect.succeedSome(value)
  })
}

interface Merged {
  /** The new texts by the entries' names in the file. */
  readonly changes: ReadonlyMap<string, string>
  /** What to answer once they are written. */
  readonly answers: ReadonlyArray<
    readonly [UpdateJob, Exit.Exit<Option.Option<StoredEntry.StoredEntry>, SessionStoreError>]
  >
}

/** Puts updates onto a version, one after another. An update that fails or gives nothing leaves the others alone. */
const merge = (document: IndexDocument.IndexDocument, jobs: ReadonlyArray<UpdateJob>): Merged => {
  const changes = new Map<string, string>()
  const answers: Array<Merged["answers"][number]> = []
  for (const job of jobs) {
    const { key, patch } = job.item
    const name = document.spelling(key) ?? key
    const before = changes.get(name) ?? document.text(name)
    const entry = before === undefined ? Option.none() : Option.some(StoredEntry.decode(before))
    if (Option.isSome(entry) && Either.isLeft(entry.value)) {
      answers.push([job, Exit.fail(unusable("write", name, entry.value.left))])
      continue
    }
    const fields = patch(Option.flatMap(entry, Either.getRight))
    if (Option.isNone(fields)) {
      answers.push([job, Exit.succeed(Option.none())])
      continue
    }
    const after = JsonFields.set(before ?? "{}", fields.value)
    changes.set(name, after)
    answers.push([
      job,
      Either.match(StoredEntry.decode(after), {
        onLeft: (reason) => Exit.fail(unusable("write", name, reason)),
        onRight: (value) => Exit.succeed(Option.some(value))
      })
    ])
  }
  return { changes, answers }
}

const unusable = (operation: "read" | "write", name: string, reason: string) =>
  new SessionStoreError({
    operation,
    subject: fileName,
    reason: `the entry ${JSON.stringify(name)}: ${reason}`
  })

const sameStamp = (a: Option.Option<IndexStamp>, b: Option.Option<IndexStamp>): boolean =>
  Option.getOrUndefined(a)?.id === Option.getOrUndefined(b)?.id
