/**
 * SessionStoreMemory: `SessionStore` and `RunJournal` in memory, with the same engine as the file store. Its bytes can be
 * looked at and edited as another program would, its writes can be made slow or made to fail, and a copy of them taken at
 * any moment is what a crash would have left: it is what tests stand on.
 */
import { Path } from "@effect/platform"
import { Context, Duration, Effect, Either, Layer, Option } from "effect"
import { SessionStoreError } from "../domain/SessionError.js"
import { GrowingBytes } from "../journal/GrowingBytes.js"
import * as LogMemory from "../journal/LogMemory.js"
import { fileName as journalName, RunJournal } from "../journal/RunJournal.js"
import { SessionStore } from "./SessionStore.js"
import type { IndexStamp, StoreDriver } from "./StoreDriver.js"
import * as StoreEngine from "./StoreEngine.js"
import { fileName as indexName } from "./StoreIndex.js"
import * as TranscriptPath from "./TranscriptPath.js"

/** What the store did, in order. `bytes` is the new size of what was written. */
export type Operation =
  | { readonly operation: "index"; readonly bytes: number }
  | { readonly operation: "journal"; readonly bytes: number }
  | { readonly operation: "append"; readonly file: string; readonly bytes: number }
  | { readonly operation: "image"; readonly file: string; readonly bytes: number }

/**
 * Which writes a failure hits: of the run journal, of transcripts, of their names, of images, of the index, or whichever comes
 * first.
 */
export type WriteKind = "journal" | "append" | "rename" | "image" | "index" | "any"

/** Everything that a memory store keeps, as a state directory does. */
export interface MemoryDisk {
  index: Version | undefined
  backup: Uint8Array | undefined
  /** Transcripts, what was put aside of them (`….torn`), and damaged versions of the index, by name. */
  readonly files: Map<string, GrowingBytes>
  /** Images by the name of their file (`<sha256>.png`). */
  readonly images: Map<string, Uint8Array>
  readonly journal: LogMemory.LogBytes
}

interface Version {
  readonly stamp: IndexStamp
  readonly bytes: Uint8Array
}

/** An empty one. */
export const makeDisk = (): MemoryDisk => ({
  index: undefined,
  backup: undefined,
  files: new Map(),
  images: new Map(),
  journal: { log: new GrowingBytes(), aside: new GrowingBytes() }
})

/** What a crash at this moment would leave. */
export const copyDisk = (disk: MemoryDisk): MemoryDisk => ({
  index: disk.index,
  backup: disk.backup,
  files: new Map(Array.from(disk.files, ([name, bytes]) => [name, copyOf(bytes)])),
  images: new Map(disk.images),
  journal: { log: copyOf(disk.journal.log), aside: copyOf(disk.journal.aside) }
})

const copyOf = (bytes: GrowingBytes): GrowingBytes => GrowingBytes.of(bytes.view(0, bytes.size))

export interface MemoryControl {
  /** The text of `sessions.json`, with all that was accepted so far; none before the first write. */
  readonly index: Effect.Effect<Option.Option<string>>
  /** The text of the run journal. */
  readonly journal: Effect.Effect<string>
  /** What a crash at this moment would leave: for the store of a gateway that is started after it. */
  readonly crash: Effect.Effect<MemoryDisk>
  /** Replaces `sessions.json`, as another program would, which has waited until all was in it that was accepted so far. */
  readonly setIndex: (text: string) => Effect.Effect<void>
  /** All transcripts by the name of their file. */
  readonly files: Effect.Effect<ReadonlyMap<string, string>>
  /** Replaces a transcript, as another program would. */
  readonly setFile: (file: string, text: string) => Effect.Effect<void>
  /** All images by the name of their file (`<sha256>.png`). */
  readonly images: Effect.Effect<ReadonlyMap<string, Uint8Array>>
  /** Replaces the file of an image, or takes it away, as nobody should. */
  readonly setImage: (name: string, bytes: Uint8Array | undefined) => Effect.Effect<void>
  /** What was done so far. Failed writes are not in it. */
  readonly operations: Effect.Effect<ReadonlyArray<Operation>>
  /**
   * From now on each write of messages takes this long on the clock (`TestClock` in tests) before it begins to be seen. Messages that wait for one another are saved together, so a save takes it once.
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

/** The levers of a store in memory. `layer` gives it together with the ports. */
export class SessionStoreMemory extends Context.Tag("colloquy/SessionStoreMemory")<
  SessionStoreMemory,
  MemoryControl
>() {}

export interface Options extends StoreEngine.EngineOptions {
  /** What there is at the start. Default: nothing. */
  readonly disk?: MemoryDisk
}

export const layer = (options: Options = {}): Layer.Layer<SessionStore | RunJournal | SessionStoreMemory> =>
  Layer.scopedContext(
    Effect.gen(function* () {
      const { control, driver } = make(yield* Path.Path, options.disk ?? makeDisk())
      const { journal, store } = yield* StoreEngine.make(driver, options)
      return Context.make(SessionStore, store).pipe(
        Context.add(RunJournal, journal),
        Context.add(SessionStoreMemory, {
          ...control,
          index: Effect.zipRight(Effect.ignore(store.flush), control.index),
          setIndex: (text) => Effect.zipRight(Effect.ignore(store.flush), control.setIndex(text))
        })
      )
    })
  ).pipe(
    // Nothing of it can fail before somebody has its levers.
    Layer.orDie,
    Layer.provide(Path.layer)
  )

// Only for resolving names: nothing is ever there.
const root = "/colloquy"

const make = (
  path: Path.Path,
  disk: MemoryDisk
): { readonly driver: StoreDriver; readonly control: MemoryControl } => {
  // Versions that are there already have lower ids.
  let versions = Number(disk.index?.stamp.id ?? 0)
  let staged: Version | undefined
  const { files, images } = disk
  const operations: Array<Operation> = []
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

  const fileOf = (name: string): GrowingBytes => {
    const bytes = files.get(name) ?? new GrowingBytes()
    files.set(name, bytes)
    return bytes
  }

  const log = LogMemory.make(disk.journal, mayFail("journal", journalName))

  const driver: StoreDriver = {
    probe: Effect.void,
    log: {
      ...log,
      append: (bytes) =>
        Effect.map(log.append(bytes), () => {
          operations.push({ operation: "journal", bytes: disk.journal.log.size })
        })
    },
    index: {
      stamp: Effect.sync(() => Option.map(Option.fromNullable(disk.index), ({ stamp }) => stamp)),
      read: Effect.sync(() => Option.fromNullable(disk.index)),
      stage: (chunks) =>
        Effect.map(mayFail("index", indexName), () => {
          staged = versionOf(Buffer.concat(chunks))
          return staged.stamp
        }),
      publish: (keep) =>
        Effect.sync(() => {
          if (keep) disk.backup = disk.index?.bytes
          disk.index = staged
          operations.push({ operation: "index", bytes: disk.index?.bytes.length ?? 0 })
        }),
      secure: Effect.void,
      keep: (chunks) =>
        Effect.sync(() => {
          disk.backup = Buffer.concat(chunks)
        }),
      backup: Effect.sync(() => Option.fromNullable(disk.backup)),
      keepDamaged: Effect.sync(() => {
        const name = `${indexName}.damaged`
        files.set(name, GrowingBytes.of(...(disk.index === undefined ? [] : [disk.index.bytes])))
        return name
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
          // The store's end must not have to wait for a clock that nobody moves any more.
          if (Duration.greaterThan(delay, Duration.zero)) yield* Effect.interruptible(Effect.sleep(delay))
          const bytes = yield* encode({
            size,
            endsWithNewline: size === 0 || known?.view(size - 1, size).at(0) === lineFeed
          })
          yield* mayFail("append", file)
          const content = fileOf(file)
          content.append(bytes)
          operations.push({ operation: "append", file, bytes: content.size })
        }),
      truncate: (file, size) => Effect.sync(() => files.get(file)?.truncate(size)),
      setAside: (file, bytes) => Effect.sync(() => fileOf(`${file}.torn`).appendLine(bytes)),
      rename: (file, to) =>
        Effect.map(mayFail("rename", file), () => {
          const bytes = files.get(file)
          if (bytes === undefined) return false
          files.delete(file)
          files.set(to, bytes)
          return true
        }),
      sync: () => Effect.void
    },
    images: {
      write: ({ bytes, name }) =>
        Effect.suspend(() => {
          const known = images.get(name)
          if (known !== undefined && Buffer.compare(known, bytes) === 0) return Effect.void
          return Effect.map(mayFail("image", name), () => {
            images.set(name, bytes)
            operations.push({ operation: "image", file: name, bytes: bytes.length })
          })
        }),
      read: (name, limit) =>
        Effect.sync(() =>
          Option.map(Option.fromNullable(images.get(name)), (bytes) => bytes.subarray(0, limit))
        )
    }
  }

  const control: MemoryControl = {
    index: Effect.sync(() =>
      Option.map(Option.fromNullable(disk.index), ({ bytes }) => new TextDecoder().decode(bytes))
    ),
    journal: Effect.sync(() => disk.journal.log.text()),
    crash: Effect.sync(() => copyDisk(disk)),
    setIndex: (text) =>
      Effect.sync(() => {
        disk.index = versionOf(new TextEncoder().encode(text))
      }),
    files: Effect.sync(() => new Map(Array.from(files, ([file, bytes]) => [file, bytes.text()]))),
    setFile: (file, text) =>
      Effect.sync(() => files.set(file, GrowingBytes.of(new TextEncoder().encode(text)))),
    images: Effect.sync(() => new Map(images)),
    setImage: (name, bytes) =>
      Effect.sync(() => {
        if (bytes === undefined) images.delete(name)
        else images.set(name, bytes)
      }),
    operations: Effect.sync(() => Array.from(operations)),
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
