/**
 * TranscriptHandles: opens transcripts, and keeps those open that are being written, since opening and closing a file
 * costs as much as a write.
 *
 * A file is opened only when it lies inside the state directory with symbolic links resolved.
 */
import { FileSystem, Path } from "@effect/platform"
import { Clock, Effect, Exit, Option, Scope } from "effect"
import { SessionStoreError } from "../domain/SessionError.js"
import { type Failure, identityOf } from "../journal/Disk.js"

/** A transcript that is open for writing. */
export interface OpenTranscript {
  readonly file: FileSystem.File
  readonly size: number
  /** True when it is known that its last byte is a newline. */
  readonly endsWithNewline: boolean
}

export interface TranscriptHandles {
  /** Opens a file for reading. */
  readonly read: (
    path: string
  ) => Effect.Effect<{ readonly file: FileSystem.File; readonly size: number }, Failure, Scope.Scope>
  /**
   * Gives the file open for appending, made when it is missing. `use` gives the file's size afterwards, then with a
   * newline as its last byte. One use of a file at a time. With `trusting`, a name that meant that file within the last
   * second is taken to mean it still.
   */
  readonly append: (
    path: string,
    use: (open: OpenTranscript) => Effect.Effect<number, Failure>,
    trusting: boolean
  ) => Effect.Effect<void, Failure>
  /** The name will mean another file, or none. */
  readonly forget: (path: string) => Effect.Effect<void>
}

interface Handle {
  readonly file: FileSystem.File
  readonly scope: Scope.CloseableScope
  /** Which file it is, whatever its name: device and inode. */
  readonly identity: string
  readonly size: number
  /** When its name was looked up, in milliseconds. */
  readonly seenAt: number
}

/** Why a file is not opened that lies elsewhere. */
export const linksOut = "links out of the state directory"

/** For how long a name is trusted, in milliseconds. */
const trustedFor = 1000
/** How many files are kept open at most. */
const capacity = 256
/** Of how many files is remembered that their name is no link to elsewhere. */
const rememberedCapacity = 4096

/** `root` is the real path of the state directory. */
export const make = (
  root: string
): Effect.Effect<TranscriptHandles, never, FileSystem.FileSystem | Path.Path | Scope.Scope> =>
  Effect.flatMap(Effect.zip(FileSystem.FileSystem, Path.Path), ([fs, path]) => makeIn(fs, path, root))

/** The same on this file system. Until `append` is used nothing is changed. */
export const makeIn = (
  fs: FileSystem.FileSystem,
  path: Path.Path,
  root: string
): Effect.Effect<TranscriptHandles, never, Scope.Scope> =>
  Effect.gen(function* () {
    // Both from the least to the most recently used.
    const idle = new Map<string, Handle>()
    const checked = new Map<string, string>()

    yield* Effect.addFinalizer(() => Effect.forEach(idle.values(), close, { discard: true }))

    const inside = (real: string): boolean =>
      real.startsWith(root.endsWith(path.sep) ? root : root + path.sep)

    /** The real path of the file's directory, and of the file when it is a link, must be inside. */
    const checkLinks = (name: string): Effect.Effect<void, Failure> =>
      Effect.gen(function* () {
        const parent = path.dirname(name)
        const realParent = parent === root ? root : yield* fs.realPath(parent)
        const link = yield* Effect.option(fs.readLink(name))
        const inRoot = realParent === root || inside(realParent)
        if (inRoot && (Option.isNone(link) || inside(yield* fs.realPath(name)))) return
        return yield* new SessionStoreError({
          operation: "read",
          subject: path.basename(name),
          reason: linksOut
        })
      })

    const open = (name: string, flag: "r" | "a+") =>
      Effect.gen(function* () {
        const known = checked.get(name)
        if (known === undefined) yield* checkLinks(name)
        const file = yield* fs.open(name, { flag, mode: 0o600 })
        const info = yield* file.stat
        const identity = identityOf(info)
        // Somebody has put another file in its place.
        if (known !== undefined && known !== identity) yield* checkLinks(name)
        put(checked, name, identity, rememberedCapacity)
        return { file, identity, size: Number(info.size) }
      })

    const openAnew = (name: string) =>
      Effect.flatMap(Scope.make(), (scope) =>
        open(name, "a+").pipe(
          Scope.extend(scope),
          Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause))),
          Effect.zipWith(Clock.currentTimeMillis, (opened, seenAt) => ({
            handle: { ...opened, scope, seenAt },
            endsWithNewline: opened.size === 0
          }))
        )
      )

    /** The kept handle, if the name still means that file. */
    const reuse = (name: string, handle: Handle) =>
      Effect.gen(function* () {
        const info = yield* Effect.option(fs.stat(name))
        if (Option.isNone(info) || identityOf(info.value) !== handle.identity) {
          yield* close(handle)
          return yield* openAnew(name)
        }
        const size = Number(info.value.size)
        const seenAt = yield* Clock.currentTimeMillis
        return { handle: { ...handle, size, seenAt }, endsWithNewline: size === handle.size }
      })

    const lookUp = (name: string, kept: Handle | undefined, trusting: boolean) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        if (kept === undefined) return openAnew(name)
        return trusting && now - kept.seenAt < trustedFor
          ? Effect.succeed({ handle: kept, endsWithNewline: true })
          : reuse(name, kept)
      })

    return {
      forget: (name) =>
        Effect.suspend(() => {
          const kept = idle.get(name)
          idle.delete(name)
          checked.delete(name)
          return kept === undefined ? Effect.void : close(kept)
        }),
      read: (name) => open(name, "r"),
      append: (name, use, trusting) =>
        Effect.gen(function* () {
          const kept = idle.get(name)
          idle.delete(name)
          const { endsWithNewline, handle } = yield* lookUp(name, kept, trusting)
          const size = yield* use({ file: handle.file, size: handle.size, endsWithNewline }).pipe(
            Effect.onError(() => close(handle))
          )
          const evicted = put(idle, name, { ...handle, size }, capacity)
          if (evicted !== undefined) yield* close(evicted)
        })
    }
  })

const close = (handle: Handle): Effect.Effect<void> => Scope.close(handle.scope, Exit.void)

/** Sets a key as the most recently used one; gives the value that has to go. */
const put = <A>(map: Map<string, A>, key: string, value: A, limit: number): A | undefined => {
  map.delete(key)
  map.set(key, value)
  if (map.size <= limit) return undefined
  for (const [oldest, evicted] of map) {
    map.delete(oldest)
    return evicted
  }
  return undefined
}
