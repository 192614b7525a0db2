/**
 * The store in files under every step of the file system that a conversation needs: a crash there, and a failure there. Who
 * was told yes is there afterwards, exactly once; who was told no is not; nobody is there in part.
 */
import { FileSystem } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Layer, Option, type Scope, TestClock } from "effect"
import { RunId } from "../../src/domain/Ids.js"
import { isImageReference, type Message, text } from "../../src/domain/Message.js"
import { main as mainKey } from "../../src/domain/SessionKey.js"
import * as FileDriver from "../../src/session/FileDriver.js"
import * as StoreEngine from "../../src/session/StoreEngine.js"
import * as Faulty from "../../src/testing/FaultyFileSystem.js"
import { FaultyFileSystem } from "../../src/testing/FaultyFileSystem.js"
import { sessionKeyDefaults, storeOptions } from "../contract/StoreProbe.js"
import { endOf, runOf } from "../journal/Records.js"
import { content, png } from "../support/Pictures.js"
import * as Restart from "../support/Restart.js"

const main = mainKey(sessionKeyDefaults)
const faulty = Layer.mergeAll(Layer.provideMerge(Faulty.layer, NodeFileSystem.layer), NodePath.layer)

/** How many tests share the steps. */
const parts = 4

type Session = "new" | "old"

/** A question with an image. */
const asked = (words: string): Message => ({
  role: "user",
  content: [{ type: "text", text: words }, content(png)],
  timestamp: 1
})

const begin = (session: Session) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const stateDir = `${yield* fs.makeTempDirectoryScoped({ prefix: "colloquy-faults-" })}/state`
    const engine = yield* Effect.flatMap(FileDriver.make(stateDir, "fsync"), (driver) =>
      StoreEngine.make(driver, storeOptions)
    )
    if (session === "old") yield* engine.store.accept(main, asked("before"))
    yield* engine.store.flush
    return { ...engine, stateDir }
  })

/** A question and, when it was taken, its answer; who of them was told yes. */
const converse = ({ store }: StoreEngine.Engine, name: string) =>
  Effect.gen(function* () {
    const question = yield* Effect.either(store.accept(main, asked(`${name}?`), runOf(name)))
    if (Either.isLeft(question)) return []
    const answer = yield* Effect.either(store.append(main, text("assistant", `${name}!`, 1), endOf(name)))
    yield* Effect.ignore(store.flush)
    return Either.isLeft(answer) ? [`${name}?`] : [`${name}?`, `${name}!`]
  })

const historyOf = ({ store }: StoreEngine.Engine) =>
  Effect.map(store.history(main, { limit: 100, maxBytes: 1_000_000 }), ({ messages }) =>
    messages.map(({ content }) => (Array.isArray(content) ? String(content[0]?.text) : "?"))
  )

/** What is found by who starts behind it on a good disk. */
const startedBehind = (stateDir: string) =>
  Effect.gen(function* () {
    const engine = yield* Restart.open(stateDir)
    const { journal, store } = engine
    yield* store.flush
    const fs = yield* FileSystem.FileSystem
    const index: { readonly [key: string]: { readonly sessionId?: string } } = JSON.parse(
      yield* Effect.orElseSucceed(fs.readFileString(`${stateDir}/sessions.json`), () => "{}")
    )
    const transcripts = (yield* fs.readDirectory(stateDir)).filter((name) => name.endsWith(".jsonl"))
    const lines = yield* Effect.forEach(transcripts, (name) =>
      Effect.map(fs.readFileString(`${stateDir}/${name}`), (whole) => {
        // One that was only just made holds nothing.
        expect(whole === "" || whole.endsWith("\n")).toBe(true)
        return whole.split("\n").slice(0, -1)
      })
    )
    // No line in part, none merged with another one.
    for (const line of lines.flat()) JSON.parse(line)
    // Whose message is there, its image is.
    const { messages } = yield* store.history(main, { limit: 100, maxBytes: 1_000_000 })
    for (const reference of messages.flatMap(({ content }) => content).filter(isImageReference))
      expect(yield* store.image(reference)).toEqual(content(png))
    expect(Option.getOrUndefined(yield* store.get(main))?.sessionId).toBe(index[main]?.sessionId)
    return {
      history: yield* historyOf(engine),
      transcripts: transcripts.length,
      known: (run: string) =>
        journal.settled(RunId(run)) !== undefined
          ? "over"
          : journal.unfinished.some((open) => open.run.runId === run)
            ? "open"
            : "unknown"
    }
  }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))

const countSteps = (session: Session) =>
  Effect.gen(function* () {
    const engine = yield* begin(session)
    const faults = yield* FaultyFileSystem
    const before = (yield* faults.steps).length
    expect(yield* converse(engine, "r")).toEqual(["r?", "r!"])
    return (yield* faults.steps).length - before
  }).pipe(Effect.scoped, Effect.provide(faulty))

/** Tries each step of a part, each in a store of its own. */
const eachStep = <E>(
  session: Session,
  part: number,
  trial: (step: number) => Effect.Effect<void, E, Layer.Layer.Success<typeof faulty> | Scope.Scope>
) =>
  Effect.gen(function* () {
    const steps = yield* countSteps(session)
    expect(steps).toBeGreaterThan(15)
    // What is written behind may take a step more or less.
    for (let step = part; step < steps + 4; step += parts) {
      yield* trial(step).pipe(Effect.scoped, Effect.provide(faulty))
    }
  })

describe("the store in files", () => {
  for (const session of ["new", "old"] as const) {
    const before = session === "old" ? ["before"] : []

    for (let part = 0; part < parts; part++) {
      it.scoped(`a crash at any step of a conversation in a ${session} session (${part})`, () =>
        eachStep(session, part, (step) =>
          Effect.gen(function* () {
            const engine = yield* begin(session)
            const faults = yield* FaultyFileSystem
            yield* faults.inject({ after: step }, { harm: "crash", written: (step * 37) % 200 })
            const told = yield* converse(engine, "r")
            yield* faults.crash
            // Twice: what the first start has repaired the second one finds in order.
            for (const life of ["first", "second"]) {
              const found = yield* startedBehind(engine.stateDir)
              const rest = found.history.slice(before.length)
              expect([life, step, found.history.slice(0, before.length)]).toEqual([life, step, before])
              expect([life, step, ["r?", "r!"].filter((value) => rest.includes(value))]).toEqual([
                life,
                step,
                rest
              ])
              for (const value of told)
                expect([life, step, rest]).toEqual([life, step, expect.arrayContaining([value])])
              expect([life, step, found.known("r")]).toEqual([
                life,
                step,
                rest.includes("r!") ? "over" : rest.includes("r?") ? "open" : "unknown"
              ])
              expect(found.transcripts).toBeLessThanOrEqual(1)
            }
          })
        )
      )

      it.scoped(`a failure of any step of a conversation in a ${session} session (${part})`, () =>
        eachStep(session, part, (step) =>
          Effect.gen(function* () {
            const engine = yield* begin(session)
            const faults = yield* FaultyFileSystem
            yield* faults.inject({ after: step }, { harm: "fail" })
            const told = yield* converse(engine, "r")
            yield* faults.heal
            const expected = [...before, ...told]
            expect([step, yield* historyOf(engine)]).toEqual([step, expected])
            const left = yield* Restart.copyOf(engine.stateDir)
            const found = yield* startedBehind(left)
            expect([step, found.history]).toEqual([step, expected])
            expect([step, found.known("r")]).toEqual([
              step,
              told.includes("r!") ? "over" : told.includes("r?") ? "open" : "unknown"
            ])
            // Traffic goes on, with the same key when it was refused.
            const again = told.includes("r?") ? "s" : "r"
            yield* TestClock.adjust("3 seconds")
            expect([step, yield* converse(engine, again)]).toEqual([step, [`${again}?`, `${again}!`]])
            expect([step, yield* engine.store.problems]).toEqual([step, []])
            const after = yield* startedBehind(yield* Restart.copyOf(engine.stateDir))
            expect([step, after.history]).toEqual([step, [...expected, `${again}?`, `${again}!`]])
            expect([step, after.known(again)]).toEqual([step, "over"])
          })
        )
      )
    }
  }

  it.scoped("a disk that is full for a while refuses all, and forgets nobody who was told yes", () =>
    Effect.gen(function* () {
      const engine = yield* begin("old")
      const faults = yield* FaultyFileSystem
      const told: Array<string> = []
      for (const [at, name] of ["a", "b", "c", "d", "e", "f"].entries()) {
        if (at === 2) yield* faults.inject({ step: ["write", "sync"], count: 1_000_000 }, { harm: "fail" })
        if (at === 4) yield* faults.heal
        const taken = yield* converse(engine, name)
        expect(taken).toEqual(at === 2 || at === 3 ? [] : [`${name}?`, `${name}!`])
        told.push(...taken)
        expect((yield* engine.store.problems).length > 0).toBe(at === 2 || at === 3)
        yield* TestClock.adjust("1 second")
      }
      expect(yield* historyOf(engine)).toEqual(["before", ...told])
      expect((yield* startedBehind(yield* Restart.copyOf(engine.stateDir))).history).toEqual([
        "before",
        ...told
      ])
    }).pipe(Effect.provide(faulty))
  )

  it.scoped("renames of the index that a power cut takes back are made up for by the journal", () =>
    Effect.gen(function* () {
      const engine = yield* begin("new")
      const faults = yield* FaultyFileSystem
      yield* faults.inject({ step: "rename", name: /^sessions\.json/, count: 1_000_000 }, { harm: "lose" })
      expect(yield* converse(engine, "r")).toEqual(["r?", "r!"])
      yield* faults.crash
      const found = yield* startedBehind(engine.stateDir)
      expect(found.history).toEqual(["r?", "r!"])
      expect(found.known("r")).toBe("over")
    }).pipe(Effect.provide(faulty))
  )
})
