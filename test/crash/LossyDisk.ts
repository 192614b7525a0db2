/**
 * LossyDisk: a `FileSystem` whose machine loses power when the process is killed. What is written to a file at its end
 * and not yet synced is kept in this process's memory; only a sync brings it to the real file. All reads through the
 * service see it. Now and then a part of it goes to the disk early, as a page cache would write it, so that a kill leaves
 * torn lines. Writes in the middle of a file, and renames, are durable at once: a disk may do that, too.
 */
import { FileSystem } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { type Duration, Effect, Layer, Option, Scope } from "effect"
import { basename } from "node:path"
import type { Prng } from "./Prng.js"

export interface Options {
  /** Which files, by their names without directory; they should be ones that are mostly appended to. */
  readonly files: RegExp
  /** A disk that lies: a sync succeeds at once, and what it should have brought to the disk goes there so much later. */
  readonly syncsAfter?: Duration.DurationInput
  /** Decides what goes to the disk early. */
  readonly prng: Prng
  /** Is given a look at what is held: the bytes behind what the disk has of a file, by its inode. */
  readonly onStart?: (held: () => Iterable<readonly [inode: string, bytes: Uint8Array]>) => void
}

/** A file, whatever its names: the bytes behind what the disk has of it. */
interface Tail {
  readonly inode: string
  held: Uint8Array
  readonly turn: Effect.Semaphore
  /** The open handles; those that can write are true. */
  readonly handles: Map<FileSystem.File, boolean>
}

const early = 0.15

export const layer = (options: Options): Layer.Layer<FileSystem.FileSystem> =>
  Layer.scoped(FileSystem.FileSystem, make(options)).pipe(Layer.provide(NodeFileSystem.layer))

const make = (options: Options) =>
  Effect.gen(function* () {
    const disk = yield* FileSystem.FileSystem
    const scope = yield* Effect.scope
    const tails = new Map<string, Tail>()
    options.onStart?.(() => [...tails.values()].map(({ held, inode }) => [inode, held] as const))

    const identity = (info: FileSystem.File.Info) => `${info.dev}:${Option.getOrElse(info.ino, () => 0)}`
    const covers = (path: string) => options.files.test(basename(path))
    const withTail = (info: FileSystem.File.Info): FileSystem.File.Info => {
      const held = tails.get(identity(info))?.held.length ?? 0
      return { ...info, size: FileSystem.Size(Number(info.size) + held) }
    }
    const sizeOnDisk = (file: FileSystem.File) => Effect.map(file.stat, ({ size }) => Number(size))

    /** Brings the first bytes of what is held to the disk. */
    const bring = (tail: Tail, length: number) =>
      Effect.suspend(() => {
        const writer = [...tail.handles].find(([, canWrite]) => canWrite)?.[0]
        if (writer === undefined || length === 0) return Effect.void
        const bytes = tail.held.subarray(0, length)
        return sizeOnDisk(writer).pipe(
          Effect.flatMap((size) => writer.seek(size, "start")),
          Effect.zipRight(writer.writeAll(bytes)),
          Effect.map(() => {
            tail.held = tail.held.subarray(length)
          })
        )
      })
    const bringAll = (tail: Tail) => Effect.suspend(() => bring(tail, tail.held.length))

    const wrap = (file: FileSystem.File, tail: Tail, append: boolean): FileSystem.File => {
      let position = 0
      const inTurn = <A, E>(effect: Effect.Effect<A, E>) =>
        Effect.uninterruptible(tail.turn.withPermits(1)(effect))

      const write = (bytes: Uint8Array) =>
        Effect.gen(function* () {
          const size = (yield* sizeOnDisk(file)) + tail.held.length
          const start = append ? size : position
          if (start === size) {
            // A copy: the buffer is its owner's again when this is over.
            tail.held = Buffer.concat([tail.held, bytes])
            if (options.prng.chance(early))
              yield* bring(tail, tail.held.length - options.prng.between(0, bytes.length))
          } else {
            yield* bringAll(tail)
            yield* file.seek(start, "start")
            yield* file.writeAll(bytes)
          }
          if (!append) position = start + bytes.length
        })

      const read = (buffer: Uint8Array) =>
        Effect.gen(function* () {
          const size = yield* sizeOnDisk(file)
          let length = 0
          if (position < size) {
            yield* file.seek(position, "start")
            length = Number(yield* file.read(buffer.subarray(0, Math.min(buffer.length, size - position))))
          }
          if (position + length >= size) {
            const from = position + length - size
            const rest = tail.held.subarray(from, from + buffer.length - length)
            buffer.set(rest, length)
            length += rest.length
          }
          position += length
          return length
        })

      const truncate = (length: number) =>
        Effect.gen(function* () {
          const size = yield* sizeOnDisk(file)
          if (length >= size && length <= size + tail.held.length) {
            tail.held = tail.held.subarray(0, length - size)
          } else {
            yield* bringAll(tail)
            yield* file.truncate(length)
          }
          if (!append) position = Math.min(position, length)
        })

      const sync = inTurn(
        Effect.zipRight(
          bringAll(tail),
          Effect.suspend(() => file.sync)
        )
      )
      return {
        [FileSystem.FileTypeId]: FileSystem.FileTypeId,
        fd: file.fd,
        stat: inTurn(
          Effect.map(
            Effect.suspend(() => file.stat),
            withTail
          )
        ),
        seek: (offset, from) =>
          Effect.sync(() => {
            position = from === "start" ? Number(offset) : position + Number(offset)
          }),
        read: (buffer) => Effect.map(inTurn(read(buffer)), FileSystem.Size),
        readAlloc: (size) =>
          Effect.suspend(() => {
            const buffer = Buffer.alloc(Number(size))
            return Effect.map(inTurn(read(buffer)), (length) =>
              length === 0 ? Option.none() : Option.some(buffer.subarray(0, length))
            )
          }),
        truncate: (length = 0) => inTurn(truncate(Number(length))),
        write: (buffer) => Effect.as(inTurn(write(buffer)), FileSystem.Size(buffer.length)),
        writeAll: (buffer) => inTurn(write(buffer)),
        sync:
          options.syncsAfter === undefined
            ? sync
            : inTurn(Effect.ignore(bringAll(tail))).pipe(
                Effect.delay(options.syncsAfter),
                Effect.interruptible,
                Effect.forkIn(scope),
                Effect.asVoid
              )
      }
    }

    /** A last handle on a file with something held: it stays open as long as this layer. */
    const keep = (file: FileSystem.File, tail: Tail) =>
      disk.open(`/proc/self/fd/${file.fd}`, { flag: "a" }).pipe(
        Scope.extend(scope),
        Effect.map((keeper) => tail.handles.set(keeper, true)),
        // An orderly end is no power cut.
        Effect.zipRight(Scope.addFinalizer(scope, Effect.ignore(bringAll(tail)))),
        // Not on this system: then it is brought to the disk now.
        Effect.catchAll(() => Effect.ignore(bringAll(tail)))
      )

    const leave = (file: FileSystem.File, id: string, tail: Tail) =>
      tail.turn.withPermits(1)(
        Effect.gen(function* () {
          const writers = [...tail.handles.values()].filter((canWrite) => canWrite).length
          if (tail.handles.get(file) === true && writers === 1 && tail.held.length > 0)
            yield* keep(file, tail)
          tail.handles.delete(file)
          if (tail.handles.size === 0) tails.delete(id)
        })
      )

    const open: FileSystem.FileSystem["open"] = (path, settings = {}) =>
      covers(path)
        ? Effect.gen(function* () {
            const flag = settings.flag ?? "r"
            const file = yield* disk.open(path, settings)
            const info = yield* file.stat
            const id = identity(info)
            const tail = tails.get(id) ?? {
              inode: String(Option.getOrElse(info.ino, () => 0)),
              held: new Uint8Array(),
              turn: Effect.unsafeMakeSemaphore(1),
              handles: new Map()
            }
            tails.set(id, tail)
            if (flag.startsWith("w")) tail.held = new Uint8Array()
            tail.handles.set(file, flag !== "r")
            yield* Effect.addFinalizer(() => leave(file, id, tail))
            return wrap(file, tail, flag.startsWith("a"))
          })
        : disk.open(path, settings)

    return FileSystem.make({
      ...disk,
      open,
      stat: (path) => Effect.map(disk.stat(path), withTail),
      readFile: (path) =>
        covers(path)
          ? Effect.scoped(
              Effect.gen(function* () {
                const file = yield* open(path)
                const { size } = yield* file.stat
                return Option.getOrElse(yield* file.readAlloc(size), () => new Uint8Array())
              })
            )
          : disk.readFile(path),
      writeFile: (path, data, settings) =>
        covers(path)
          ? Effect.scoped(
              Effect.flatMap(open(path, { flag: "w", ...settings }), (file) => file.writeAll(data))
            )
          : disk.writeFile(path, data, settings),
      truncate: (path, length = 0) =>
        covers(path)
          ? Effect.scoped(Effect.flatMap(open(path, { flag: "r+" }), (file) => file.truncate(length)))
          : disk.truncate(path, length)
    })
  })
