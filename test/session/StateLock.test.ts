import { FileSystem, type Path } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Exit, Fiber, Layer, Scope, TestClock } from "effect"
import { failure } from "../../src/testing/FaultyFileSystem.js"
import { LockOwner } from "../../src/session/LockOwner.js"
import * as Owner from "../../src/session/LockOwner.js"
import * as StateLock from "../../src/session/StateLock.js"
import * as MemoryFileSystem from "./MemoryFileSystem.js"

const platform = Layer.merge(NodeFileSystem.layer, NodePath.layer)

const makeStateDir = Effect.flatMap(FileSystem.FileSystem, (fs) =>
  Effect.orDie(fs.makeTempDirectoryScoped({ prefix: "colloquy-lock-" }))
)

/** A lock of this process, as it would stand in the file; fields of it can be others. */
const ownerWith = (fields: Partial<LockOwner>) =>
  Effect.map(Owner.local, ({ me }) => JSON.stringify(LockOwner.make({ ...me, id: "old", ...fields })))

/** A lock whose holder is gone. No process of Linux has that pid. */
const gone = ownerWith({ pid: 2 ** 31 - 1 })

const holds = Effect.fnUntraced(function* (directory: string) {
  const fs = yield* FileSystem.FileSystem
  return Either.isRight(yield* Effect.either(fs.readFileString(`${directory}/lock`)))
})

/** Takes the lock in a scope of its own. */
const acquire = (directory: string) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const lock = yield* Scope.extend(StateLock.acquire(directory), scope)
    return { ...lock, release: Scope.close(scope, Exit.void) }
  })

const test = <A, E>(
  name: string,
  use: (directory: string) => Effect.Effect<A, E, FileSystem.FileSystem | Path.Path | Scope.Scope>
) => it.scoped(name, () => Effect.provide(Effect.flatMap(makeStateDir, use), platform))

describe("StateLock", () => {
  test("holds the directory until its scope closes, and leaves nothing", (directory) =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { release } = yield* acquire(directory)
      expect(JSON.parse(yield* fs.readFileString(`${directory}/lock`))).toMatchObject({ pid: process.pid })
      expect(yield* fs.readDirectory(directory)).toEqual(["lock"])
      expect(yield* Effect.flip(acquire(directory))).toMatchObject({
        _tag: "StateDirLocked",
        directory,
        pid: process.pid,
        since: "1970-01-01T00:00:00.000Z"
      })
      expect(yield* fs.readDirectory(directory)).toEqual(["lock"])
      yield* release
      expect(yield* fs.readDirectory(directory)).toEqual([])
      yield* (yield* acquire(directory)).release
    }))

  const stale: ReadonlyArray<readonly [what: string, lock: typeof gone]> = [
    ["a process that is not there", gone],
    ["another process that has the pid now", ownerWith({ startedAt: "1" })]
  ]
  for (const [what, lock] of stale) {
    test(`takes over at once from ${what}`, (directory) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        yield* fs.writeFileString(`${directory}/lock`, yield* lock)
        yield* acquire(directory)
        expect(yield* fs.readDirectory(directory)).toEqual(["lock"])
        expect(yield* fs.readFileString(`${directory}/lock`)).not.toContain(`"old"`)
      }))
  }

  test("of many at once exactly one gets it, also over a stale lock", (directory) =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      for (let round = 0; round < 4; round++) {
        if (round % 2 === 1) yield* fs.writeFileString(`${directory}/lock`, yield* gone)
        const all = yield* Effect.forEach(
          Array.from({ length: 50 }, () => directory),
          (each) => Effect.either(acquire(each)),
          { concurrency: "unbounded" }
        )
        const won = all.filter(Either.isRight)
        expect(won).toHaveLength(1)
        for (const lost of all.filter(Either.isLeft)) expect(lost.left._tag).toBe("StateDirLocked")
        for (const { right } of won) yield* right.release
        expect(yield* fs.readDirectory(directory)).toEqual([])
      }
    }))

  test("works where the file system has no links", (directory) =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const linkless = { ...fs, link: () => Effect.fail(failure("link", "ENOSPC")) }
      yield* fs.writeFileString(`${directory}/lock`, yield* gone)
      const all = yield* Effect.forEach(
        [1, 2, 3],
        () => Effect.either(Effect.provideService(acquire(directory), FileSystem.FileSystem, linkless)),
        { concurrency: 1 }
      )
      expect(all.map(Either.isRight)).toEqual([true, false, false])
      expect(yield* fs.readDirectory(directory)).toEqual(["lock"])
    }))

  test("a full disk is told, and nothing stays behind", (directory) =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      yield* fs.writeFileString(`${directory}/lock`, yield* gone)
      const full = { ...fs, rename: () => Effect.fail(failure("rename", "ENOSPC")) }
      const failed = yield* Effect.flip(
        Effect.provideService(acquire(directory), FileSystem.FileSystem, full)
      )
      expect(failed).toMatchObject({ _tag: "SessionStoreError", subject: "lock", reason: "ENOSPC" })
      expect(yield* fs.readDirectory(directory)).toEqual(["lock"])
      yield* acquire(directory)
    }))

  test("leaves a lock alone that is not its own any more", (directory) =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { release } = yield* acquire(directory)
      yield* fs.writeFileString(`${directory}/lock`, yield* gone)
      yield* release
      expect(yield* holds(directory)).toBe(true)
    }))
})

describe("StateLock, with a holder that can't be seen from here", () => {
  /** A directory whose lock is another host's, and somebody who wants it. */
  const watched = Effect.gen(function* () {
    const directory = MemoryFileSystem.make()
    const fs = directory.view(Effect.void)
    const identity = yield* Effect.provideService(Owner.local, FileSystem.FileSystem, fs)
    const there = { ...identity.me, id: "there", pid: 7, host: "elsewhere", boot: "another" }
    return {
      directory,
      there: JSON.stringify(there),
      acquire: Effect.provide(
        StateLock.acquireAs("/state", {
          me: { ...identity.me, id: "here" },
          judge: () => Effect.succeed("unknown")
        }),
        Layer.merge(Layer.succeed(FileSystem.FileSystem, fs), NodePath.layer)
      )
    }
  })

  it.scoped("waits 6 seconds for a renewal, and takes it over when none comes", () =>
    Effect.gen(function* () {
      const { acquire, directory, there } = yield* watched
      directory.write("/state/lock", there)
      const acquiring = yield* Effect.fork(acquire)
      yield* TestClock.adjust("5900 millis")
      expect(acquiring.unsafePoll()).toBe(null)
      yield* TestClock.adjust("100 millis")
      yield* Fiber.join(acquiring)
      expect(Array.from(directory.files.keys())).toEqual(["/state/lock"])
      expect(directory.files.get("/state/lock")?.text).toContain(`"here"`)
    })
  )

  it.scoped("is refused as soon as it is renewed", () =>
    Effect.gen(function* () {
      const { acquire, directory, there } = yield* watched
      directory.write("/state/lock", there)
      const acquiring = yield* Effect.fork(Effect.flip(acquire))
      yield* TestClock.adjust("1900 millis")
      directory.touch("/state/lock")
      yield* TestClock.adjust("500 millis")
      expect(yield* Fiber.join(acquiring)).toMatchObject({
        _tag: "StateDirLocked",
        host: "elsewhere",
        pid: 7
      })
      expect(Array.from(directory.files.keys())).toEqual(["/state/lock"])
    })
  )

  it.scoped("takes it when it is left meanwhile", () =>
    Effect.gen(function* () {
      const { acquire, directory, there } = yield* watched
      directory.write("/state/lock", there)
      const acquiring = yield* Effect.fork(acquire)
      yield* TestClock.adjust("1 second")
      directory.remove("/state/lock")
      yield* TestClock.adjust("500 millis")
      yield* Fiber.join(acquiring)
    })
  )

  it.scoped("an empty lock is stale only if it stays so", () =>
    Effect.gen(function* () {
      const { acquire, directory, there } = yield* watched
      directory.write("/state/lock", "")
      const acquiring = yield* Effect.fork(Effect.flip(acquire))
      yield* TestClock.adjust("5 seconds")
      directory.write("/state/lock", there)
      yield* TestClock.adjust("2 seconds")
      directory.touch("/state/lock")
      yield* TestClock.adjust("500 millis")
      expect(yield* Fiber.join(acquiring)).toMatchObject({ _tag: "StateDirLocked", pid: 7 })

      directory.write("/state/lock", "{")
      const second = yield* Effect.fork(acquire)
      yield* TestClock.adjust("6 seconds")
      yield* Fiber.join(second)
    })
  )

  it.scoped("interrupted while it waits, it leaves nothing behind", () =>
    Effect.gen(function* () {
      const { acquire, directory, there } = yield* watched
      directory.write("/state/lock", there)
      const acquiring = yield* Effect.fork(acquire)
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(acquiring)
      expect(Array.from(directory.files.keys())).toEqual(["/state/lock"])
    })
  )

  it.scoped("is renewed every 2 seconds", () =>
    Effect.gen(function* () {
      const { acquire, directory } = yield* watched
      const { lost } = yield* acquire
      const times = new Set<number | undefined>()
      for (let second = 0; second < 10; second++) {
        times.add(directory.files.get("/state/lock")?.modifiedAt)
        yield* TestClock.adjust("1 second")
      }
      expect(times.size).toBe(5)
      expect((yield* Effect.fork(lost)).unsafePoll()).toBe(null)
    })
  )

  const losses: ReadonlyArray<readonly [string, (directory: MemoryFileSystem.MemoryDirectory) => void]> = [
    ["is removed", (directory) => directory.remove("/state/lock")],
    ["is somebody else's", (directory) => directory.write("/state/lock", "{}")]
  ]
  for (const [what, lose] of losses) {
    it.scoped(`tells when the lock ${what}`, () =>
      Effect.gen(function* () {
        const { acquire, directory } = yield* watched
        const { lost } = yield* acquire
        const waiting = yield* Effect.fork(lost)
        yield* TestClock.adjust("2 seconds")
        expect(waiting.unsafePoll()).toBe(null)
        lose(directory)
        yield* TestClock.adjust("2 seconds")
        yield* Fiber.join(waiting)
      })
    )
  }
})
