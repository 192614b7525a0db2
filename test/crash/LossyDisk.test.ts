/** The disk of the crash test: what a kill would leave is what the real file holds. */
import { FileSystem } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { expect, it } from "@effect/vitest"
import { Effect, Layer, Option, TestClock } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as LossyDisk from "./LossyDisk.js"
import type { Prng } from "./Prng.js"

/** Nothing goes to the disk early. */
const never: Prng = { next: () => 1, between: (low) => low, chance: () => false, pick: ([first]) => first }
const files = /^log/

const inDirectory = <A, E, R>(use: (file: string) => Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    return yield* use(join(yield* fs.makeTempDirectoryScoped(), "log"))
  })

const bytes = (text: string): Uint8Array => Buffer.from(text)
const onDisk = (file: string): string => readFileSync(file, "utf8")

const disk = (options: Partial<LossyDisk.Options> = {}) =>
  Layer.fresh(LossyDisk.layer({ files, prng: never, ...options }))

it.scoped("only a sync brings what was appended to the disk; reads and sizes have it before", () =>
  inDirectory((name) =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const file = yield* fs.open(name, { flag: "a+" })
      yield* file.writeAll(bytes("one\n"))
      yield* file.sync
      yield* file.writeAll(bytes("two\n"))
      expect(onDisk(name)).toBe("one\n")
      expect(Number((yield* fs.stat(name)).size)).toBe(8)
      expect(Number((yield* file.stat).size)).toBe(8)
      expect(yield* fs.readFileString(name)).toBe("one\ntwo\n")
      const reader = yield* fs.open(name, { flag: "r" })
      yield* reader.seek(2, "start")
      const read = yield* reader.readAlloc(4)
      expect(Option.map(read, (part) => Buffer.from(part).toString())).toEqual(Option.some("e\ntw"))
      yield* file.sync
      expect(onDisk(name)).toBe("one\ntwo\n")
    })
  ).pipe(Effect.provide(disk()))
)

it.scoped("a file that was closed keeps what it was not told to sync, under its new name, too", () =>
  inDirectory((name) =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      yield* fs.writeFileString(name, "one\n")
      yield* fs.rename(name, `${name}.new`)
      expect(onDisk(`${name}.new`)).toBe("")
      expect(yield* fs.readFileString(`${name}.new`)).toBe("one\n")
      yield* Effect.scoped(Effect.flatMap(fs.open(`${name}.new`, { flag: "r+" }), (file) => file.sync))
      expect(onDisk(`${name}.new`)).toBe("one\n")
    })
  ).pipe(Effect.provide(disk()))
)

it.scoped("truncate cuts what is held first; a write in the middle brings everything before it", () =>
  inDirectory((name) =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const file = yield* fs.open(name, { flag: "w+" })
      yield* file.writeAll(bytes("one\ntwo\n"))
      yield* file.truncate(4)
      yield* file.seek(0, "start")
      expect(yield* fs.readFileString(name)).toBe("one\n")
      expect(onDisk(name)).toBe("")
      yield* file.writeAll(bytes("O"))
      expect(onDisk(name)).toBe("One\n")
    })
  ).pipe(Effect.provide(disk()))
)

it.scoped("a part may go to the disk early: a torn line", () =>
  inDirectory((name) =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const file = yield* fs.open(name, { flag: "a" })
      yield* file.writeAll(bytes("a line\n"))
      expect(onDisk(name)).toBe("a l")
      expect(yield* fs.readFileString(name)).toBe("a line\n")
    })
  ).pipe(Effect.provide(disk({ prng: { ...never, chance: () => true, between: () => 4 } })))
)

it.scoped("a disk that lies says that it has synced, and does so later", () =>
  inDirectory((name) =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const file = yield* fs.open(name, { flag: "a" })
      yield* file.writeAll(bytes("one\n"))
      yield* file.sync
      expect(onDisk(name)).toBe("")
      yield* TestClock.adjust("1 second")
      // The same turn as the write that is late.
      expect(Number((yield* file.stat).size)).toBe(4)
      expect(onDisk(name)).toBe("one\n")
    })
  ).pipe(Effect.provide(disk({ syncsAfter: "1 second" })))
)

it.scoped("an orderly end loses nothing; other files are not touched", () =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const directory = yield* fs.makeTempDirectoryScoped()
    const other = join(directory, "other")
    const name = join(directory, "log")
    writeFileSync(name, "zero\n")
    yield* Effect.scoped(
      Effect.gen(function* () {
        const lossy = yield* FileSystem.FileSystem
        const file = yield* lossy.open(name, { flag: "a" })
        yield* file.writeAll(bytes("one\n"))
        yield* lossy.writeFileString(other, "at once")
        expect(onDisk(other)).toBe("at once")
        expect(onDisk(name)).toBe("zero\n")
      })
    ).pipe(Effect.provide(disk()))
    expect(onDisk(name)).toBe("zero\none\n")
  }).pipe(Effect.provide(NodeFileSystem.layer))
)
