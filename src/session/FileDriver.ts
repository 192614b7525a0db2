/**
 * FileDriver: a state directory on disk. All access goes through the `FileSystem` service.
 *
 * Files are made with mode 0600, the directory with 0700.
 */
import { type Error as PlatformErrors, FileSystem, Path } from "@effect/platform"
import { DateTime, Effect, Either, Option, type Scope } from "effect"
import { SessionStoreError } from "../domain/SessionError.js"
import type {
  IndexDriver,
  IndexStamp,
  StoreDriver,
  TranscriptDriver,
  TranscriptSource
} from "./StoreDriver.js"
import { fileName as indexName } from "./StoreIndex.js"
import * as TranscriptHandles from "./TranscriptHandles.js"
import * as TranscriptPath from "./TranscriptPath.js"

type PlatformError = PlatformErrors.PlatformError

/** Makes the state directory when it is missing. */
export const make = (
  stateDir: string
): Effect.Effect<StoreDriver, SessionStoreError, FileSystem.FileSystem | Path.Path | Scope.Scope> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const directory = path.resolve(stateDir)
    yield* fs
      .makeDirectory(directory, { recursive: true, mode: 0o700 })
      .pipe(failAs("write", path.basename(directory)))
    const root = yield* fs.realPath(directory).pipe(failAs("read", path.basename(directory)))
    const handles = yield* TranscriptHandles.make(root)
    return { index: makeIndex(fs, path, root), transcripts: makeTranscripts(fs, path, root, handles) }
  })

const makeIndex = (fs: FileSystem.FileSystem, path: Path.Path, root: string): IndexDriver => {
  const file = path.join(root, indexName)
  const staged = path.join(root, `${indexName}.tmp`)
  const reading = failAs("read", indexName)
  const writing = failAs("write", indexName)
  // No index in a directory that is there: no session yet. No directory: it went away, and its sessions with it.
  const inRoot = <A, E>(index: Effect.Effect<Option.Option<A>, E>) =>
    Effect.tap(index, (found) => (Option.isSome(found) ? Effect.void : fs.stat(root)))
  return {
    stamp: fs.stat(file).pipe(Effect.map(stampOf), optional, inRoot, reading),
    read: Effect.scoped(
      Effect.gen(function* () {
        const handle = yield* fs.open(file, { flag: "r" })
        const info = yield* handle.stat
        return { stamp: stampOf(info), bytes: yield* readFully(handle, 0, Number(info.size)) }
      })
    ).pipe(optional, inRoot, reading),
    stage: (chunks) =>
      Effect.scoped(
        Effect.gen(function* () {
          const handle = yield* fs.open(staged, { flag: "w", mode: 0o600 })
          yield* Effect.forEach(blocks(chunks), (block) => handle.writeAll(block), { discard: true })
          // An edit by another program gets the time of that edit, also when it is made in the same tick of the file
          // system's clock as this write. So no edit can have the stamp of a version that claims to be older than it is.
          const { mtime } = yield* handle.stat
          if (Option.isSome(mtime)) yield* fs.utimes(staged, mtime.value, secondBefore(mtime.value))
          yield* handle.sync
          return stampOf(yield* handle.stat)
        })
      ).pipe(
        Effect.tapErrorCause(() => Effect.ignore(fs.remove(staged, { force: true }))),
        writing
      ),
    publish: Effect.zipRight(fs.rename(staged, file), syncDirectory(fs, root)).pipe(writing),
    remove: Effect.zipRight(fs.remove(file, { force: true }), syncDirectory(fs, root)).pipe(writing)
  }
}

const makeTranscripts = (
  fs: FileSystem.FileSystem,
  path: Path.Path,
  root: string,
  handles: TranscriptHandles.TranscriptHandles
): TranscriptDriver => {
  const append: TranscriptDriver["append"] = (file, encode) =>
    handles
      .append(file, (open) =>
        Effect.gen(function* () {
          const newline =
            open.endsWithNewline || (yield* readFully(open.file, open.size - 1, 1)).at(0) === lineFeed
          const bytes = encode({ size: open.size, endsWithNewline: newline })
          yield* Effect.zipRight(open.file.writeAll(bytes), open.file.sync).pipe(
            Effect.zipRight(open.size === 0 ? syncDirectory(fs, path.dirname(file)) : Effect.void),
            Effect.tapErrorCause(() => cutBack(fs, file, open.file, open.size))
          )
          return open.size + bytes.length
        })
      )
      .pipe(failAs("write", path.basename(file)))

  return {
    locate: (sessionFile) =>
      Either.mapBoth(TranscriptPath.resolve(path, root, sessionFile), {
        onLeft: (reason) =>
          new SessionStoreError({ operation: "read", subject: path.basename(sessionFile), reason }),
        onRight: (relative) => path.join(root, relative)
      }),
    open: (file) =>
      handles.read(file).pipe(
        Effect.map((open): TranscriptSource => ({
          size: open.size,
          read: (start, length) =>
            readFully(open.file, start, length).pipe(failAs("read", path.basename(file)))
        })),
        optional,
        failAs("read", path.basename(file))
      ),
    append,
    rollback: (file, from, to) =>
      Effect.scoped(
        Effect.gen(function* () {
          const handle = yield* fs.open(file, { flag: "r+" })
          const size = Number((yield* handle.stat).size)
          if (size === to) yield* cutBack(fs, file, handle, from)
        })
      ).pipe(failAs("write", path.basename(file)))
  }
}

/** Makes a file that an append has begun to change as it was before. A file that was not there goes away again. */
const cutBack = (fs: FileSystem.FileSystem, file: string, handle: FileSystem.File, size: number) =>
  Effect.zipRight(handle.truncate(size), size === 0 ? fs.remove(file, { force: true }) : handle.sync).pipe(
    Effect.catchAll((error) => Effect.logWarning("could not cut a transcript back", error))
  )

/** Makes the names in a directory durable: new files and renamed ones. */
const syncDirectory = (fs: FileSystem.FileSystem, directory: string) =>
  Effect.scoped(Effect.flatMap(fs.open(directory, { flag: "r" }), (handle) => handle.sync))

/** Reads exactly `length` bytes, or up to the file's end. */
const readFully = (handle: FileSystem.File, start: number, length: number) =>
  Effect.gen(function* () {
    yield* handle.seek(start, "start")
    const buffer = Buffer.allocUnsafe(length)
    let filled = 0
    while (filled < length) {
      const read = Number(yield* handle.read(buffer.subarray(filled)))
      if (read === 0) break
      filled += read
    }
    return buffer.subarray(0, filled)
  })

// A write of many small chunks would cost a system call for each.
const blockBytes = 1024 * 1024

const blocks = (chunks: ReadonlyArray<Uint8Array>): ReadonlyArray<Uint8Array> => {
  const joined: Array<Uint8Array> = []
  let waiting: Array<Uint8Array> = []
  let length = 0
  const flush = (): void => {
    if (length > 0)
      joined.push(waiting.length === 1 && waiting[0] !== undefined ? waiting[0] : Buffer.concat(waiting))
    waiting = []
    length = 0
  }
  for (const chunk of chunks) {
    if (length + chunk.length > blockBytes) flush()
    waiting.push(chunk)
    length += chunk.length
  }
  flush()
  return joined
}

const stampOf = (info: FileSystem.File.Info): IndexStamp => {
  const modifiedAt = Option.getOrUndefined(info.mtime)?.getTime()
  return {
    id: `${info.dev}:${Option.getOrElse(info.ino, () => 0)}:${info.size}:${modifiedAt}`,
    // Without a time nothing can be said about its age: never old enough.
    modifiedAt: modifiedAt ?? Number.POSITIVE_INFINITY
  }
}

const secondBefore = (time: Date): Date =>
  DateTime.toDateUtc(DateTime.subtract(DateTime.unsafeMake(time), { seconds: 1 }))

type Failure = PlatformError | SessionStoreError

const optional = <A, R>(effect: Effect.Effect<A, Failure, R>): Effect.Effect<Option.Option<A>, Failure, R> =>
  Effect.catchIf(
    Effect.asSome(effect),
    (error) => error._tag === "SystemError" && error.reason === "NotFound",
    () => Effect.succeedNone
  )

const failAs =
  (operation: "read" | "write", subject: string) =>
  <A, R>(effect: Effect.Effect<A, Failure, R>) =>
    Effect.mapError(effect, (error) =>
      error._tag === "SessionStoreError"
        ? error
        : new SessionStoreError({ operation, subject, reason: codeOf(error) })
    )

/** The system's code (`ENOSPC`) where there is one. */
const codeOf = (error: PlatformError): string => {
  const { cause } = error
  if (typeof cause === "object" && cause !== null && "code" in cause && typeof cause.code === "string")
    return cause.code
  return error._tag === "SystemError" ? error.reason : error.message
}

const lineFeed = 0x0a
