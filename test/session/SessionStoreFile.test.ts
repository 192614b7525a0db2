import { FileSystem } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Either, Fiber, Layer, Option, TestClock } from "effect"
import { text } from "../../src/domain/Message.js"
import { main as mainKey, parse, type SessionKey } from "../../src/domain/SessionKey.js"
import * as FileDriver from "../../src/session/FileDriver.js"
import { SessionStore } from "../../src/session/SessionStore.js"
import * as StoreEngine from "../../src/session/StoreEngine.js"
import { layerFile, sessionKeyDefaults, StateDir, storeOptions, StoreProbe } from "../contract/StoreProbe.js"
import { FaultyFileSystem, noSpace, type FileStep, type Step } from "./FaultyFileSystem.js"

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

/** A second store on the same directory, past its lock: what a restart finds, with nothing remembered. */
const afterRestart = <A, E>(use: Effect.Effect<A, E, SessionStore>) =>
  Effect.flatMap(StateDir, (stateDir) =>
    Effect.provide(
      use,
      Layer.scoped(
        SessionStore,
        Effect.flatMap(FileDriver.make(stateDir), (driver) => StoreEngine.make(driver, storeOptions))
      ).pipe(Layer.provide([NodeFileSystem.layer, NodePath.layer]))
    )
  )

describe("SessionStoreFile", () => {
  it.effect("keeps to itself: files 0600, directory 0700, no other file left behind", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* StateDir
      const { sessionId } = yield* (yield* SessionStore).accept(main, said("x"))
      const mode = (path: string) => Effect.map(fs.stat(path), (info) => info.mode & 0o777)
      expect(yield* mode(directory)).toBe(0o700)
      expect((yield* fs.readDirectory(directory)).toSorted()).toEqual(
        [`${sessionId}.jsonl`, "lock", "sessions.json"].toSorted()
      )
      expect(yield* mode(`${directory}/lock`)).toBe(0o600)
      expect(yield* mode(`${directory}/sessions.json`)).toBe(0o600)
      expect(yield* mode(`${directory}/${sessionId}.jsonl`)).toBe(0o600)
    }).pipe(Effect.provide(layerFile))
  )

  it.effect("makes each thing durable before the next depends on it", () =>
    Effect.gen(function* () {
      const faults = yield* FaultyFileSystem
      const { sessionId } = yield* (yield* SessionStore).accept(main, said("x"))
      const transcript = `${sessionId}.jsonl`
      const order = (yield* faults.steps)
        .filter(({ step }) => step === "write" || step === "sync" || step === "rename")
        .map(({ name, step }) => `${step} ${name}`)
      expect(order).toEqual([
        `write ${transcript}`,
        `sync ${transcript}`,
        "sync state",
        "write sessions.json.tmp",
        "sync sessions.json.tmp",
        "rename sessions.json",
        "sync state"
      ])
    }).pipe(Effect.provide(layerFile))
  )

  it.effect("what was accepted is there after a restart", () =>
    Effect.gen(function* () {
      yield* (yield* SessionStore).accept(main, said("one"))
      expect(yield* afterRestart(history())).toEqual(["one"])
      yield* afterRestart(Effect.flatMap(SessionStore, (store) => store.accept(main, said("two"))))
      // And what the other one wrote is seen by the first.
      yield* (yield* SessionStore).accept(main, said("three"))
      expect(yield* history()).toEqual(["one", "two", "three"])
    }).pipe(Effect.provide(layerFile))
  )

  describe("a failing disk", () => {
    const steps: ReadonlyArray<readonly [Step, RegExp]> = [
      ["open", /\.jsonl$/],
      ["write", /\.jsonl$/],
      ["sync", /\.jsonl$/],
      ["open", /\.tmp$/],
      ["write", /\.tmp$/],
      ["utimes", /\.tmp$/],
      ["sync", /\.tmp$/],
      ["rename", /sessions\.json$/],
      ["sync", /^state$/],
      ["open", /^state$/]
    ]
    for (const [step, name] of steps) {
      for (const session of ["new", "old"] as const) {
        // A transcript that is kept open is not opened again.
        if (step === "open" && name.source.includes("jsonl") && session === "old") continue
        it.effect(`${step} of ${name.source} fails: nothing is seen of a send to a ${session} session`, () =>
          Effect.gen(function* () {
            const store = yield* SessionStore
            const probe = yield* StoreProbe
            const faults = yield* FaultyFileSystem
            if (session === "old") yield* store.accept(main, said("one"))
            yield* store.accept(key("other"), said("x"))
            yield* TestClock.adjust("1 second")
            const index = yield* probe.index
            const transcripts = yield* probe.transcripts
            yield* faults.fail(step, name)
            const result = yield* Effect.either(store.accept(main, said("lost")))
            expect(Either.flip(result)).toMatchObject(Either.right({ operation: "write", reason: "ENOSPC" }))
            expect(yield* probe.index).toEqual(index)
            expect(yield* probe.transcripts).toEqual(transcripts)
            expect(yield* history()).toEqual(session === "old" ? ["one"] : [])
            expect(yield* afterRestart(history())).toEqual(session === "old" ? ["one"] : [])
            yield* store.accept(main, said("two"))
            expect(yield* afterRestart(history())).toEqual(session === "old" ? ["one", "two"] : ["two"])
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
      }).pipe(Effect.provide(layerFile))
    )

    it.effect("a state directory that went away fails sends, and works again when it is back", () =>
      Effect.gen(function* () {
        const store = yield* SessionStore
        const fs = yield* FileSystem.FileSystem
        const directory = yield* StateDir
        yield* store.accept(main, said("one"))
        yield* fs.rename(directory, `${directory}-away`)
        expect(yield* Effect.flip(store.accept(key("new"), said("lost")))).toMatchObject({ reason: "ENOENT" })
        yield* fs.rename(`${directory}-away`, directory)
        yield* store.accept(main, said("two"))
        expect(yield* afterRestart(history())).toEqual(["one", "two"])
        expect(yield* afterRestart(history(key("new")))).toEqual([])
      }).pipe(Effect.provide(layerFile))
    )
  })

  describe("what is not yet durable", () => {
    it.effect("is not seen by history or get", () =>
      Effect.gen(function* () {
        const store = yield* SessionStore
        const faults = yield* FaultyFileSystem
        const first = yield* store.accept(main, said("one"))
        yield* TestClock.adjust("1 second")
        const reached = yield* Deferred.make<void>()
        const go = yield* Deferred.make<void>()
        yield* faults.setHook(({ name, step }) =>
          step === "rename" && name === "sessions.json"
            ? Effect.zipRight(Deferred.succeed(reached, undefined), Deferred.await(go))
            : Effect.void
        )
        const sending = yield* Effect.fork(store.accept(main, said("two")))
        yield* Deferred.await(reached)
        expect(yield* history()).toEqual(["one"])
        expect(Option.map(yield* store.get(main), ({ updatedAt }) => updatedAt)).toEqual(
          Option.some(first.entry.updatedAt)
        )
        yield* Deferred.succeed(go, undefined)
        yield* Fiber.join(sending)
        expect(yield* history()).toEqual(["one", "two"])
      }).pipe(Effect.provide(layerFile))
    )
  })

  describe("what may yet be taken back", () => {
    it.effect("is not seen by a get that comes between the rename and its fsync", () =>
      Effect.gen(function* () {
        const store = yield* SessionStore
        const faults = yield* FaultyFileSystem
        const first = yield* store.accept(main, said("one"))
        yield* TestClock.adjust("1 second")
        const reached = yield* Deferred.make<void>()
        const go = yield* Deferred.make<void>()
        yield* faults.setHook(({ name, step }) =>
          step === "sync" && name === "state"
            ? Effect.zipRight(
                Deferred.succeed(reached, undefined),
                Effect.zipRight(Deferred.await(go), Effect.fail(noSpace("sync")))
              )
            : Effect.void
        )
        const sending = yield* Effect.fork(Effect.flip(store.accept(main, said("two"))))
        yield* Deferred.await(reached)
        const got = yield* Deferred.make<void>()
        const reading = yield* Effect.fork(
          store.get(main).pipe(Effect.tap(() => Deferred.succeed(got, undefined)))
        )
        // Time enough for a read that does not wait.
        yield* Effect.repeatN(Effect.orDie(afterRestart(Effect.void)), 20)
        yield* Deferred.succeed(go, undefined)
        yield* Fiber.join(sending)
        const entry = Option.getOrThrow(yield* Fiber.join(reading))
        expect(entry.updatedAt).toBe(first.entry.updatedAt)
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

    it.effect("an edit made while we write the index is kept", () =>
      Effect.gen(function* () {
        const store = yield* SessionStore
        const probe = yield* StoreProbe
        const { sessionId } = yield* store.accept(main, said("one"))
        yield* once(
          ({ name, step }) => step === "sync" && name.endsWith(".tmp"),
          probe.setIndex(JSON.stringify({ [main]: { sessionId, lastTo: "them" }, theirs: 1 }))
        )
        yield* TestClock.adjust("1 second")
        const { entry } = yield* store.accept(main, said("two"))
        expect(entry.raw).toEqual({ sessionId, lastTo: "them", updatedAt: 1000 })
        expect(JSON.parse(Option.getOrThrow(yield* probe.index))).toEqual({ [main]: entry.raw, theirs: 1 })
      }).pipe(Effect.provide(layerFile))
    )

    it.effect("a session that is exchanged while we write gets the message, and the old one does not", () =>
      Effect.gen(function* () {
        const store = yield* SessionStore
        const probe = yield* StoreProbe
        const old = yield* store.accept(main, said("one"))
        yield* once(
          ({ name, step }) => step === "sync" && name.endsWith(".jsonl"),
          probe.setIndex(JSON.stringify({ [main]: { sessionId: "fresh" } }))
        )
        const accepted = yield* store.accept(main, said("two"))
        expect(accepted.sessionId).toBe("fresh")
        expect(yield* history()).toEqual(["two"])
        expect((yield* probe.transcripts).get(`${old.sessionId}.jsonl`)).not.toContain("two")
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
