import { FileSystem } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { describe, expect, it } from "@effect/vitest"
import { Context, Deferred, Effect, Either, Exit, Fiber, Layer, Option, Scope, TestClock } from "effect"
import { text } from "../../src/domain/Message.js"
import { main as mainKey, parse, type SessionKey } from "../../src/domain/SessionKey.js"
import { SessionStore } from "../../src/session/SessionStore.js"
import * as SessionStoreFile from "../../src/session/SessionStoreFile.js"
import * as Faulty from "../../src/testing/FaultyFileSystem.js"
import { FaultyFileSystem, type FileStep, type Step } from "../../src/testing/FaultyFileSystem.js"
import { layerFile, sessionKeyDefaults, StateDir, storeOptions, StoreProbe } from "../contract/StoreProbe.js"
import * as Restart from "../support/Restart.js"

const main = mainKey(sessionKeyDefaults)
const key = (raw: string): SessionKey => Option.getOrThrow(Option.getRight(parse(raw, sessionKeyDefaults)))
const whole = { limit: 1000, maxBytes: 10_000_000 }
const said = (value: string) => text("user", value, 1)

const history = (session: SessionKey = main) =>
  Effect.flatMap(SessionStore, (store) =>
    Effect.map(store.history(session, whole), ({ messages }) =>
      messages.map((message) =>
        Array.isArray(message["content"]) ? String(message["content"][0]?.text) : "?"
      )
    )
  )

/** What a store finds that is started behind a crash at this moment. */
const afterCrash = <A, E>(use: Effect.Effect<A, E, SessionStore>) =>
  Effect.gen(function* () {
    const { store } = yield* Restart.open(yield* Restart.copyOf(yield* StateDir))
    return yield* Effect.provideService(use, SessionStore, store)
  }).pipe(Effect.scoped)

/** The steps that change something, as `write runs.journal`. */
const changes = (steps: ReadonlyArray<FileStep>) =>
  steps
    .filter(({ step }) => step === "write" || step === "sync" || step === "rename")
    .map(({ name, step }) => `${step} ${name}`)

/** A file system with levers, under the store and under the test. */
const faulty = Layer.provide(Faulty.layer, NodeFileSystem.layer)

describe("SessionStoreFile", () => {
  it.effect("keeps to itself: files 0600, directory 0700, no other file left behind", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const store = yield* SessionStore
      const directory = yield* StateDir
      const { sessionId } = yield* store.accept(main, said("x"))
      yield* store.flush
      const mode = (path: string) => Effect.map(fs.stat(path), (info) => info.mode & 0o777)
      expect(yield* mode(directory)).toBe(0o700)
      const files = [`${sessionId}.jsonl`, "runs.journal", "sessions.json"]
      expect(yield* fs.readDirectory(directory)).toEqual(expect.arrayContaining(files))
      for (const name of files) expect([name, yield* mode(`${directory}/${name}`)]).toEqual([name, 0o600])
      expect((yield* fs.readDirectory(directory)).filter((name) => /tmp|torn|damaged/.test(name))).toEqual([])
    }).pipe(Effect.provide(layerFile))
  )

  it.scoped(
    "a send waits for one fsync: the rest follows, and is durable at the end before the journal says so",
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const faults = yield* FaultyFileSystem
        const stateDir = yield* fs.makeTempDirectoryScoped({ prefix: "colloquy-store-" })
        const scope = yield* Scope.make()
        const services = yield* Layer.buildWithScope(
          SessionStoreFile.layer({ ...storeOptions, stateDir: `${stateDir}/state` }),
          scope
        )
        const store = Context.get(services, SessionStore)
        let seen = (yield* faults.steps).length
        const since = Effect.map(faults.steps, (steps) => {
          const more = changes(steps.slice(seen))
          seen = steps.length
          return more
        })
        const { sessionId } = yield* store.accept(main, said("x"))
        const transcript = `${sessionId}.jsonl`
        const [first, second, third, ...behind] = yield* since
        expect([first, second, third]).toEqual([
          "write runs.journal",
          "sync runs.journal",
          `write ${transcript}`
        ])
        yield* store.flush
        expect([...behind, ...(yield* since)]).toEqual(["write sessions.json.tmp", "rename sessions.json"])
        yield* Scope.close(scope, Exit.void)
        expect((yield* since).filter((step) => !step.endsWith("lock"))).toEqual([
          `sync ${transcript}`,
          "sync state",
          "sync sessions.json",
          "sync state",
          "write sessions.json.bak.tmp",
          "sync sessions.json.bak.tmp",
          "rename sessions.json.bak",
          "sync state",
          "write runs.journal",
          "sync runs.journal"
        ])
      }).pipe(Effect.provide([Layer.provideMerge(faulty, NodePath.layer)]))
  )

  it.effect("with durability os nothing waits for an fsync", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const faults = yield* FaultyFileSystem
      const stateDir = `${yield* fs.makeTempDirectoryScoped({ prefix: "colloquy-store-" })}/state`
      yield* Effect.flatMap(SessionStore, (store) =>
        Effect.zipRight(store.accept(main, said("x")), store.flush)
      ).pipe(Effect.provide(SessionStoreFile.layer({ ...storeOptions, stateDir, durability: "os" })))
      expect((yield* faults.steps).filter(({ name, step }) => step === "sync" && name !== "lock")).toEqual([])
      const { store } = yield* Restart.open(stateDir)
      expect(yield* Effect.provideService(history(), SessionStore, store)).toEqual(["x"])
    }).pipe(Effect.scoped, Effect.provide([Layer.provideMerge(faulty, NodePath.layer)]))
  )

  it.effect("what was accepted is there after a crash, life after life", () =>
    Effect.gen(function* () {
      yield* (yield* SessionStore).accept(main, said("one"))
      const scope = yield* Effect.scope
      let stateDir = yield* Restart.copyOf(yield* StateDir)
      for (const [at, value] of ["two", "three", "four"].entries()) {
        stateDir = yield* Effect.scoped(
          Effect.gen(function* () {
            const { store } = yield* Restart.open(stateDir)
            expect(yield* Effect.provideService(history(), SessionStore, store)).toEqual(
              ["one", "two", "three"].slice(0, at + 1)
            )
            yield* store.accept(main, said(value))
            // A crash in the one life, an orderly end in the other.
            return at % 2 === 0 ? stateDir : yield* Scope.extend(Restart.copyOf(stateDir), scope)
          })
        )
      }
    }).pipe(Effect.scoped, Effect.provide(layerFile))
  )

  describe("a failing disk", () => {
    const deciding: ReadonlyArray<readonly [Step, RegExp]> = [
      ["write", /^runs\.journal$/],
      ["sync", /^runs\.journal$/],
      ["open", /\.jsonl$/],
      ["write", /\.jsonl$/]
    ]
    for (const [step, name] of deciding) {
      for (const session of ["new", "old"] as const) {
        // A transcript that is kept open is not opened again.
        if (step === "open" && session === "old") continue
        it.effect(`${step} of ${name.source} fails: nothing is seen of a send to a ${session} session`, () =>
          Effect.gen(function* () {
            const store = yield* SessionStore
            const probe = yield* StoreProbe
            const faults = yield* FaultyFileSystem
            const before = session === "old" ? ["one"] : []
            if (session === "old") yield* store.accept(main, said("one"))
            yield* store.accept(key("other"), said("x"))
            yield* TestClock.adjust("1 second")
            const index = yield* probe.index
            const transcripts = yield* probe.transcripts
            yield* faults.fail(step, name)
            const failed = yield* Effect.flip(store.accept(main, said("lost")))
            expect(failed).toMatchObject({ _tag: "SessionStoreError", operation: "write", reason: "ENOSPC" })
            expect(yield* probe.index).toEqual(index)
            expect(yield* probe.transcripts).toEqual(transcripts)
            expect(yield* history()).toEqual(before)
            expect((yield* store.list).size).toBe(before.length + 1)
            expect(yield* afterCrash(history())).toEqual(before)
            yield* store.accept(main, said("two"))
            expect(yield* store.problems).toEqual([])
            expect(yield* history()).toEqual([...before, "two"])
            expect(yield* afterCrash(history())).toEqual([...before, "two"])
          }).pipe(Effect.provide(layerFile))
        )
      }
    }

    const behind: ReadonlyArray<readonly [Step, RegExp]> = [
      ["open", /\.json\.tmp$/],
      ["write", /\.json\.tmp$/],
      ["utimes", /\.json\.tmp$/],
      ["rename", /^sessions\.json$/]
    ]
    for (const [step, name] of behind) {
      for (const session of ["new", "old"] as const) {
        it.effect(
          `${step} of ${name.source} fails: a send to a ${session} session is there all the same`,
          () =>
            Effect.gen(function* () {
              const store = yield* SessionStore
              const probe = yield* StoreProbe
              const faults = yield* FaultyFileSystem
              if (session === "old") yield* store.accept(main, said("one"))
              yield* store.flush
              yield* TestClock.adjust("1 second")
              yield* faults.fail(step, name, 1000)
              const { sessionId } = yield* store.accept(main, said("two"))
              const all = session === "old" ? ["one", "two"] : ["two"]
              expect(yield* Effect.flip(store.flush)).toMatchObject({ operation: "write", reason: "ENOSPC" })
              expect(yield* store.problems).toMatchObject([{ subject: "sessions.json", reason: "ENOSPC" }])
              expect(yield* history()).toEqual(all)
              expect(yield* afterCrash(history())).toEqual(all)
              yield* faults.heal
              expect(JSON.parse(Option.getOrThrow(yield* probe.index))).toEqual({
                [main]: { sessionId, updatedAt: 1000 }
              })
              expect(yield* store.problems).toEqual([])
            }).pipe(Effect.provide(layerFile))
        )
      }
    }

    it.effect("a half-written line that can't be cut off again does not merge with the next one", () =>
      Effect.gen(function* () {
        const store = yield* SessionStore
        const faults = yield* FaultyFileSystem
        yield* store.accept(main, said("one"))
        yield* faults.fail("write", /\.jsonl$/)
        yield* faults.fail("truncate", /\.jsonl$/)
        yield* Effect.flip(store.accept(main, said("lost")))
        yield* store.accept(main, said("two"))
        expect(yield* history()).toEqual(["one", "two"])
        expect(yield* afterCrash(history())).toEqual(["one", "two"])
      }).pipe(Effect.provide(layerFile))
    )

    it.effect(
      "a half-written record of the journal that can't be cut off again does not merge with the next one",
      () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const faults = yield* FaultyFileSystem
          yield* store.accept(main, said("one"))
          yield* faults.fail("write", /^runs\.journal$/)
          yield* faults.fail("truncate", /^runs\.journal$/, 2)
          yield* Effect.flip(store.accept(main, said("lost")))
          // Nothing is written while the remains are there.
          yield* Effect.flip(store.accept(main, said("lost")))
          yield* store.accept(main, said("two"))
          expect(yield* history()).toEqual(["one", "two"])
          expect(yield* afterCrash(history())).toEqual(["one", "two"])
        }).pipe(Effect.provide(layerFile))
    )

    it.effect("a state directory that went away fails sends, and works again when it is back", () =>
      Effect.gen(function* () {
        const store = yield* SessionStore
        const fs = yield* FileSystem.FileSystem
        const directory = yield* StateDir
        yield* store.accept(main, said("one"))
        yield* store.flush
        yield* fs.rename(directory, `${directory}-away`)
        for (const session of [key("new"), main])
          expect(yield* Effect.flip(store.accept(session, said("lost")))).toMatchObject({ reason: "ENOENT" })
        yield* TestClock.adjust("2 seconds")
        for (const session of [key("new"), main])
          expect(yield* Effect.flip(store.accept(session, said("lost")))).toMatchObject({ reason: "ENOENT" })
        yield* fs.rename(`${directory}-away`, directory)
        yield* store.accept(main, said("two"))
        expect(yield* afterCrash(history())).toEqual(["one", "two"])
        expect(yield* afterCrash(history(key("new")))).toEqual([])
      }).pipe(Effect.provide(layerFile))
    )
  })

  describe("what may yet be taken back", () => {
    /** Stops at a step until `go`. */
    const stopAt = (when: (step: FileStep) => boolean) =>
      Effect.gen(function* () {
        const faults = yield* FaultyFileSystem
        const reached = yield* Deferred.make<void>()
        const go = yield* Deferred.make<void>()
        yield* faults.setHook((step) =>
          when(step) ? Effect.zipRight(Deferred.succeed(reached, undefined), Deferred.await(go)) : Effect.void
        )
        return { reached: Deferred.await(reached), go: Deferred.succeed(go, undefined) }
      })

    for (const [title, when] of [
      ["the fsync of the journal", ({ name, step }: FileStep) => step === "sync" && name === "runs.journal"],
      [
        "the write of the transcript",
        ({ name, step }: FileStep) => step === "write" && name.endsWith(".jsonl")
      ]
    ] as const) {
      it.effect(`is not seen by history, get or list before ${title}`, () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const first = yield* store.accept(main, said("one"))
          yield* TestClock.adjust("1 second")
          const { go, reached } = yield* stopAt(when)
          const sending = yield* Effect.fork(store.accept(main, said("two")))
          yield* reached
          expect(yield* history()).toEqual(["one"])
          const { updatedAt } = first.entry
          expect(Option.getOrThrow(yield* store.get(main)).updatedAt).toBe(updatedAt)
          expect((yield* store.list).get(main)?.updatedAt).toBe(updatedAt)
          yield* go
          yield* Fiber.join(sending)
          expect(yield* history()).toEqual(["one", "two"])
          expect(Option.getOrThrow(yield* store.get(main)).updatedAt).toBe(1000)
        }).pipe(Effect.provide(layerFile))
      )
    }

    it.effect("is not seen by a history that comes between a write that fails and its being cut off", () =>
      Effect.gen(function* () {
        const store = yield* SessionStore
        const faults = yield* FaultyFileSystem
        yield* store.accept(main, said("one"))
        const { go, reached } = yield* stopAt(
          ({ name, step }) => step === "truncate" && name.endsWith(".jsonl")
        )
        yield* faults.inject({ step: "write", name: /\.jsonl$/ }, { harm: "fail", written: 1_000_000 })
        const sending = yield* Effect.fork(Effect.flip(store.accept(main, said("lost"))))
        yield* reached
        expect(yield* history()).toEqual(["one"])
        yield* go
        yield* Fiber.join(sending)
        expect(yield* history()).toEqual(["one"])
      }).pipe(Effect.provide(layerFile))
    )
  })

  describe("other programs", () => {
    it.effect("two edits of one length in one tick of the file system's clock are both seen", () =>
      Effect.gen(function* () {
        const store = yield* SessionStore
        const probe = yield* StoreProbe
        const fs = yield* FileSystem.FileSystem
        const index = `${yield* StateDir}/sessions.json`
        const edit = (label: string) =>
          Effect.zipRight(
            probe.setIndex(JSON.stringify({ [main]: { sessionId: "s", label } })),
            fs.utimes(index, 1_700_000_000, 1_700_000_000)
          )
        yield* TestClock.setTime(1_700_000_000_001)
        yield* edit("a")
        expect(Option.map(yield* store.get(main), ({ raw }) => raw["label"])).toEqual(Option.some("a"))
        yield* edit("b")
        expect(Option.map(yield* store.get(main), ({ raw }) => raw["label"])).toEqual(Option.some("b"))
      }).pipe(Effect.provide(layerFile))
    )

    /** Does something once, right before a step of the store. */
    const once = (when: (step: FileStep) => boolean, what: Effect.Effect<void>) =>
      Effect.flatMap(FaultyFileSystem, (faults) => {
        let done = false
        return faults.setHook((step) => {
          if (done || !when(step)) return Effect.void
          done = true
          return what
        })
      })

    /** Writes `sessions.json`, in whatever the store is doing. */
    const edit = (index: object) =>
      Effect.zipWith(FileSystem.FileSystem, StateDir, (fs, directory) =>
        Effect.orDie(fs.writeFileString(`${directory}/sessions.json`, JSON.stringify(index)))
      )

    it.effect("an edit made while we write the index is kept", () =>
      Effect.gen(function* () {
        const store = yield* SessionStore
        const probe = yield* StoreProbe
        const { sessionId } = yield* store.accept(main, said("one"))
        yield* store.flush
        yield* once(
          ({ name, step }) => step === "utimes" && name.endsWith(".tmp"),
          yield* edit({ [main]: { sessionId, lastTo: "them" }, theirs: 1 })
        )
        yield* TestClock.adjust("1 second")
        yield* store.accept(main, said("two"))
        expect(JSON.parse(Option.getOrThrow(yield* probe.index))).toEqual({
          [main]: { sessionId, lastTo: "them", updatedAt: 1000 },
          theirs: 1
        })
        expect(Option.getOrThrow(yield* store.get(main)).raw["lastTo"]).toBe("them")
      }).pipe(Effect.provide(layerFile))
    )

    it.effect(
      "a session that is exchanged in the moment of a send: the message is in the old one, the exchange stands",
      () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const probe = yield* StoreProbe
          const old = yield* store.accept(main, said("one"))
          yield* store.flush
          yield* once(
            ({ name, step }) => step === "write" && name.endsWith(".jsonl"),
            yield* edit({ [main]: { sessionId: "fresh" } })
          )
          const accepted = yield* store.accept(main, said("two"))
          expect(accepted.sessionId).toBe(old.sessionId)
          expect((yield* probe.transcripts).get(`${old.sessionId}.jsonl`)).toContain("two")
          expect(JSON.parse(Option.getOrThrow(yield* probe.index))).toMatchObject({
            [main]: { sessionId: "fresh" }
          })
          expect((yield* store.accept(main, said("three"))).sessionId).toBe("fresh")
          expect(yield* history()).toEqual(["three"])
          expect(yield* afterCrash(history())).toEqual(["three"])
        }).pipe(Effect.provide(layerFile))
    )

    it.effect("a transcript that was replaced or removed is not written through an old handle", () =>
      Effect.gen(function* () {
        const store = yield* SessionStore
        const fs = yield* FileSystem.FileSystem
        const { sessionId } = yield* store.accept(main, said("one"))
        const file = `${yield* StateDir}/${sessionId}.jsonl`
        yield* fs.copyFile(file, `${file}.new`)
        yield* fs.rename(`${file}.new`, file)
        yield* store.accept(main, said("two"))
        expect(yield* history()).toEqual(["one", "two"])
        yield* fs.remove(file)
        yield* store.accept(main, said("three"))
        expect(yield* history()).toEqual(["three"])
      }).pipe(Effect.provide(layerFile))
    )

    it.effect("symbolic links out of the state directory are not followed", () =>
      Effect.gen(function* () {
        const store = yield* SessionStore
        const probe = yield* StoreProbe
        const fs = yield* FileSystem.FileSystem
        const directory = yield* StateDir
        const outside = `${directory}-outside`
        yield* fs.makeDirectory(outside)
        yield* fs.writeFileString(`${outside}/secret.jsonl`, `{"message":{"secret":true}}\n`)
        yield* fs.symlink(`${outside}/secret.jsonl`, `${directory}/link.jsonl`)
        yield* fs.symlink(`${outside}/missing.jsonl`, `${directory}/dangling.jsonl`)
        yield* fs.symlink(outside, `${directory}/sub`)
        for (const entry of [
          { sessionId: "link" },
          { sessionId: "dangling" },
          { sessionId: "s", sessionFile: "sub/secret.jsonl" },
          { sessionId: "s", sessionFile: "sub/new.jsonl" }
        ]) {
          yield* probe.setIndex(JSON.stringify({ [main]: entry }))
          expect(yield* Effect.flip(store.accept(main, said("x")))).toHaveProperty(
            "_tag",
            "SessionStoreError"
          )
          const read = yield* Effect.either(store.history(main, whole))
          expect(Either.isRight(read) ? read.right.messages : []).toEqual([])
        }
        expect(yield* fs.readFileString(`${outside}/secret.jsonl`)).toBe(`{"message":{"secret":true}}\n`)
        expect(yield* fs.readDirectory(outside)).toEqual(["secret.jsonl"])
        // A link that is put in the place of a transcript that is in use is found too.
        yield* probe.setIndex("{}")
        const { sessionId } = yield* store.accept(main, said("x"))
        yield* fs.remove(`${directory}/${sessionId}.jsonl`)
        yield* fs.symlink(`${outside}/secret.jsonl`, `${directory}/${sessionId}.jsonl`)
        yield* Effect.flip(store.accept(main, said("y")))
        yield* Effect.flip(store.history(main, whole))
        expect(yield* fs.readFileString(`${outside}/secret.jsonl`)).toBe(`{"message":{"secret":true}}\n`)
      }).pipe(Effect.provide(layerFile))
    )

    it.effect("links inside the state directory are", () =>
      Effect.gen(function* () {
        const store = yield* SessionStore
        const probe = yield* StoreProbe
        const fs = yield* FileSystem.FileSystem
        const directory = yield* StateDir
        yield* probe.setTranscript("real.jsonl", `{"message":{"content":[{"text":"old"}]}}\n`)
        yield* fs.symlink(`${directory}/real.jsonl`, `${directory}/link.jsonl`)
        yield* probe.setIndex(JSON.stringify({ [main]: { sessionId: "link" } }))
        yield* store.accept(main, said("new"))
        expect(yield* history()).toEqual(["old", "new"])
      }).pipe(Effect.provide(layerFile))
    )
  })

  it.effect("more sessions than files are kept open", () =>
    Effect.gen(function* () {
      const store = yield* SessionStore
      const sessions = Array.from({ length: 300 }, (_, at) => key(`s${at}`))
      for (const value of ["one", "two"]) {
        yield* Effect.forEach(sessions, (session) => store.append(session, said(value)), {
          concurrency: "unbounded",
          discard: true
        })
      }
      for (const session of sessions) expect(yield* history(session)).toEqual(["one", "two"])
    }).pipe(Effect.provide(layerFile))
  )
})
