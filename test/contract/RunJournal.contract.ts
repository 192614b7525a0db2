/** What the run journal must do, over every implementation of the log. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, type Layer, Option, type Scope, TestClock } from "effect"
import { MessageId, RunId } from "../../src/domain/Ids.js"
import { SessionStoreError } from "../../src/domain/SessionError.js"
import * as LogLine from "../../src/journal/LogLine.js"
import * as RunJournal from "../../src/journal/RunJournal.js"
import { answer, endOf, note, runOf, send } from "../journal/Records.js"
import { LogProbe, type LogProbeShape } from "./LogProbe.js"

/** How many tests share what takes long on a disk. */
const parts = 24

const full = new SessionStoreError({ operation: "write", subject: "a transcript", reason: "ENOSPC" })

const ids = (count: number, prefix = "r"): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, at) => `${prefix}${at}`)

/** The journal of a gateway that is started on a log. */
const openOn = (log: LogProbeShape, options: Partial<RunJournal.Options> = {}) =>
  Effect.flatMap(log.driver, (driver) => RunJournal.open({ driver, store: Effect.void, ...options }))

const open = (options?: Partial<RunJournal.Options>) =>
  Effect.flatMap(LogProbe, (log) => openOn(log, options))

/** What a gateway finds that is started on a copy of a log, as it is at this moment. */
const found = (log: LogProbeShape) =>
  Effect.gen(function* () {
    const next = yield* log.restore(yield* log.bytes)
    const { journal, messages } = yield* openOn(next)
    return {
      unfinished: journal.unfinished.map(({ run }) => String(run.runId)),
      messages: messages.found.map(({ message }) => textOf(message)),
      journal,
      aside: yield* next.aside
    }
  }).pipe(Effect.scoped)

const textOf = (message: { readonly [field: string]: unknown }): string => {
  const { content } = message
  return Array.isArray(content) ? String(content[0]?.text) : "?"
}

const commitEach = (messages: RunJournal.MessageJournal, names: ReadonlyArray<string>) =>
  Effect.forEach(names, (id) => Effect.either(messages.commit([send(id)])), { concurrency: "unbounded" })

export const contract = (name: string, layer: Layer.Layer<LogProbe>): void => {
  const test = (title: string, body: () => Effect.Effect<void, unknown, LogProbe | Scope.Scope>) =>
    it.scoped(title, () => Effect.provide(body(), layer))

  describe(`RunJournal (${name})`, () => {
    describe("what was committed", () => {
      test("is found at the next start, in its order", () =>
        Effect.gen(function* () {
          const log = yield* LogProbe
          const { journal, messages } = yield* open()
          expect(journal).toMatchObject({ unfinished: [], ended: [] })
          yield* messages.commit([send("queued")])
          yield* messages.commit([send("started"), note("noted")])
          yield* journal.started(RunId("started"), 5)
          yield* messages.commit([send("ended")])
          yield* messages.commit([answer("ended")])
          yield* messages.commit([send("aborted")])
          yield* journal.ending(endOf("aborted", { _tag: "Aborted", stopReason: "rpc" }), runOf("aborted"))
          const after = yield* found(log)
          expect(after.unfinished).toEqual(["queued", "started"])
          expect(after.journal.unfinished.map(({ startedAt }) => startedAt)).toEqual([undefined, 5])
          expect(after.journal.unfinished[0]?.run).toEqual(runOf("queued"))
          expect(after.messages).toEqual([
            "queued",
            "started",
            "noted",
            "ended",
            "answer of ended",
            "aborted"
          ])
          expect(after.journal.ended.map(({ end, text }) => [end, text])).toEqual([
            [endOf("ended"), "answer of ended"],
            [endOf("aborted", { _tag: "Aborted", stopReason: "rpc" }), ""]
          ])
          for (const settled of [journal.settled, after.journal.settled]) {
            expect(settled(RunId("ended"))).toEqual({
              fingerprint: "of ended",
              principal: "operator",
              outcome: { _tag: "Final" },
              at: 2
            })
            expect(settled(RunId("aborted"))?.outcome).toEqual({ _tag: "Aborted", stopReason: "rpc" })
            expect(settled(RunId("queued"))).toBeUndefined()
          }
        }))

      test("is found life after life, after crashes and orderly ends", () =>
        Effect.gen(function* () {
          let log: LogProbeShape = yield* LogProbe
          for (const [at, id] of ids(6).entries()) {
            yield* Effect.scoped(
              Effect.gen(function* () {
                const { journal, messages } = yield* openOn(log)
                expect(journal.unfinished.map(({ run }) => run.runId)).toEqual(ids(at))
                yield* messages.commit([send(id)])
              })
            )
            if (at % 2 === 0) log = yield* log.restore(yield* log.bytes)
          }
        }))

      test("a run that was never accepted has its answer all the same, when it was aborted meanwhile", () =>
        Effect.gen(function* () {
          const { journal } = yield* open()
          yield* journal.ending(endOf("r", { _tag: "Aborted", stopReason: "rpc" }), runOf("r"))
          const after = yield* found(yield* LogProbe)
          expect(after.unfinished).toEqual([])
          expect(after.journal.settled(RunId("r"))?.fingerprint).toBe("of r")
        }))

      test("a message that was withdrawn is not found, nor is its run", () =>
        Effect.gen(function* () {
          const log = yield* LogProbe
          const { messages } = yield* open()
          yield* messages.commit([send("kept"), send("lost"), note("noted")])
          yield* messages.withdraw([MessageId("m-lost"), MessageId("m-noted")])
          // At once: its sender may be told now that it was refused.
          const after = yield* found(log)
          expect(after.unfinished).toEqual(["kept"])
          expect(after.messages).toEqual(["kept"])
        }))

      test("an end whose answer was withdrawn is no end, also behind a compaction", () =>
        Effect.gen(function* () {
          const log = yield* LogProbe
          const { journal, messages } = yield* open({ compactAbove: 1 })
          yield* messages.commit([send("r")])
          yield* journal.started(RunId("r"), 5)
          yield* journal.keepText(RunId("r"), 0, "so far")
          yield* messages.commit([answer("r")])
          expect(journal.settled(RunId("r"))).toBeDefined()
          yield* messages.commit([send("next")])
          yield* messages.withdraw([MessageId("m-answer of r")])
          expect(journal.settled(RunId("r"))).toBeUndefined()
          const after = yield* found(log)
          expect(after.journal.settled(RunId("r"))).toBeUndefined()
          expect(after.journal.ended).toEqual([])
          expect(after.messages).toEqual(["r", "next"])
          expect(after.journal.unfinished.find(({ run }) => run.runId === "r")).toMatchObject({
            startedAt: 5,
            text: "so far"
          })
        }))

      test("is not asked for again once it is stored for good", () =>
        Effect.gen(function* () {
          const log = yield* LogProbe
          let stored = 0
          const { messages } = yield* open({ store: Effect.sync(() => void stored++) })
          yield* messages.commit([send("one"), send("two")])
          messages.applied([MessageId("m-one")])
          yield* messages.checkpoint
          // One of them is still under way.
          expect((yield* found(log)).messages).toEqual(["one", "two"])
          messages.applied([MessageId("m-two")])
          yield* messages.checkpoint
          expect(stored).toBe(2)
          const after = yield* found(log)
          expect(after.messages).toEqual([])
          expect(after.unfinished).toEqual(["one", "two"])
        }))

      test("stays asked for when it can't be stored", () =>
        Effect.gen(function* () {
          const { messages } = yield* open({
            store: Effect.fail(full)
          })
          yield* messages.commit([send("one")])
          messages.applied([MessageId("m-one")])
          expect(yield* Effect.flip(messages.checkpoint)).toBe(full)
          expect((yield* found(yield* LogProbe)).messages).toEqual(["one"])
        }))
    })

    describe("group commit", () => {
      test("many that wait share a write, and keep the order in which they came", () =>
        Effect.gen(function* () {
          const log = yield* LogProbe
          const { messages } = yield* open()
          const names = ids(100)
          yield* commitEach(messages, names)
          expect(yield* log.writes).toBeLessThan(10)
          const after = yield* found(log)
          expect(after.unfinished).toEqual(names)
          expect(after.messages).toEqual(names)
        }))

      test("all who share a write that fails are refused, and nothing of them is found; the next one works", () =>
        Effect.gen(function* () {
          const log = yield* LogProbe
          const { journal, messages } = yield* open()
          yield* messages.commit([send("before")])
          yield* log.failWrites(1)
          const names = ids(20)
          const results = yield* commitEach(messages, names)
          const taken = names.filter((_, at) => results[at] !== undefined && Either.isRight(results[at]))
          expect(taken.length).toBeLessThan(names.length - 1)
          expect((yield* found(log)).unfinished).toEqual(["before", ...taken])
          expect(names.filter((id) => journal.settled(RunId(id)) !== undefined)).toEqual([])
          yield* messages.commit([send("after")])
          expect(yield* messages.problem).toEqual(Option.none())
          const after = yield* found(log)
          expect(after.unfinished).toEqual(["before", ...taken, "after"])
          expect(after.messages).toEqual(["before", ...taken, "after"])
          expect(after.aside).toBe("")
        }))
    })

    describe("notes", () => {
      test("come with the next commit, before it", () =>
        Effect.gen(function* () {
          const log = yield* LogProbe
          const { journal, messages } = yield* open()
          yield* messages.commit([send("r")])
          yield* journal.started(RunId("r"), 1)
          expect(yield* journal.keepText(RunId("r"), 0, "Hello")).toBe(true)
          expect(yield* journal.keepText(RunId("r"), 5, ", world")).toBe(true)
          yield* messages.commit([send("next")])
          expect((yield* found(log)).journal.unfinished[0]?.text).toBe("Hello, world")
          yield* journal.keepText(RunId("r"), 0, "Anew")
          yield* messages.commit([answer("next")])
          yield* journal.told(RunId("next"), 77)
          yield* messages.commit([send("last")])
          const after = yield* found(log)
          expect(after.journal.unfinished.map(({ text }) => text)).toEqual(["Anew", ""])
          expect(after.journal.ended.map(({ toldAt }) => toldAt)).toEqual([77])
        }))

      test("are written by themselves soon", () =>
        Effect.gen(function* () {
          const log = yield* LogProbe
          const { journal, messages } = yield* open()
          yield* messages.commit([send("r")])
          yield* journal.started(RunId("r"), 1)
          const writes = yield* log.writes
          yield* journal.keepText(RunId("r"), 0, "Hello")
          yield* TestClock.adjust(50)
          yield* log.tried(writes + 1)
          expect((yield* found(log)).journal.unfinished[0]?.text).toBe("Hello")
        }))

      test("are written at the end", () =>
        Effect.gen(function* () {
          const log = yield* LogProbe
          yield* Effect.scoped(
            Effect.gen(function* () {
              const { journal, messages } = yield* open()
              yield* messages.commit([send("r")])
              yield* journal.endAnyway(endOf("r"), runOf("r"))
            })
          )
          const after = yield* found(log)
          expect(after.unfinished).toEqual([])
          expect(after.journal.settled(RunId("r"))?.outcome).toEqual({ _tag: "Final" })
        }))

      test("are tried again until they are written; meanwhile there is a problem, and nothing more is kept of answers", () =>
        Effect.gen(function* () {
          const log = yield* LogProbe
          const { journal, messages } = yield* open()
          yield* messages.commit([send("r"), send("s")])
          yield* journal.keepText(RunId("s"), 0, "kept")
          const before = yield* log.writes
          yield* log.failWrites(4)
          expect(yield* Effect.flip(journal.ending(endOf("r"), runOf("r")))).toMatchObject({
            reason: "ENOSPC"
          })
          yield* journal.endAnyway(endOf("r"), runOf("r"))
          expect(journal.settled(RunId("r"))?.outcome).toEqual({ _tag: "Final" })
          expect(Option.isSome(yield* messages.problem)).toBe(true)
          expect(yield* journal.keepText(RunId("s"), 4, " and lost")).toBe(false)
          for (const attempt of [2, 3, 4, 5]) {
            yield* TestClock.adjust("1 second")
            yield* log.tried(before + attempt)
          }
          yield* TestClock.adjust(0)
          expect(yield* messages.problem).toEqual(Option.none())
          const after = yield* found(log)
          expect(after.unfinished).toEqual(["s"])
          expect(after.journal.unfinished[0]?.text).toBe("kept")
          expect(after.journal.settled(RunId("r"))?.outcome).toEqual({ _tag: "Final" })
        }))

      test("a disk that is back is noticed also when nobody sends", () =>
        Effect.gen(function* () {
          const log = yield* LogProbe
          const { messages } = yield* open()
          yield* messages.commit([send("r")])
          const before = yield* log.writes
          yield* log.failWrites(1)
          yield* Effect.flip(messages.commit([send("lost")]))
          yield* TestClock.adjust("1 second")
          yield* log.tried(before + 2)
          yield* TestClock.adjust(0)
          expect(yield* messages.problem).toEqual(Option.none())
          expect((yield* found(log)).unfinished).toEqual(["r"])
        }))
    })

    describe("keys", () => {
      test("are forgotten when their time is over, at the next start too", () =>
        Effect.gen(function* () {
          const log = yield* LogProbe
          const { journal, messages } = yield* open()
          for (const [at, id] of ids(3).entries()) {
            yield* messages.commit([send(id)])
            yield* journal.ending(endOf(id, { _tag: "Final" }, 100 * at), runOf(id))
          }
          journal.forget(100)
          expect(ids(3).map((id) => journal.settled(RunId(id)) !== undefined)).toEqual([false, true, true])
          const after = yield* found(log)
          after.journal.forget(101)
          expect(ids(3).map((id) => after.journal.settled(RunId(id)) !== undefined)).toEqual([
            false,
            false,
            true
          ])
        }))

      test("one that is free again can be used again", () =>
        Effect.gen(function* () {
          const log = yield* LogProbe
          const { journal, messages } = yield* open()
          yield* messages.commit([send("r")])
          yield* messages.commit([answer("r")])
          journal.forget(1000)
          yield* messages.commit([send("r")])
          const after = yield* found(log)
          expect(after.unfinished).toEqual(["r"])
          expect(after.journal.settled(RunId("r"))).toBeUndefined()
        }))
    })

    describe("compaction", () => {
      /** A run from its beginning to its end, after which nobody asks for it. */
      const live = (
        { journal, messages }: RunJournal.Opened,
        id: string,
        at: number
      ): Effect.Effect<void, SessionStoreError> =>
        Effect.gen(function* () {
          yield* messages.commit([send(id)])
          messages.applied([MessageId(`m-${id}`)])
          yield* journal.started(RunId(id), at)
          yield* messages.commit([{ ...answer(id), end: endOf(id, { _tag: "Final" }, at) }])
          messages.applied([MessageId(`m-answer of ${id}`)])
        })

      test("keeps the log bounded while commits go on, and loses nothing", () =>
        Effect.gen(function* () {
          const log = yield* LogProbe
          const opened = yield* open({ compactAbove: 4096 })
          const { journal, messages } = opened
          yield* messages.commit([send("open")])
          yield* journal.keepText(RunId("open"), 0, "so far")
          let largest = 0
          for (let round = 0; round < 60; round++) {
            yield* Effect.forEach(ids(8, `${round}-`), (id) => live(opened, id, round), {
              concurrency: "unbounded"
            })
            // Only the newest rounds are remembered.
            journal.forget(round - 2)
            largest = Math.max(largest, (yield* log.bytes).length)
          }
          // 60 rounds are some 500 kB.
          expect(largest).toBeLessThan(64 * 1024)
          const after = yield* found(log)
          expect(after.unfinished).toEqual(["open"])
          expect(after.journal.unfinished[0]?.text).toBe("so far")
          expect(after.messages).toContain("open")
          expect(after.aside).toBe("")
          for (const round of [58, 59]) {
            for (const id of ids(8, `${round}-`))
              expect(after.journal.settled(RunId(id))?.outcome).toEqual({ _tag: "Final" })
          }
        }))

      test("runs that end while it is under way keep their answers", () =>
        Effect.gen(function* () {
          const log = yield* LogProbe
          const opened = yield* open({ compactAbove: 512 })
          const names = ids(200)
          yield* Effect.forEach(names, (id) => live(opened, id, 1), { concurrency: 20, discard: true })
          const after = yield* found(log)
          expect(after.unfinished).toEqual([])
          expect(names.filter((id) => after.journal.settled(RunId(id)) === undefined)).toEqual([])
        }))

      test("one that fails changes nothing; a later one works", () =>
        Effect.gen(function* () {
          const log = yield* LogProbe
          const opened = yield* open({ compactAbove: 2048 })
          yield* log.failCompactions(3)
          const names = ids(100)
          for (const id of names) yield* live(opened, id, 1)
          // 100 runs are some 90 kB.
          expect((yield* log.bytes).length).toBeLessThan(32 * 1024)
          expect(yield* opened.messages.problem).toEqual(Option.none())
          const after = yield* found(log)
          expect(names.filter((id) => after.journal.settled(RunId(id)) === undefined)).toEqual([])
        }))

      test("waits for what it is to forget to be stored: as long as that fails, nothing is forgotten", () =>
        Effect.gen(function* () {
          const log = yield* LogProbe
          const opened = yield* open({ compactAbove: 1024, store: Effect.fail(full) })
          const names = ids(30)
          for (const id of names) yield* live(opened, id, 1)
          const after = yield* found(log)
          expect(after.messages).toEqual(names.flatMap((id) => [id, `answer of ${id}`]))
        }))
    })

    describe("a damaged log", () => {
      /** A log with three runs, and where its last line begins. */
      const three = Effect.gen(function* () {
        const log = yield* LogProbe
        yield* Effect.scoped(
          Effect.gen(function* () {
            const { messages } = yield* openOn(log)
            for (const id of ids(3)) yield* messages.commit([send(id)])
          })
        )
        const bytes = yield* log.bytes
        return { log, bytes, last: bytes.lastIndexOf("\n", bytes.length - 2) + 1 }
      })

      /** Starts on it, goes on, and starts again. */
      const goOn = (log: LogProbeShape, bytes: Uint8Array, kept: ReadonlyArray<string>, torn: Buffer) =>
        Effect.gen(function* () {
          const damaged = yield* log.restore(bytes)
          yield* Effect.scoped(
            Effect.gen(function* () {
              const { journal, messages } = yield* openOn(damaged)
              expect(journal.unfinished.map(({ run }) => run.runId)).toEqual(kept)
              expect(messages.found.map(({ message }) => textOf(message))).toEqual(kept)
              yield* messages.commit([send("next")])
            })
          )
          const aside = Buffer.from(yield* damaged.aside)
          const line =
            torn.length === 0 || torn.at(-1) === 0x0a ? torn : Buffer.concat([torn, Buffer.from("\n")])
          expect(aside.equals(Buffer.from(line.toString("utf8")))).toBe(true)
          const after = yield* found(damaged)
          expect(after.unfinished).toEqual([...kept, "next"])
          // Nothing is left that could not be read.
          expect(after.aside).toBe("")
        }).pipe(Effect.scoped)

      // In parts, so that none takes long.
      for (const part of ids(parts, "")) {
        const mine = (at: number) => at % parts === Number(part)

        test(`cut off at every byte of its last line: nothing before is lost, and what comes after is read (${part})`, () =>
          Effect.gen(function* () {
            const { bytes, last, log } = yield* three
            for (let cut = last; cut < bytes.length; cut++)
              if (mine(cut)) yield* goOn(log, bytes.subarray(0, cut), ids(2), bytes.subarray(last, cut))
          }))

        test(`with a wrong bit in any byte of its last line (${part})`, () =>
          Effect.gen(function* () {
            const { bytes, last, log } = yield* three
            for (let at = last; at < bytes.length; at++) {
              if (!mine(at)) continue
              const wrong = Buffer.from(bytes)
              wrong[at] = (wrong[at] ?? 0) ^ 0x01
              yield* goOn(log, wrong, ids(2), wrong.subarray(last))
            }
          }))
      }

      test("with garbage behind it", () =>
        Effect.gen(function* () {
          const { bytes, log } = yield* three
          for (const garbage of [
            "\u0000".repeat(512),
            "{",
            "no line\nnor this\n",
            "\n",
            "\n\n{}\n",
            "00000000 {}\n"
          ]) {
            const torn = Buffer.from(garbage)
            yield* goOn(log, Buffer.concat([bytes, torn]), ids(3), torn)
          }
        }))

      test("with a damaged line in the middle: those before and behind it are there", () =>
        Effect.gen(function* () {
          const { bytes, log } = yield* three
          const lines = bytes.toString().split("\n")
          const index = lines.findIndex((line) => line.includes(`"r1"`))
          const wrong = lines.with(index, lines[index]?.replace("main", "niam") ?? "")
          yield* goOn(
            log,
            Buffer.from(wrong.join("\n")),
            ["r0", "r2"],
            Buffer.from(`${wrong[index] ?? ""}\n`)
          )
        }))

      test("with lines of a newer version: they are no reason not to start", () =>
        Effect.gen(function* () {
          const log = yield* LogProbe
          const driver = yield* log.driver
          yield* driver.append(Buffer.from(LogLine.encode(`{"type":"journal","version":1}`)))
          yield* driver.append(Buffer.from(LogLine.encode(`{"type":"hologram","of":[1]}`)))
          const { messages } = yield* open()
          yield* messages.commit([send("r")])
          expect((yield* found(log)).unfinished).toEqual(["r"])
        }))
    })
  })
}
