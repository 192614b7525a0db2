import { FileSystem } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { describe, expect, it } from "@effect/vitest"
import { FaultyFileSystem as Faulty } from "colloquy/testing"
import { Effect, Fiber, Layer, type Scope, TestClock } from "effect"

const { FaultyFileSystem } = Faulty

const good = <A, E>(effect: Effect.Effect<A, E, FileSystem.FileSystem>) =>
  Effect.provide(effect, NodeFileSystem.layer)

/** What is in the file, as the good disk below says. */
const read = (file: string) => good(Effect.flatMap(FileSystem.FileSystem, (fs) => fs.readFileString(file)))

const test = (
  title: string,
  body: (
    fs: FileSystem.FileSystem,
    faults: Faulty.FaultControl,
    directory: string
  ) => Effect.Effect<void, unknown, Scope.Scope>
) =>
  it.scoped(title, () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* good(
        Effect.map(FileSystem.FileSystem, (own) =>
          own.makeTempDirectoryScoped({ prefix: "colloquy-faulty-" })
        )
      ).pipe(Effect.flatten)
      yield* body(fs, yield* FaultyFileSystem, directory)
    }).pipe(Effect.provide(Layer.provide(Faulty.layer, NodeFileSystem.layer)))
  )

const bytes = (text: string) => Buffer.from(text)
const codeOf = (error: { readonly cause?: unknown }) => error.cause

describe("FaultyFileSystem", () => {
  test("is a good disk until a lever is pulled, and writes down what is asked of it", (fs, faults, directory) =>
    Effect.gen(function* () {
      const file = yield* fs.open(`${directory}/a`, { flag: "w" })
      yield* file.writeAll(bytes("hello"))
      yield* file.sync
      yield* fs.rename(`${directory}/a`, `${directory}/b`)
      expect(yield* read(`${directory}/b`)).toBe("hello")
      expect((yield* faults.steps).map(({ name, step }) => `${step} ${name}`)).toEqual([
        "open a",
        "write a",
        "sync a",
        "rename b"
      ])
    }))

  test("fails the nth step of a kind, with a code", (fs, faults, directory) =>
    Effect.gen(function* () {
      const file = yield* fs.open(`${directory}/a`, { flag: "w" })
      yield* faults.inject({ step: "write", after: 1, count: 2 }, { harm: "fail", code: "EIO", written: 1 })
      yield* file.writeAll(bytes("ab"))
      for (const _ of [1, 2])
        expect(codeOf(yield* Effect.flip(file.writeAll(bytes("cd"))))).toMatchObject({ code: "EIO" })
      yield* file.writeAll(bytes("ef"))
      // What the failed ones had begun is there.
      expect(yield* read(`${directory}/a`)).toBe("abccef")
    }))

  test("of files with that name only", (fs, faults, directory) =>
    Effect.gen(function* () {
      yield* faults.fail("open", /^b$/)
      yield* fs.open(`${directory}/a`, { flag: "w" })
      expect(codeOf(yield* Effect.flip(fs.open(`${directory}/b`, { flag: "w" })))).toMatchObject({
        code: "ENOSPC"
      })
      yield* fs.open(`${directory}/b`, { flag: "w" })
    }))

  test("a short write says how much it has written, and writeAll goes on", (fs, faults, directory) =>
    Effect.gen(function* () {
      const file = yield* fs.open(`${directory}/a`, { flag: "a" })
      yield* faults.inject({ step: "write", count: 2 }, { harm: "short", bytes: 2 })
      expect(Number(yield* file.write(bytes("12345")))).toBe(2)
      yield* file.writeAll(bytes("abcde"))
      expect(yield* read(`${directory}/a`)).toBe("12abcde")
      // One that writes nothing at all is an error, as the system's own writeAll has it.
      yield* faults.inject({ step: "write" }, { harm: "short", bytes: 0 })
      yield* Effect.flip(file.writeAll(bytes("x")))
    }))

  test("loses what it reports as done", (fs, faults, directory) =>
    Effect.gen(function* () {
      yield* fs.open(`${directory}/a`, { flag: "w" })
      yield* faults.inject({ step: ["rename", "truncate"] }, { harm: "lose" })
      yield* fs.rename(`${directory}/a`, `${directory}/b`)
      expect(
        yield* good(Effect.flatMap(FileSystem.FileSystem, (own) => own.readDirectory(directory)))
      ).toEqual(["a"])
    }))

  test("is slow on the clock", (fs, faults, directory) =>
    Effect.gen(function* () {
      const file = yield* fs.open(`${directory}/a`, { flag: "w" })
      yield* faults.inject({ step: "sync" }, { harm: "delay", for: "1 minute" })
      const syncing = yield* Effect.fork(file.sync)
      yield* TestClock.adjust("59 seconds")
      expect(syncing.unsafePoll()).toBe(null)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(syncing)
    }))

  test("a crash leaves what was there: all fails, until it is healed", (fs, faults, directory) =>
    Effect.gen(function* () {
      const file = yield* fs.open(`${directory}/a`, { flag: "w" })
      yield* faults.inject({ after: 1 }, { harm: "crash", written: 3 })
      yield* file.writeAll(bytes("one "))
      yield* Effect.flip(file.writeAll(bytes("two")))
      yield* Effect.flip(file.sync)
      yield* Effect.flip(fs.stat(`${directory}/a`))
      yield* Effect.flip(fs.remove(`${directory}/a`))
      yield* Effect.flip(fs.open(`${directory}/b`, { flag: "w" }))
      expect(yield* read(`${directory}/a`)).toBe("one two")
      yield* faults.heal
      yield* file.writeAll(bytes("!"))
      yield* faults.crash
      yield* Effect.flip(file.writeAll(bytes("?")))
      expect(yield* read(`${directory}/a`)).toBe("one two!")
    }))

  test("lets a test do something right before a step", (fs, faults, directory) =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      yield* faults.setHook(({ name, step }) =>
        step === "remove"
          ? Effect.fail(Faulty.failure(step, "EBUSY"))
          : Effect.sync(() => seen.push(`${step} ${name}`))
      )
      yield* fs.open(`${directory}/a`, { flag: "w" })
      expect(codeOf(yield* Effect.flip(fs.remove(`${directory}/a`)))).toMatchObject({ code: "EBUSY" })
      expect(seen).toEqual(["open a"])
    }))
})
