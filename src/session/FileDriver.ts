/**
 * FileDriver: a state directory on disk. All access goes through the `FileSystem` service.
 *
 * Files are made with mode 0600, the directory with 0700.
 */
import { FileSystem, Path } from "@effect/platform"
import { DateTime, Effect, Either, Option, type Scope } from "effect"
import { SessionStoreError } from "../domain/SessionError.js"
import {
  type Durability,
  failAs,
  identityOf,
  lineFeed,
  optional,
  readFully,
  setAside,
  syncDirectory,
  syncFile
} from "../journal/Disk.js"
import * as LogFile from "../journal/LogFile.js"
import { fileName as journalName } from "../journal/RunJournal.js"
import * as ImageFiles from "./ImageFiles.js"
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

/** Makes the state directory when it is missing. */
export const make = (
  stateDir: string,
  durability: Durability
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
    return {
      index: makeIndex(fs, path, root, durability),
      transcripts: makeTranscripts(fs, path, root, handles, durability),
      images: yield* ImageFiles.make({ fs, path, root, handles, durability }),
      probe: Effect.ensuring(
        fs.writeFile(path.join(root, probeName), new Uint8Array(probeBytes), { mode: 0o600 }),
        Effect.ignore(fs.remove(path.join(root, probeName), { force: true }))
      ).pipe(failAs("write", path.basename(root))),
      log: yield* LogFile.make({ fs, path, directory: root, name: journalName, durability })
    }
  })

const probeName = "probe.tmp"
const probeBytes = 64 * 1024

const makeIndex = (
  fs: FileSystem.FileSystem,
  path: Path.Path,
  root: string,
  durability: Durability
): IndexDriver => {
  const file = path.join(root, indexName)
  const backup = `${file}.bak`
  const staged = path.join(root, `${indexName}.tmp`)
  const reading = failAs("read", indexName)
  const writing = failAs("write", indexName)
  // No index in a directory that is there: no session yet. No directory: it went away, and its sessions with it.
  const inRoot = <A, E>(index: Effect.Effect<Option.Option<A>, E>) =>
    Effect.tap(index, (found) => (Option.isSome(found) ? Effect.void : fs.stat(root)))
  // A second name for the version that goes: an edit in place by another program can't reach it any more. Where a file
  // can't have two names, the backup is a copy.
  const keepCurrent = fs
    .remove(`${backup}.tmp`, { force: true })
    .pipe(
      Effect.zipRight(
        Effect.catchAll(fs.link(file, `${backup}.tmp`), () => fs.copyFile(file, `${backup}.tmp`))
      ),
      Effect.zipRight(fs.rename(`${backup}.tmp`, backup)),
      Effect.ignore
    )
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
          return stampOf(yield* handle.stat)
        })
      ).pipe(
        Effect.tapErrorCause(() => Effect.ignore(fs.remove(staged, { force: true }))),
        writing
      ),
    publish: (keep) =>
      Effect.zipRight(keep ? keepCurrent : Effect.void, fs.rename(staged, file)).pipe(writing),
    secure:
      durability === "os"
        ? Effect.void
        : syncFile(fs, file).pipe(
            // No index yet: nothing to secure.
            optional,
            Effect.zipRight(syncDirectory(fs, root)),
            writing
          ),
    keep: (chunks) =>
      Effect.scoped(
        Effect.flatMap(fs.open(`${backup}.tmp`, { flag: "w", mode: 0o600 }), (handle) =>
          Effect.zipRight(
            Effect.forEach(blocks(chunks), (block) => handle.writeAll(block), { discard: true }),
            durability === "os" ? Effect.void : handle.sync
          )
        )
      ).pipe(
        Effect.zipRight(fs.rename(`${backup}.tmp`, backup)),
        Effect.zipRight(durability === "os" ? Effect.void : syncDirectory(fs, root)),
        failAs("write", `${indexName}.bak`)
      ),
    backup: fs.readFile(backup).pipe(optional, failAs("read", `${indexName}.bak`)),
    keepDamaged: Effect.gen(function* () {
      const at = DateTime.formatIso(yield* DateTime.now).replaceAll(":", "-")
      const name = `${indexName}.damaged-${at}`
      // A copy: a crash right behind this must not leave a directory without an index.
      yield* fs.copyFile(file, path.join(root, name))
      return name
    }).pipe(writing)
  }
}

const makeTranscripts = (
  fs: FileSystem.FileSystem,
  path: Path.Path,
  root: string,
  handles: TranscriptHandles.TranscriptHandles,
  durability: Durability
): TranscriptDriver => {
  const append: TranscriptDriver["append"] = (file, encode, options) =>
    handles
      .append(
        file,
        (open) =>
          Effect.gen(function* () {
            const newline =
              open.endsWithNewline || (yield* readFully(open.file, open.size - 1, 1)).at(0) === lineFeed
            const bytes = yield* encode({ size: open.size, endsWithNewline: newline })
            yield* open.file.writeAll(bytes)
            return open.size + bytes.length
          }).pipe(Effect.tapErrorCause(() => cutBack(fs, file, open.file, open.size))),
        options?.trusting ?? false
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
    truncate: (file, size) =>
      Effect.scoped(Effect.flatMap(fs.open(file, { flag: "r+" }), (handle) => handle.truncate(size))).pipe(
        failAs("write", path.basename(file))
      ),
    setAside: (file, bytes) =>
      setAside(fs, `${file}.torn`, bytes).pipe(failAs("write", `${path.basename(file)}.torn`)),
    rename: (file, to) =>
      // Opened first: what lies elsewhere is not ours to move.
      Effect.scoped(handles.read(file)).pipe(
        Effect.zipRight(handles.forget(file)),
        Effect.zipRight(fs.rename(file, to)),
        Effect.zipRight(durability === "os" ? Effect.void : syncDirectory(fs, path.dirname(file))),
        optional,
        Effect.map(Option.isSome),
        failAs("write", path.basename(file))
      ),
    sync: (file) =>
      durability === "os"
        ? Effect.void
        : Effect.zipRight(syncFile(fs, file), syncDirectory(fs, path.dirname(file))).pipe(
            optional,
            Effect.asVoid,
            failAs("write", path.basename(file))
          )
  }
}

/** Makes a file that an append has begun to change as it was before. A file that was not there goes away again. */
const cutBack = (fs: FileSystem.FileSystem, file: string, handle: FileSystem.File, size: number) =>
  (size === 0 ? fs.remove(file, { force: true }) : handle.truncate(size)).pipe(
    Effect.catchAll((error) => Effect.logWarning("could not cut a transcript back", error))
  )

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
    id: `${identityOf(info)}:${info.size}:${modifiedAt}`,
    // Without a time nothing can be said about its age: never old enough.
    modifiedAt: modifiedAt ?? Number.POSITIVE_INFINITY
  }
}

const secondBefore = (time: Date): Date =>
  DateTime.toDateUtc(DateTime.subtract(DateTime.unsafeMake(time), { seconds: 1 }))
