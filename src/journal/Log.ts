/**
 * Log: a file of checksummed lines that only grows, with group commit: all who wait share one write and one fsync.
 *
 * It is replaced as a whole when it has grown too large (compaction): the new log is written beside the old one while
 * that goes on growing; only the swap at the end takes a turn among the commits.
 */
import { Clock, Effect, Exit, Option, type Scope } from "effect"
import type { SessionStoreError } from "../domain/SessionError.js"
import * as Batcher from "./Batcher.js"
import type { LogDriver } from "./LogDriver.js"
import * as LogLine from "./LogLine.js"

/** Background work ends with the scope in which it is made. */
export interface Log {
  /**
   * Appends JSON texts as lines, all or none; durable when it succeeds. Uninterruptible once it has begun. `onCommitted` is
   * called in the same turn: before the next lines are written, and before a snapshot that has to say what these say.
   */
  readonly commit: (
    jsons: ReadonlyArray<string>,
    onCommitted: () => void
  ) => Effect.Effect<void, SessionStoreError>
  /**
   * Appends a line that nobody waits for: with the next commit, or soon by itself. It is tried again until it is written;
   * only a crash loses it.
   */
  readonly note: (json: string) => Effect.Effect<void>
  /** Writes the notes that wait. */
  readonly flush: Effect.Effect<void, SessionStoreError>
  /** Why the last write failed; none when it did not. While there is a problem, a write is tried every second. */
  readonly problem: Effect.Effect<Option.Option<SessionStoreError>>
}

export interface LogOptions {
  readonly driver: LogDriver
  /** The size of the log as it was found, in bytes. */
  readonly size: number
  /**
   * The lines of a new log that says what this one says. What is committed after this began is appended behind them, and
   * may be in them already.
   */
  readonly snapshot: Effect.Effect<Iterable<string>, SessionStoreError>
  /** A line that says nothing, to find out whether the disk is back. */
  readonly blank: string
  /** The log is compacted when it is larger than this and than twice what the last compaction left, in bytes. */
  readonly compactAbove: number
}

interface Item {
  readonly text: string
  readonly onCommitted: () => void
  /** The new log is staged: it takes the place of this one. */
  readonly swap: boolean
}

/** How long a note waits for a commit to go with, in milliseconds. */
const noteDelay = 10
/** Between two looks at whether the file is still there, in milliseconds. */
const lookInterval = 1000
/** Between two attempts to write after a failure, in milliseconds. */
const retryInterval = 1000
/** What is staged with one write, in UTF-16 code units. */
const chunkLength = 256 * 1024

export const make = (options: LogOptions): Effect.Effect<Log, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { driver } = options
    const scope = yield* Effect.scope
    let notes: Array<string> = []
    let noting = false
    let retrying = false
    let problem: SessionStoreError | undefined
    let size = options.size
    let compactAt = Math.max(options.compactAbove, 2 * size)
    /** What was appended since a compaction began. */
    let since: Array<Uint8Array> | undefined
    /** The size of what is staged, in bytes. */
    let staged = 0
    let lookedAt = yield* Clock.currentTimeMillis

    /** A log that somebody has removed is written anew: what was committed must not be in a file without a name. */
    const look = Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      // A compaction under way puts a new file there anyway.
      if (since !== undefined || now - lookedAt < lookInterval) return
      if (!(yield* driver.isInPlace)) {
        yield* Effect.logError("the run journal was removed or replaced by somebody else; it is written anew")
        yield* stage(yield* options.snapshot)
        yield* driver.swap([])
        size = staged
      }
      lookedAt = now
    })

    const append = (text: string): Effect.Effect<void, SessionStoreError> =>
      Effect.suspend(() => {
        const waiting = notes
        const bytes = Buffer.from(waiting.join("") + text)
        if (bytes.length === 0) return Effect.void
        notes = []
        return Effect.zipRight(look, driver.append(bytes)).pipe(
          Effect.map(() => {
            problem = undefined
            size += bytes.length
            since?.push(bytes)
          }),
          Effect.tapError((error) => {
            problem = error
            // Without a line of its own a disk that is back would go unnoticed until somebody sends.
            notes = waiting.length === 0 ? [LogLine.encode(options.blank), ...notes] : [...waiting, ...notes]
            return retry
          })
        )
      })

    const swap = Effect.suspend(() => {
      const rest = since ?? []
      return Effect.map(driver.swap(rest), () => {
        since = undefined
        size = rest.reduce((sum, bytes) => sum + bytes.length, staged)
        compactAt = Math.max(options.compactAbove, 2 * size)
      })
    })

    const submit = yield* Batcher.make<"log", Item, void, SessionStoreError>({
      run: (_, jobs) =>
        Effect.gen(function* () {
          for (const job of jobs) if (job.item.swap) job.settle(yield* Effect.exit(swap))
          const lines = jobs.filter(({ item }) => !item.swap)
          if (lines.length === 0) return
          yield* append(lines.map(({ item }) => item.text).join(""))
          for (const { item, settle } of lines) {
            item.onCommitted()
            settle(Exit.void)
          }
          if (size > compactAt && since === undefined) yield* Effect.forkIn(compact, scope)
        })
    })
    const write = (text: string, onCommitted: () => void = nothing) =>
      submit("log", { text, onCommitted, swap: false })

    const retry: Effect.Effect<void> = Effect.suspend(() => {
      if (retrying) return Effect.void
      retrying = true
      return Effect.sleep(retryInterval).pipe(
        Effect.zipRight(Effect.ignore(write(""))),
        Effect.repeat({ while: () => problem !== undefined }),
        Effect.ensuring(Effect.sync(() => (retrying = false))),
        Effect.interruptible,
        Effect.forkIn(scope),
        Effect.asVoid
      )
    })

    const stage = (lines: Iterable<string>) =>
      Effect.suspend(() => {
        staged = 0
        return driver.stage(chunksOf(lines, (length) => (staged += length)))
      })

    const compact: Effect.Effect<void> = Effect.suspend(() => {
      since = []
      return options.snapshot.pipe(
        Effect.flatMap(stage),
        Effect.zipRight(submit("log", { text: "", onCommitted: nothing, swap: true }))
      )
    }).pipe(
      Effect.catchAllCause((cause) => {
        since = undefined
        // Not again at once: whatever was wrong needs time.
        compactAt = size + Math.max(options.compactAbove, size) / 4
        return Effect.logWarning("the run journal could not be compacted", cause)
      }),
      Effect.interruptible
    )

    const note = (json: string): Effect.Effect<void> =>
      Effect.suspend(() => {
        notes.push(LogLine.encode(json))
        if (noting || problem !== undefined) return Effect.void
        noting = true
        return Effect.sleep(noteDelay).pipe(
          Effect.zipRight(
            Effect.suspend(() => {
              noting = false
              return notes.length === 0 ? Effect.void : Effect.ignore(write(""))
            })
          ),
          Effect.interruptible,
          Effect.forkIn(scope),
          Effect.asVoid
        )
      })

    return {
      commit: (jsons, onCommitted) => write(jsons.map(LogLine.encode).join(""), onCommitted),
      note,
      flush: Effect.suspend(() => (notes.length === 0 ? Effect.void : write(""))),
      problem: Effect.sync(() => Option.fromNullable(problem))
    }
  })

const nothing = (): void => {}

/** Lines in chunks of bytes. */
function* chunksOf(lines: Iterable<string>, onChunk: (bytes: number) => void): Iterable<Uint8Array> {
  let text = ""
  const chunk = (): Uint8Array => {
    const bytes = Buffer.from(text)
    onChunk(bytes.length)
    text = ""
    return bytes
  }
  for (const line of lines) {
    text += LogLine.encode(line)
    if (text.length >= chunkLength) yield chunk()
  }
  if (text !== "") yield chunk()
}
