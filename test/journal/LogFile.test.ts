/** The log in a file: what each step of the file system may do to it. */
import { FileSystem, Path } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Layer, TestClock } from "effect"
import type { LogDriver } from "../../src/journal/LogDriver.js"
import * as LogFile from "../../src/journal/LogFile.js"
import * as LogLine from "../../src/journal/LogLine.js"
import * as RunJournal from "../../src/journal/RunJournal.js"
import * as Faulty from "../../src/testing/FaultyFileSystem.js"
import { FaultyFileSystem } from "../../src/testing/FaultyFileSystem.js"
import { note, send } from "./Records.js"

const name = "runs.journal"
const line = (value: string) => Buffer.from(LogLine.encode(JSON.stringify(value)))

const faulty = Layer.mergeAll(Layer.provideMerge(Faulty.layer, NodeFileSystem.layer), NodePath.layer)

const tempDirectory = Effect.flatMap(FileSystem.FileSystem, (fs) =>
  fs.makeTempDirectoryScoped({ prefix: "colloquy-log-" })
)

const make = (directory: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    return yield* LogFile.make({ fs, path, directory, name, durability: "fsync" })
  })

/** What a driver reads that is started on a good disk. */
const readAt = (directory: string) =>
  Effect.flatMap(make(directory), (driver) =>
    Effect.map(driver.read, (bytes) => LogLine.read(bytes).lines.map((json) => String(JSON.parse(json))))
  ).pipe(Effect.scoped, Effect.provide([NodeFileSystem.layer, NodePath.layer]))

/** A compaction of `a`, `b` to `A`, with appends before, beside and behind it. Gives the values whose append succeeded. */
const compaction = (driver: LogDriver) =>
  Effect.gen(function* () {
    const taken: Array<string> = []
    const append = (value: string) =>
      Effect.map(Effect.either(driver.append(line(value))), (result) => {
        if (Either.isRight(result)) taken.push(value)
      })
    const staged = yield* Effect.either(driver.stage([line("A")]))
    yield* append("c")
    const swapped = Either.isRight(staged)
      ? yield* Effect.either(driver.swap(taken.map((value) => line(value))))
      : staged
    yield* append("d")
    yield* append("e")
    return { taken, swapped: Either.isRight(swapped) }
  })

/** Is it the old log or the new one, and behind it exactly these, or with those that may be there too? */
const expectLog = (
  lines: ReadonlyArray<string>,
  taken: ReadonlyArray<string>,
  maybe: ReadonlyArray<string>
) => {
  const begun = lines[0] === "A" ? ["A"] : ["a", "b"]
  expect(lines.slice(0, begun.length)).toEqual(begun)
  const rest = lines.slice(begun.length)
  expect(rest.filter((value) => taken.includes(value))).toEqual(taken)
  expect(rest.filter((value) => !taken.includes(value) && !maybe.includes(value))).toEqual([])
  expect(new Set(rest).size).toBe(rest.length)
}

describe("LogFile", () => {
  const trial = (where: Faulty.Where, harm: Faulty.Harm) =>
    Effect.gen(function* () {
      const faults = yield* FaultyFileSystem
      const directory = yield* tempDirectory
      const driver = yield* make(directory)
      yield* driver.append(line("a"))
      yield* driver.append(line("b"))
      yield* faults.inject(where, harm)
      return { ...(yield* compaction(driver)), directory, driver }
    })

  /** How many steps the file system is asked for when all goes well. */
  const countSteps = Effect.gen(function* () {
    const faults = yield* FaultyFileSystem
    const driver = yield* make(yield* tempDirectory)
    const before = (yield* faults.steps).length
    const result = yield* compaction(driver)
    expect(result).toEqual({ taken: ["c", "d", "e"], swapped: true })
    return (yield* faults.steps).length - before
  }).pipe(Effect.scoped, Effect.provide(faulty))

  it.scoped("a compaction in which any step fails loses nothing, and the log goes on", () =>
    Effect.gen(function* () {
      const steps = yield* countSteps
      expect(steps).toBeGreaterThan(15)
      for (let step = 0; step < steps; step++) {
        yield* Effect.gen(function* () {
          const { directory, driver, taken } = yield* trial({ after: step }, { harm: "fail" })
          expect(taken.length).toBeGreaterThanOrEqual(2)
          yield* driver.append(line("last"))
          expectLog(yield* readAt(directory), [...taken, "last"], [])
        }).pipe(Effect.scoped, Effect.provide(faulty))
      }
    })
  )

  it.scoped("a crash at any step of a compaction leaves what was taken, and no line in part", () =>
    Effect.gen(function* () {
      const steps = yield* countSteps
      for (let step = 0; step < steps; step++) {
        for (const written of [0, 5, 1000]) {
          yield* Effect.gen(function* () {
            const { directory, taken } = yield* trial({ after: step }, { harm: "crash", written })
            expectLog(yield* readAt(directory), taken, ["c", "d", "e"])
          }).pipe(Effect.scoped, Effect.provide(faulty))
        }
      }
    })
  )

  it.scoped("a rename that only seemed to be done leaves the old log in use", () =>
    Effect.gen(function* () {
      const { directory, swapped, taken } = yield* trial(
        { step: "rename", name: /^runs\.journal$/ },
        { harm: "lose" }
      )
      expect(swapped).toBe(false)
      expect(taken).toEqual(["c", "d", "e"])
      expect(yield* readAt(directory)).toEqual(["a", "b", "c", "d", "e"])
    }).pipe(Effect.provide(faulty))
  )

  it.scoped("a name that could not be made durable is made so before anything more is taken", () =>
    Effect.gen(function* () {
      const faults = yield* FaultyFileSystem
      const directory = yield* tempDirectory
      const driver = yield* make(directory)
      yield* driver.append(line("a"))
      yield* driver.stage([line("A")])
      const own = directory.slice(directory.lastIndexOf("/") + 1)
      yield* faults.inject({ step: "sync", name: new RegExp(`^${own}$`), count: 2 }, { harm: "fail" })
      yield* Effect.flip(driver.swap([]))
      yield* Effect.flip(driver.append(line("lost")))
      yield* driver.append(line("b"))
      const last = (yield* faults.steps).slice(-3).map(({ name, step }) => `${step} ${name}`)
      // By the name under which the file was opened.
      expect(last).toEqual([`sync ${own}`, `write ${name}.tmp`, `sync ${name}.tmp`])
      expect(yield* readAt(directory)).toEqual(["A", "b"])
    }).pipe(Effect.provide(faulty))
  )

  it.scoped("a write in pieces is one", () =>
    Effect.gen(function* () {
      const faults = yield* FaultyFileSystem
      const directory = yield* tempDirectory
      const driver = yield* make(directory)
      yield* faults.inject({ step: "write", count: 3 }, { harm: "short", bytes: 2 })
      yield* driver.append(line("a"))
      expect((yield* faults.steps).filter(({ step }) => step === "write")).toHaveLength(4)
      expect(yield* readAt(directory)).toEqual(["a"])
    }).pipe(Effect.provide(faulty))
  )

  it.scoped("many commits share an fsync", () =>
    Effect.gen(function* () {
      const faults = yield* FaultyFileSystem
      const driver = yield* make(yield* tempDirectory)
      const { messages } = yield* RunJournal.open({ driver, store: Effect.void })
      const commits = Array.from({ length: 200 }, (_, at) => messages.commit([send(`r${at}`)]))
      const before = (yield* faults.steps).length
      yield* Effect.all(commits, { concurrency: "unbounded", discard: true })
      const syncs = (yield* faults.steps).slice(before).filter(({ step }) => step === "sync")
      expect(syncs.length).toBeGreaterThan(0)
      expect(syncs.length).toBeLessThan(20)
    }).pipe(Effect.provide(faulty))
  )

  it.scoped("a commit that waits for a slow fsync is not done before it", () =>
    Effect.gen(function* () {
      const faults = yield* FaultyFileSystem
      const driver = yield* make(yield* tempDirectory)
      const { messages } = yield* RunJournal.open({ driver, store: Effect.void })
      yield* messages.commit([send("first")])
      yield* faults.inject({ step: "sync", name: /^runs\.journal$/ }, { harm: "delay", for: "3 seconds" })
      const committing = yield* Effect.fork(messages.commit([send("r")]))
      yield* TestClock.adjust("2 seconds")
      expect(committing.unsafePoll()).toBe(null)
      yield* TestClock.adjust("1 second")
      yield* committing
    }).pipe(Effect.provide(faulty))
  )

  for (const [title, away] of [
    ["removed", (fs: FileSystem.FileSystem, file: string) => fs.remove(file)],
    [
      "replaced",
      (fs: FileSystem.FileSystem, file: string) =>
        Effect.zipRight(fs.writeFileString(`${file}.new`, "theirs\n"), fs.rename(`${file}.new`, file))
    ]
  ] as const) {
    it.scoped(`a journal that somebody has ${title} is written anew, with all that it said`, () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const directory = yield* tempDirectory
        const driver = yield* make(directory)
        const { messages } = yield* RunJournal.open({ driver, store: Effect.void })
        yield* messages.commit([send("one"), note("two")])
        yield* away(fs, `${directory}/${name}`)
        yield* TestClock.adjust("1 second")
        yield* messages.commit([send("three")])
        yield* Effect.gen(function* () {
          const next = yield* RunJournal.open({ driver: yield* make(directory), store: Effect.void })
          expect(next.journal.unfinished.map(({ run }) => run.runId)).toEqual(["one", "three"])
          expect(next.messages.found.map(({ id }) => id)).toEqual(["m-one", "m-two", "m-three"])
        }).pipe(Effect.scoped)
      }).pipe(Effect.provide(faulty))
    )
  }
})
