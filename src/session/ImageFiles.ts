/**
 * ImageFiles: images in a directory of the state directory, each in a file whose name is the hash of what is in it. A file
 * is written beside its name and renamed, so under a name there is all of an image or nothing.
 */
import type { FileSystem, Path } from "@effect/platform"
import { Effect, Option, type Scope } from "effect"
import { SessionStoreError } from "../domain/SessionError.js"
import {
  type Durability,
  type Failure,
  failAs,
  optional,
  readFully,
  syncDirectory,
  syncFile
} from "../journal/Disk.js"
import * as Shared from "../journal/Shared.js"
import * as ImageFile from "./ImageFile.js"
import type { ImageDriver } from "./StoreDriver.js"
import { linksOut, type TranscriptHandles } from "./TranscriptHandles.js"

/** Of how many files is remembered that they are durable. */
const rememberedCapacity = 4096

export interface Options {
  readonly fs: FileSystem.FileSystem
  readonly path: Path.Path
  /** The real path of the state directory. */
  readonly root: string
  readonly handles: TranscriptHandles
  readonly durability: Durability
}

export const make = ({
  durability,
  fs,
  handles,
  path,
  root
}: Options): Effect.Effect<ImageDriver, never, Scope.Scope> =>
  Effect.gen(function* () {
    const directory = path.join(root, ImageFile.directory)
    /** Files that were made durable in this life, the first one first. */
    const durable = new Set<string>()
    let written = 0
    let rootIsDurable = false

    // Images that are written at the same time share it.
    const syncNames = yield* Shared.make(syncDirectory(fs, directory))
    const secureNames: Effect.Effect<void, Failure> = Effect.suspend(() => {
      if (durability === "os") return Effect.void
      const begun = rootIsDurable ? Effect.void : syncDirectory(fs, root)
      return Effect.zipRight(begun, syncNames).pipe(
        Effect.map(() => {
          rootIsDurable = true
        })
      )
    })

    const makeDirectory: Effect.Effect<void, Failure> = Effect.gen(function* () {
      if (!(yield* fs.exists(directory))) {
        rootIsDurable = false
        yield* fs.makeDirectory(directory, { recursive: true, mode: 0o700 })
      }
      if ((yield* fs.realPath(directory)) === directory) return
      return yield* new SessionStoreError({
        operation: "write",
        subject: ImageFile.directory,
        reason: linksOut
      })
    })

    /** Is a file there that holds these bytes? A link is not taken for one. */
    const isThere = (file: string, bytes: Uint8Array) =>
      Effect.gen(function* () {
        const info = Option.getOrUndefined(yield* fs.stat(file).pipe(optional))
        if (info?.type !== "File" || Number(info.size) !== bytes.length) return false
        if (Option.isSome(yield* Effect.option(fs.readLink(file)))) return false
        const found = yield* Effect.scoped(
          Effect.flatMap(fs.open(file, { flag: "r" }), (handle) => readFully(handle, 0, bytes.length))
        )
        return found.equals(bytes)
      })

    const writeAnew = (file: string, bytes: Uint8Array) =>
      Effect.suspend(() => {
        // Two may write the same image at once.
        const staged = ImageFile.stagedName(file, ++written)
        return Effect.scoped(
          Effect.flatMap(fs.open(staged, { flag: "w", mode: 0o600 }), (handle) =>
            Effect.zipRight(handle.writeAll(bytes), durability === "os" ? Effect.void : handle.sync)
          )
        ).pipe(
          Effect.zipRight(fs.rename(staged, file)),
          Effect.onError(() => Effect.ignore(fs.remove(staged, { force: true })))
        )
      })

    const remember = (name: string): void => {
      durable.add(name)
      if (durable.size <= rememberedCapacity) return
      for (const oldest of durable) {
        durable.delete(oldest)
        return
      }
    }

    return {
      write: ({ bytes, name }) =>
        Effect.gen(function* () {
          const file = path.join(directory, name)
          yield* makeDirectory
          const there = yield* isThere(file, bytes)
          if (there && durable.has(name)) return
          if (!there) yield* writeAnew(file, bytes)
          // Of a file of an earlier life nobody knows whether it has reached the disk.
          else if (durability === "fsync") yield* syncFile(fs, file)
          yield* secureNames
          remember(name)
        }).pipe(failAs("write", name)),
      read: (name, limit) =>
        handles.read(path.join(directory, name)).pipe(
          Effect.flatMap(({ file, size }) => readFully(file, 0, Math.min(size, limit))),
          Effect.scoped,
          optional,
          failAs("read", name)
        )
    }
  })
