/**
 * A directory in memory, as several processes see it, each through a `FileSystem` of its own. It has what `StateLock`
 * uses. Every step is atomic and takes no time, so whoever decides when a step is made decides the interleaving.
 */
import { Error as PlatformErrors, FileSystem } from "@effect/platform"
import { DateTime, Effect, Option } from "effect"

interface Inode {
  readonly ino: number
  readonly text: string
  modifiedAt: number
}

export interface MemoryDirectory {
  readonly files: ReadonlyMap<string, Inode>
  readonly write: (path: string, text: string) => void
  readonly remove: (path: string) => void
  /** Gives a file another time. */
  readonly touch: (path: string) => void
  /** What a process sees. `before` comes right before each of its steps. */
  readonly view: (before: Effect.Effect<void>) => FileSystem.FileSystem
}

const failure = (method: string, reason: "NotFound" | "AlreadyExists") =>
  new PlatformErrors.SystemError({ module: "FileSystem", method, reason })

export const make = (): MemoryDirectory => {
  const files = new Map<string, Inode>()
  let changes = 0
  const write = (path: string, text: string): void => {
    changes++
    files.set(path, { ino: changes, text, modifiedAt: changes })
  }
  const touch = (path: string): void => {
    const inode = files.get(path)
    if (inode !== undefined) inode.modifiedAt = ++changes
  }
  const remove = (path: string): void => void files.delete(path)
  const find = (method: string, path: string) =>
    Effect.suspend(() => {
      const inode = files.get(path)
      return inode === undefined ? failure(method, "NotFound") : Effect.succeed(inode)
    })
  const free = (method: string, path: string) =>
    Effect.suspend(() => (files.has(path) ? failure(method, "AlreadyExists") : Effect.void))

  const view = (before: Effect.Effect<void>): FileSystem.FileSystem => {
    const step = <A>(effect: Effect.Effect<A, PlatformErrors.PlatformError>) =>
      Effect.zipRight(before, effect)
    return FileSystem.makeNoop({
      makeDirectory: () => Effect.void,
      exists: () => Effect.succeed(true),
      open: (path) => step(Effect.map(find("open", path), handleOf)),
      writeFileString: (path, text) =>
        step(
          Effect.tap(free("writeFile", path), () => {
            write(path, text)
          })
        ),
      link: (from, to) =>
        step(
          Effect.zipWith(find("link", from), free("link", to), (inode) => {
            files.set(to, inode)
          })
        ),
      rename: (from, to) =>
        step(
          Effect.map(find("rename", from), (inode) => {
            files.set(to, inode)
            remove(from)
          })
        ),
      remove: (path) => step(Effect.sync(() => remove(path))),
      utimes: (path) =>
        step(
          Effect.map(find("utimes", path), () => {
            touch(path)
          })
        )
    })
  }
  return { files, write, remove, touch, view }
}

const handleOf = (inode: Inode): FileSystem.File => {
  const unused = Effect.dieMessage("a lock file is only looked at")
  return {
    [FileSystem.FileTypeId]: FileSystem.FileTypeId,
    fd: FileSystem.FileDescriptor(inode.ino),
    stat: Effect.sync(() => ({
      type: "File",
      mtime: Option.some(DateTime.toDateUtc(DateTime.unsafeMake(inode.modifiedAt))),
      atime: Option.none(),
      birthtime: Option.none(),
      dev: 0,
      ino: Option.some(inode.ino),
      mode: 0o600,
      nlink: Option.none(),
      uid: Option.none(),
      gid: Option.none(),
      rdev: Option.none(),
      size: FileSystem.Size(inode.text.length),
      blksize: Option.none(),
      blocks: Option.none()
    })),
    readAlloc: () => Effect.sync(() => Option.some(new TextEncoder().encode(inode.text))),
    seek: () => unused,
    sync: unused,
    read: () => unused,
    truncate: () => unused,
    write: () => unused,
    writeAll: () => unused
  }
}
