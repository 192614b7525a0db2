import { describe, expect, it } from "@effect/vitest"
import { MessageId, RunId, SessionId } from "../../src/domain/Ids.js"
import type { JournalRecord } from "../../src/journal/JournalRecord.js"
import { JournalState } from "../../src/journal/JournalState.js"
import { endOf, entryOf, runOf, removalOf } from "./Records.js"

const r = RunId("r")
const accepted: JournalRecord = { type: "accepted", run: runOf("r"), entry: entryOf("r") }
const started: JournalRecord = { type: "started", runId: r, at: 5 }
const says = (from: number, text: string): JournalRecord => ({ type: "text", runId: r, from, text })
const ended: JournalRecord = { type: "ended", end: endOf("r"), entry: entryOf("answer") }

const after = (...records: ReadonlyArray<JournalRecord>): JournalState => {
  const state = new JournalState()
  for (const record of records) state.apply(record)
  return state
}

/** What of it counts, in order. */
const shape = (state: JournalState) => ({
  open: Array.from(state.open.values(), ({ run, startedAt, text }) => [run.runId, startedAt, text]),
  settled: Array.from(state.settled.entries(), ([runId, { outcome }]) => [runId, outcome._tag]),
  entries: Array.from(state.entries.keys())
})

describe("JournalState", () => {
  it("a run is open from its acceptance to its end", () => {
    expect(shape(after(accepted))).toEqual({ open: [["r", undefined, ""]], settled: [], entries: ["m-r"] })
    expect(shape(after(accepted, started, says(0, "He"), says(2, "llo")))).toMatchObject({
      open: [["r", 5, "Hello"]]
    })
    expect(shape(after(accepted, started, ended))).toEqual({
      open: [],
      settled: [["r", "Final"]],
      entries: ["m-r", "m-answer"]
    })
  })

  it("an abort that was answered is known of a run that is open, or will be, and not of one that is over", () => {
    const aborting: JournalRecord = { type: "aborting", runId: r, reason: "rpc" }
    expect(after(accepted, aborting).open.get(r)?.aborting).toBe("rpc")
    expect(after(aborting, accepted, started).open.get(r)?.aborting).toBe("rpc")
    expect(after(accepted, ended, aborting).aborting.size).toBe(0)
    expect(after(aborting, { type: "ended", end: endOf("r"), run: runOf("r") }).aborting.size).toBe(0)
  })

  it("an end knows the lives before the one in which it came", () => {
    const life = (epoch: string): JournalRecord => ({ type: "life", epoch })
    const state = after(life("e0"), life("e1"), accepted, ended, life("e2"))
    expect(state.ended.get(r)?.olderLives).toEqual(["e0"])
    expect(state.lives).toEqual(["e0", "e1", "e2"])
  })

  it("a text replaces what was behind where it begins; one behind a gap is left out", () => {
    expect(after(accepted, says(0, "Hello"), says(2, "y")).open.get(r)?.text).toBe("Hey")
    expect(after(accepted, says(0, "Hello"), says(0, "")).open.get(r)?.text).toBe("")
    expect(after(accepted, says(0, "Hello"), says(9, "lost")).open.get(r)?.text).toBe("Hello")
  })

  it("what is said of a run that nobody knows is left out", () => {
    const nothing = { open: [], settled: [], entries: [] }
    expect(shape(after(started, says(0, "x"), { type: "told", runId: r, pos: 1 }))).toEqual(nothing)
    expect(shape(after({ type: "ended", end: endOf("r") }))).toEqual(nothing)
    expect(shape(after({ type: "withdrawn", id: MessageId("m-r") }))).toEqual(nothing)
  })

  it("an end may bring its run, and then its key has an answer", () => {
    expect(shape(after({ type: "ended", end: endOf("r"), run: runOf("r") })).settled).toEqual([
      ["r", "Final"]
    ])
  })

  it("a second end corrects the first", () => {
    const state = after(accepted, ended, {
      type: "ended",
      end: endOf("r", { _tag: "Error", message: "no" }),
      run: runOf("r")
    })
    expect(state.settled.get(r)?.outcome).toEqual({ _tag: "Error", message: "no" })
    expect(state.settled.size).toBe(1)
  })

  it("a question that is withdrawn takes its run with it", () => {
    expect(shape(after(accepted, { type: "withdrawn", id: MessageId("m-r") }))).toEqual({
      open: [],
      settled: [],
      entries: []
    })
  })

  it("an answer that is withdrawn leaves its run as it was", () => {
    const withdrawn: JournalRecord = { type: "withdrawn", id: MessageId("m-answer") }
    expect(shape(after(accepted, started, says(0, "so far"), ended, withdrawn))).toEqual({
      open: [["r", 5, "so far"]],
      settled: [],
      entries: ["m-r"]
    })
    // But not when it was stored before.
    expect(shape(after(accepted, ended, { type: "checkpoint" }, withdrawn)).settled).toEqual([["r", "Final"]])
  })

  it("a checkpoint says that all messages are stored, and nothing of runs", () => {
    expect(shape(after(accepted, started, { type: "checkpoint" }))).toEqual({
      open: [["r", 5, ""]],
      settled: [],
      entries: []
    })
  })

  it("a session that is removed has no messages left, and is removed until the index is known to say so", () => {
    const removed: JournalRecord = { type: "removed", removal: { ...removalOf("s1"), aside: ".deleted.now" } }
    const other: JournalRecord = { type: "message", entry: { ...entryOf("x"), sessionId: SessionId("s2") } }
    const state = after(accepted, other, removed)
    expect(shape(state).entries).toEqual(["m-x"])
    expect(Array.from(state.removals.values())).toEqual([removed.type === "removed" && removed.removal])
    const again = after(...state.snapshot(state.entries, state.removals.values()))
    expect(Array.from(again.removals.keys())).toEqual(["s1"])
    expect(shape(again).entries).toEqual(["m-x"])
    state.removalApplied(SessionId("s1"))
    expect(state.removals.size).toBe(0)
    expect(after(accepted, removed, { type: "checkpoint" }).removals.size).toBe(0)
    // What comes behind it is another matter.
    expect(shape(after(removed, accepted)).entries).toEqual(["m-r"])
  })

  it("remembers how runs ended as long as it is asked to", () => {
    const state = after(accepted, ended, { type: "told", runId: r, pos: 7 })
    expect(Array.from(state.ended.values(), ({ end, text, toldAt }) => [end, text, toldAt])).toEqual([
      [endOf("r"), "answer", 7]
    ])
    state.remembersEnds = false
    state.ended.clear()
    state.apply(accepted)
    state.apply(ended)
    expect(state.ended.size).toBe(0)
  })

  it("many keys are many to a line in a snapshot", () => {
    const state = new JournalState()
    for (let n = 0; n < 1234; n++) {
      state.apply({ type: "accepted", run: runOf(`r${n}`), entry: entryOf(`r${n}`), stored: true })
      state.apply({ type: "ended", end: endOf(`r${n}`) })
    }
    const records = Array.from(state.snapshot(new Map()))
    expect(records.map(({ type }) => type)).toEqual(["journal", "keys", "keys", "keys"])
    expect(shape(after(...records))).toEqual(shape(state))
  })

  it("a run that ends while a snapshot is read is not lost", () => {
    const state = after(accepted, started)
    const end: JournalRecord = { type: "ended", end: endOf("r") }
    for (let read = 0; ; read++) {
      const live = after(accepted, started)
      const records: Array<JournalRecord> = []
      const lines = live.snapshot(new Map(live.entries))[Symbol.iterator]()
      for (let at = 0; ; at++) {
        if (at === read) live.apply(end)
        const next = lines.next()
        if (next.done === true) break
        records.push(next.value)
      }
      // What was recorded meanwhile comes behind it.
      expect([read, shape(after(...records, end)).settled]).toEqual([read, [["r", "Final"]]])
      if (read > records.length) break
    }
    expect(state.open.size).toBe(1)
  })
})
