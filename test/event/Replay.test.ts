import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import type { HubEvent, Positioned, SessionChanged } from "../../src/domain/HubEvent.js"
import { RunId } from "../../src/domain/Ids.js"
import { bytesOf } from "../../src/event/Footprint.js"
import { isRetoldTo, Replay } from "../../src/event/Replay.js"
import * as FakeSink from "../support/FakeSink.js"

const { activity, injected, terminal } = FakeSink
const delta = (runId: string, text = "x") => FakeSink.piece("Delta", runId, text)
const agentText = (runId: string, text = "x") => FakeSink.piece("AgentText", runId, text)

const changed = (reason: SessionChanged["reason"], runId?: string) =>
  FakeSink.changed(reason, runId === undefined ? {} : { runId: RunId(runId) })

/** A buffer with these events at positions 1, 2, 3, … */
const filled = (
  events: ReadonlyArray<HubEvent>,
  bounds: { readonly maxEvents?: number; readonly maxBytes?: number } = {}
) => {
  const replay = new Replay({ maxEvents: 1000, maxBytes: 1_000_000, ...bounds }, 0)
  for (const [index, event] of events.entries()) replay.push({ pos: index + 1, event })
  return replay
}
const keptBehind = (replay: Replay, pos = 0) => replay.after(pos, 1_000_000).map((kept) => kept.pos)

describe("Replay", () => {
  it("gives back what came behind a position, in order", () => {
    const replay = filled([activity("a"), terminal("a", "x"), injected("m"), activity("b")])
    expect(keptBehind(replay)).toEqual([1, 2, 3, 4])
    expect(keptBehind(replay, 2)).toEqual([3, 4])
    expect(keptBehind(replay, 4)).toEqual([])
    expect(keptBehind(replay, 99)).toEqual([])
    expect(replay.after(1, 2).map(({ event }) => event._tag)).toEqual(["Terminal", "Injected"])
    expect(replay.floor).toBe(0)
  })

  it("of an answer that grows the newest piece is kept, the raw stream apart, and none behind its end", () => {
    const events = [delta("a"), agentText("a"), delta("b"), delta("a"), agentText("a"), agentText("b")]
    expect(keptBehind(filled(events))).toEqual([3, 4, 5, 6])
    // Its end has all of the text; the raw stream's text is not in it.
    expect(keptBehind(filled([...events, terminal("a", "x")]))).toEqual([3, 5, 6, 7])
    expect(filled([...events, terminal("a", "x")]).floor).toBe(0)
  })

  it("over the bound the oldest goes, ends last; who would miss it is below the floor", () => {
    const events = [activity("a"), terminal("a", "x"), activity("b"), injected("m"), activity("c")]
    const replay = filled(events, { maxEvents: 4 })
    expect([keptBehind(replay), replay.floor]).toEqual([[2, 3, 4, 5], 1])
    replay.push({ pos: 6, event: activity("d") })
    expect([keptBehind(replay), replay.floor]).toEqual([[2, 4, 5, 6], 3])
  })

  it("ends take half of the room, not all of it", () => {
    const events = Array.from({ length: 100 }, (_, at) => [
      activity(`r${at}`),
      terminal(`r${at}`, "x")
    ]).flat()
    const replay = filled(events, { maxEvents: 10 })
    const kept = keptBehind(replay)
    expect(kept).toHaveLength(10)
    expect(kept.filter((pos) => pos % 2 === 0)).toHaveLength(5)
    // What is kept behind the floor is whole.
    expect(keptBehind(replay, replay.floor)).toEqual(
      Array.from({ length: 200 - replay.floor }, (_, at) => replay.floor + at + 1)
    )
    expect(replay.floor).toBeLessThanOrEqual(191)
  })

  it("ends alone may fill it; then the oldest of them goes", () => {
    const replay = filled(
      Array.from({ length: 20 }, (_, at) => terminal(`r${at}`, "x")),
      { maxEvents: 8 }
    )
    expect([keptBehind(replay), replay.floor]).toEqual([[13, 14, 15, 16, 17, 18, 19, 20], 12])
  })

  it("of what is done to a session the newest of each kind is kept, in its place", () => {
    const events = [changed("message", "a"), activity("a"), changed("patch"), changed("message", "b")]
    const replay = filled([...events, activity("b"), terminal("a", "x")])
    expect(keptBehind(replay)).toEqual([2, 3, 4, 5, 6])
    expect(replay.after(0, 2).map(({ pos }) => pos)).toEqual([2, 3])
    expect([replay.keeps(1), replay.keeps(3), replay.floor, replay.changesFloor]).toEqual([false, true, 0, 0])
  })

  it("what is done to sessions has room of its own: nothing else is given up for it, nor it for anything", () => {
    const replay = filled([activity("a"), terminal("a", "x")], { maxEvents: 8 })
    for (const [at, reason] of (["patch", "inject", "reset", "delete"] as const).entries())
      replay.push({ pos: 3 + at, event: changed(reason) })
    expect([keptBehind(replay), replay.floor, replay.changesFloor]).toEqual([[1, 2, 5, 6], 0, 4])
    for (let pos = 7; pos <= 30; pos++) replay.push({ pos, event: activity(`r${pos}`) })
    expect(keptBehind(replay)).toEqual([2, 5, 6, 24, 25, 26, 27, 28, 29, 30])
    expect([replay.floor, replay.changesFloor]).toEqual([23, 4])
  })

  it("bytes count as events do; what alone is over the bound is not kept", () => {
    const large = "x".repeat(10_000)
    const replay = filled([activity("a"), delta("a", large), delta("b", large), terminal("c", large)], {
      maxBytes: 50_000
    })
    expect([keptBehind(replay), replay.floor]).toEqual([[3, 4], 2])
    replay.push({ pos: 5, event: terminal("d", large) })
    expect([keptBehind(replay), replay.floor]).toEqual([[4, 5], 3])
    replay.push({ pos: 6, event: delta("b", "x".repeat(30_000)) })
    expect([keptBehind(replay), replay.floor]).toEqual([[5], 6])
    replay.push({ pos: 7, event: activity("e") })
    expect([keptBehind(replay), replay.floor]).toEqual([[5, 7], 6])
  })

  it("an answer that grows for ever costs one event", () => {
    const replay = filled(
      Array.from({ length: 5000 }, (_, at) => delta("a", "x".repeat(at % 100))),
      { maxEvents: 1 }
    )
    expect([keptBehind(replay), replay.floor]).toEqual([[5000], 0])
  })

  it("with no room nothing is kept", () => {
    const replay = filled([delta("a"), terminal("a", "x")], { maxEvents: 0 })
    expect([keptBehind(replay), replay.floor]).toEqual([[], 2])
  })

  it("counts from where it began", () => {
    const replay = new Replay({ maxEvents: 10, maxBytes: 10_000 }, 41)
    replay.push({ pos: 42, event: activity("a") })
    expect([keptBehind(replay), replay.floor]).toEqual([[42], 41])
  })

  it("what is retold is told to those who were there before it, in that epoch", () => {
    const retold = { ...terminal("a", "x"), retold: { epoch: "old", pos: 7, older: ["ancient"] } }
    expect(isRetoldTo(retold, { epoch: "old", pos: 7 })).toBe(true)
    expect(isRetoldTo(retold, { epoch: "old", pos: 8 })).toBe(false)
    expect(isRetoldTo(retold, { epoch: "other", pos: 1 })).toBe(false)
    expect(isRetoldTo(retold, { epoch: "ancient", pos: 99 })).toBe(true)
    expect(isRetoldTo(terminal("a", "x"), { epoch: "old", pos: 1 })).toBe(false)
    const replay = filled([activity("b"), retold])
    expect(replay.retells({ epoch: "old", pos: 3 }, 0, () => true)).toBe(true)
    expect(replay.retells({ epoch: "old", pos: 3 }, 2, () => true)).toBe(false)
    expect(replay.retells({ epoch: "old", pos: 3 }, 0, () => false)).toBe(false)
  })

  it("whoever counts for itself is retold what its own position is before, or what was told to nobody", () => {
    const end = (perspectives?: Record<string, number>) => ({
      ...terminal("a", "x"),
      retold: { epoch: "old", pos: 7, older: [], ...(perspectives === undefined ? {} : { perspectives }) }
    })
    expect(isRetoldTo(end({ p: 3 }), { epoch: "old~p", pos: 2 })).toBe(true)
    expect(isRetoldTo(end({ p: 3 }), { epoch: "old~p", pos: 3 })).toBe(false)
    expect(isRetoldTo(end({ p: 3 }), { epoch: "old~q", pos: 0 })).toBe(false)
    expect(isRetoldTo(end(), { epoch: "old~q", pos: 99 })).toBe(true)
    expect(isRetoldTo(end({ p: 3 }), { epoch: "old", pos: 7 })).toBe(true)
  })

  it("holds what a simple list would, for any events and bounds", () => {
    const run = fc.constantFrom("a", "b", "c")
    const event = fc.oneof(
      fc.tuple(run, fc.nat(300)).map(([id, length]): HubEvent => delta(id, "x".repeat(length))),
      run.map((id): HubEvent => agentText(id)),
      run.map((id): HubEvent => activity(id)),
      fc.tuple(run, fc.nat(300)).map(([id, length]): HubEvent => terminal(id, "x".repeat(length))),
      fc.string().map((id): HubEvent => injected(id))
    )
    const bounds = fc.record({ maxEvents: fc.nat(20), maxBytes: fc.nat(6000) })
    fc.assert(
      fc.property(fc.array(event, { maxLength: 200 }), bounds, (events, { maxBytes, maxEvents }) => {
        const replay = new Replay({ maxEvents, maxBytes }, 0)
        let kept: ReadonlyArray<Positioned> = []
        let floor = 0
        const total = (list: ReadonlyArray<Positioned>) =>
          list.reduce((bytes, one) => bytes + bytesOf(one.event), 0)
        for (const [index, next] of events.entries()) {
          const pos = index + 1
          replay.push({ pos, event: next })
          kept = [...kept.filter((one) => !isCovered(one.event, next)), { pos, event: next }]
          while (kept.length > maxEvents || total(kept) > maxBytes) {
            const ends = kept.filter((one) => isEnd(one.event))
            const others = kept.filter((one) => !isEnd(one.event))
            const isMostlyEnds =
              (kept.length > maxEvents && 2 * ends.length > maxEvents) ||
              (total(kept) > maxBytes && 2 * total(ends) > maxBytes)
            const gone = isMostlyEnds ? kept[0] : (others[0] ?? ends[0])
            kept = kept.filter((one) => one !== gone)
            floor = Math.max(floor, gone?.pos ?? 0)
          }
          expect(replay.floor).toBe(floor)
          // Nothing is kept that helps nobody.
          expect(kept.filter((one) => one.pos <= floor && !isEnd(one.event))).toEqual([])
        }
        const from = Math.floor(events.length / 3)
        expect(replay.after(0, 1000)).toEqual(kept)
        expect(replay.after(from, 7)).toEqual(kept.filter(({ pos }) => pos > from).slice(0, 7))
      })
    )
  })
})

const isEnd = (event: HubEvent): boolean => event._tag === "Terminal" || event._tag === "Injected"
/** Does `next` say all that the event says? */
const isCovered = (event: HubEvent, next: HubEvent): boolean =>
  (event._tag === "Delta" || event._tag === "AgentText") &&
  "run" in next &&
  next.run.runId === event.run.runId &&
  (next._tag === event._tag || (event._tag === "Delta" && next._tag === "Terminal"))

describe("Footprint", () => {
  const of = (data: { readonly [field: string]: unknown }) => bytesOf(activity("a", data))

  it("grows with the texts and the values, also with those that are not looked at", () => {
    expect(bytesOf(delta("a", "x".repeat(1000))) - bytesOf(delta("a", ""))).toBe(2000)
    expect(of({ text: "x".repeat(100_000) })).toBeGreaterThan(200_000)
    expect(of({ list: Array.from({ length: 100_000 }, () => "twelve chars") })).toBeGreaterThan(2_000_000)
    expect(of({ bytes: new Uint8Array(50_000) })).toBeGreaterThan(50_000)
    const failed = terminal("a", "", { _tag: "Error", message: "m".repeat(10_000) })
    expect(bytesOf(failed)).toBeGreaterThan(20_000)
  })

  it("whatever an agent made has a size", () => {
    const cycle: Record<string, unknown> = {}
    cycle["self"] = cycle
    const hostile = {
      get field() {
        throw new Error("no")
      }
    }
    for (const data of [cycle, { hostile }, { n: null, u: undefined, f: () => 1, b: 1n }, {}]) {
      expect(of(data)).toBeGreaterThan(0)
      expect(Number.isFinite(of(data))).toBe(true)
    }
  })
})
