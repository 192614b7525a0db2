/**
 * SessionStoreMemory: `SessionStore` in memory, with the same engine as the file store. Its bytes can be looked at and
 * edited as another program would, and its writes can be made slow or made to fail: it is what tests stand on.
 */
import { Path } from "@effect/platform"
import { Context, Duration, Effect, Either, Layer, Option } from "effect"
import { SessionStoreError } from "../domain/SessionError.js"
import { SessionStore } from "./SessionStore.js"
import type { IndexStamp, StoreDriver } from "./StoreDriver.js"
import * as StoreEngine from "./StoreEngine.js"
import { fileName as indexName } from "./StoreIndex.js"
import * as TranscriptPath from "./TranscriptPath.js"

/** What the store did, in order. `bytes` is the new size of what was written. */
export type JournalEntry =
  | { readonly operation: "index"; readonly bytes: number }
  | { readonly operation: "append" | "rollback"; readonly file: string; readonly bytes: number }

/** Which writes a failure hits: of the index, of transcripts, or whichever comes first. */
export type WriteKind = "index" | "append" | "any"

export interface MemoryControl {
  /** The text of `sessions.json`; none before the first write. */
  readonly index: Effect.Effect<Option.Option<string>>
  /** Replaces `sessions.json`, as another program would. */
  readonly setIndex: (text: string) => Effect.Effect<void>
  /** All transcripts by the name of their file. */
  readonly files: Effect.Effect<ReadonlyMap<string, string>>
  /** Replaces a transcript, as another program would. */
  readonly setFile: (file: string, text: string) => Effect.Effect<void>
  /** What was done so far. Failed writes are not in it. */
  readonly journal: Effect.Effect<ReadonlyArray<JournalEntry>>
  /**
   * From now on each write to a transcript takes this long on the clock (`TestClock` in tests) before it begins to be
   * seen. Messages that wait for one another are saved together, so a save takes it once.
   *
   * A save that has begun is waited for, by interrupted callers too; closing the store ends it, unsaved.
   */
  readonly setSaveDelay: (delay: Duration.DurationInput) => Effect.Effect<void>
  /** The next `count` writes of that kind fail, changing nothing. Replaces what was set before; 0: none fails. */
  readonly failWrites: (
    count: number,
    options?: {
      readonly kind?: WriteKind | undefined
      /** The error's reason. Default `ENOSPC`. */
      readonly reason?: string | undefined
    }
  ) => Effect.Effect<void>
}

/** The levers of a store in memory. `layer` gives it together with `SessionStore`. */
export class SessionStoreMemory extends Context.Tag("colloquy/SessionStoreMemory")<
  SessionStoreMemory,
  MemoryControl
>() {}

export const layer = (
  options: StoreEngine.EngineOptions = {}
): Layer.Layer<SessionStore | SessionStoreMemory> =>
  Layer.scopedContext(
    Effect.gen(function* () {
      const { control, driver } = make(yield* Path.Path)
      const store = yield* StoreEngine.make(driver, options)
      return Context.make(SessionStore, store).pipe(Context.add(SessionStoreMemory, control))
    })
  ).pipe(Layer.provide(Path.layer))

/** Bytes that grow at their end without being copied each time. */
class Bytes {
  private buffer = new Uint8Array(1024)
  size = 0

  append(bytes: Uint8Array): void {
    if (this.size + bytes.length > this.buffer.length) {
      const larger = new Uint8Array(Math.max(this.buffer.length * 2, this.size + bytes.length))
      larger.set(this.view(0, this.size))
      this.buffer = larger
    }
    this.buffer.set(bytes, this.size)
    this.size += bytes.length
  }

  view(start: number, end: number): Uint8Array {
    return this.buffer.subarray(start, Math.min(end, this.size))
  }

  text(): string {
    return new TextDecoder().decode(this.view(0, this.size))
  }

  static of(text: string): Bytes {
    const bytes = new Bytes()
    bytes.append(new TextEncoder().encode(text))
    return bytes
  }
}

interface Version {
  readonly stamp: IndexStamp
  readonly bytes: Uint8Array
}

// Only for resolving names: nothing is ever there.
const root = "/colloquy"

const make = (path: Path.Path): { readonly driver: StoreDriver; readonly control: MemoryControl } => {
  let versions = 0
  let index: Version | undefined
  let staged: Version | undefined
  const files = new Map<string, Bytes>()
  const journal: Array<JournalEntry> = []
  let delay = Duration.zero
  let failures = { count: 0, kind: "any", reason: "" }

  const versionOf = (bytes: Uint8Array): Version => ({
    stamp: { id: String(++versions), modifiedAt: undefined },
    bytes
  })

  const mayFail = (kind: WriteKind, subject: string): Effect.Effect<void, SessionStoreError> =>
    Effect.suspend(() => {
      if (failures.count === 0 || (failures.kind !== "any" && failures.kind !== kind)) return Effect.void
      failures = { ...failures, count: failures.count - 1 }
      return new SessionStoreError({ operation: "write", subject, reason: failures.reason })
    })

  const driver: StoreDriver = {
    index: {
      stamp: Effect.sync(() => Option.map(Option.fromNullable(index), ({ stamp }) => stamp)),
      read: Effect.sync(() => Option.fromNullable(index)),
      stage: (chunks) =>
        Effect.map(mayFail("index", indexName), () => {
          staged = versionOf(Buffer.concat(chunks))
          return staged.stamp
        }),
      publish: Effect.sync(() => {
        index = staged
        journal.push({ operation: "index", bytes: index?.bytes.length ?? 0 })
      }),
      remove: Effect.sync(() => {
        index = undefined
      })
    },
    transcripts: {
      locate: (sessionFile) =>
        Either.mapLeft(
          TranscriptPath.resolve(path, root, sessionFile),
          (reason) =>
            new SessionStoreError({ operation: "read", subject: path.basename(sessionFile), reason })
        ),
      open: (file) =>
        Effect.sync(() =>
          Option.map(Option.fromNullable(files.get(file)), (bytes) => ({
            size: bytes.size,
            read: (start: number, length: number) => Effect.sync(() => bytes.view(start, start + length))
          }))
        ),
      append: (file, encode) =>
        Effect.gen(function* () {
          const known = files.get(file)
          const size = known?.size ?? 0
          const bytes = encode({
            size,
            endsWithNewline: size === 0 || known?.view(size - 1, size).at(0) === lineFeed
          })
          // The store's end must not have to wait for a clock that nobody moves any more.
          if (Duration.greaterThan(delay, Duration.zero)) yield* Effect.interruptible(Effect.sleep(delay))
          yield* mayFail("append", file)
          const content = files.get(file) ?? new Bytes()
          content.append(bytes)
          files.set(file, content)
          journal.push({ operation: "append", file, bytes: content.size })
        }),
      rollback: (file, from, to) =>
        Effect.sync(() => {
          const content = files.get(file)
          if (content?.size !== to) return
          content.size = from
          if (from === 0) files.delete(file)
          journal.push({ operation: "rollback", file, bytes: from })
        })
    }
  }

  const control: MemoryControl = {
    index: Effect.sync(() =>
      Option.map(Option.fromNullable(index), ({ bytes }) => new TextDecoder().decode(bytes))
    ),
    setIndex: (text) =>
      Effect.sync(() => {
        index = versionOf(new TextEncoder().encode(text))
      }),
    files: Effect.sync(() => new Map(Array.from(files, ([file, bytes]) => [file, bytes.text()]))),
    setFile: (file, text) => Effect.sync(() => files.set(file, Bytes.of(text))),
    journal: Effect.sync(() => Array.from(journal)),
    setSaveDelay: (next) =>
      Effect.sync(() => {
        delay = Duration.decode(next)
      }),
    failWrites: (count, options) =>
      Effect.sync(() => {
        failures = { count, kind: options?.kind ?? "any", reason: options?.reason ?? "ENOSPC" }
      })
  }

  return { driver, control }
}

const lineFeed = 0x0a
