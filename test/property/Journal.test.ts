/**
 * A compacted journal says what the whole one said: for random lives of runs, also with lines behind it that say again what
 * it says already, as they are there when runs went on while it was written.
 */
import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc, Option } from "effect"
import { MessageId, RunId } from "../../src/domain/Ids.js"
import type { JournalRecord } from "../../src/journal/JournalRecord.js"
import * as Record from "../../src/journal/JournalRecord.js"
import { JournalState } from "../../src/journal/JournalState.js"
import { endOf, entryOf, runOf } from "../journal/Records.js"

const step = fc.record({
  what: fc.constantFrom(
    ...["accepted", "accepted", "message", "started", "text", "text", "ended", "ended", "answered"],
    ...["told", "withdrawn", "again", "checkpoint", "blank", "aborting", "life"]
  ),
  run: fc.integer({ min: 0, max: 3 }),
  at: fc.nat(6),
  text: fc.string({ maxLength: 4 })
})
type Step = typeof step extends fc.Arbitrary<infer A> ? A : never

/** The records of a journal in which that happens, as far as it can. */
const recordsOf = (steps: ReadonlyArray<Step>): ReadonlyArray<JournalRecord> => {
  const records: Array<JournalRecord> = []
  const state = new JournalState()
  /** Messages that may still be withdrawn. */
  let fresh: Array<MessageId> = []
  /** The answer that a run has ended with. */
  const answers = new Map<RunId, MessageId>()
  for (const [n, { at, run, text, what }] of steps.entries()) {
    const id = `r${run}`
    const runId = RunId(id)
    const open = state.open.get(runId)
    const add = (record: JournalRecord): void => {
      records.push(record)
      state.apply(record)
    }
    const entry = { ...entryOf(id), id: MessageId(`m${n}`) }
    const outcome =
      at % 3 === 0
        ? ({ _tag: "Final" } as const)
        : at % 3 === 1
          ? ({ _tag: "Aborted", stopReason: "rpc" } as const)
          : ({ _tag: "Error", message: text, details: { code: "X", n } } as const)
    const end = endOf(id, outcome, n)
    switch (what) {
      case "accepted":
        // A key that has its answer is free again only when its time is over.
        if (open !== undefined || (state.settled.get(runId) !== undefined && at > 0)) break
        // The answer of then was written, or withdrawn, long ago.
        fresh = fresh.filter((message) => message !== answers.get(runId))
        answers.delete(runId)
        add({ type: "accepted", run: { ...runOf(id), acceptedAt: n }, entry })
        fresh.push(entry.id)
        break
      case "message":
        add({ type: "message", entry })
        fresh.push(entry.id)
        break
      case "started":
        if (open !== undefined) add({ type: "started", runId, at: n })
        break
      case "text":
        if (open !== undefined) add({ type: "text", runId, from: Math.min(at, open.text.length), text })
        break
      case "ended":
        add(open === undefined ? { type: "ended", end, run: runOf(id) } : { type: "ended", end })
        // A gateway says so behind the withdrawal of an answer, never before it.
        fresh = fresh.filter((message) => message !== answers.get(runId))
        break
      case "answered":
        if (open === undefined) break
        add({ type: "ended", end, entry })
        answers.set(runId, entry.id)
        fresh.push(entry.id)
        break
      case "aborting":
        // One that comes before its run is accepted, too; not one of a run that is over.
        if (open !== undefined || state.settled.get(runId) === undefined)
          add({ type: "aborting", runId, reason: "rpc" })
        break
      case "life":
        add({ type: "life", epoch: `e${n}` })
        break
      case "told":
        add({ type: "told", runId, pos: n })
        break
      case "withdrawn": {
        const last = fresh.at(-1)
        if (last === undefined) break
        fresh.pop()
        const answered = Array.from(answers).find(([, message]) => message === last)?.[0]
        const aborted = Array.from(state.open.values()).find(
          ({ aborting, entry }) => entry.id === last && aborting !== undefined
        )?.run
        add({ type: "withdrawn", id: last })
        // A gateway ends such a run at once, without a message.
        if (answered !== undefined) add({ type: "ended", end: endOf(answered, outcome, n) })
        if (aborted !== undefined) add({ type: "ended", end: endOf(aborted.runId, outcome, n), run: aborted })
        break
      }
      case "again": {
        const last = records.at(-1)
        if (last !== undefined) add(last)
        break
      }
      case "checkpoint":
        fresh = []
        add({ type: "checkpoint" })
        break
      case "blank":
        add({ type: "blank" })
        break
    }
  }
  return records
}

const replay = (records: Iterable<JournalRecord>): JournalState => {
  const state = new JournalState()
  // As they are in the file.
  for (const record of records) state.apply(Option.getOrThrow(Record.decode(Record.encode(record))))
  return state
}

const shape = (state: JournalState) => ({
  open: Array.from(state.open.values()),
  lives: state.lives,
  settled: Array.from(state.settled.entries()),
  entries: Array.from(state.entries.values())
})

const options = { numRuns: 2000 }

describe("a journal", () => {
  it("that is compacted says the same", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const whole = replay(recordsOf(steps))
        expect(shape(replay(whole.snapshot(whole.entries)))).toEqual(shape(whole))
      }),
      options
    )
  })

  it("that is compacted says the same with any number of its last lines behind it", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.nat(40), (steps, back) => {
        const records = recordsOf(steps)
        const whole = replay(records)
        const suffix = records.slice(Math.max(0, records.length - back))
        expect(shape(replay([...whole.snapshot(whole.entries), ...suffix]))).toEqual(shape(whole))
      }),
      options
    )
  })

  it("goes on behind its compaction as it would have without one", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.nat(60), fc.nat(10), (steps, cut, back) => {
        const records = recordsOf(steps)
        const at = Math.min(cut, records.length)
        const before = replay(records.slice(0, at))
        const compacted = [...before.snapshot(before.entries), ...records.slice(Math.max(0, at - back))]
        expect(shape(replay(compacted))).toEqual(shape(replay(records)))
      }),
      options
    )
  })
})
