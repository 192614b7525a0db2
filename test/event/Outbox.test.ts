import { describe, expect, it } from "@effect/vitest"
import * as SessionPatterns from "../../src/domain/SessionPatterns.js"
import { Broadcast } from "../../src/event/Broadcast.js"
import { Outbox } from "../../src/event/Outbox.js"
import * as CloseCode from "../../src/protocol/CloseCode.js"
import type { View } from "../../src/protocol/EventCodec.js"
import { encodeResponse } from "../../src/protocol/Frame.js"
import * as FakeSink from "../support/FakeSink.js"

const make = (options: { readonly view?: View; readonly maxBufferedBytes?: number } = {}) => {
  const sink = FakeSink.make()
  const outbox = new Outbox({
    sink,
    view: { version: 4, deltaOnly: false, positions: false },
    sessions: SessionPatterns.all,
    maxBufferedBytes: 1024 * 1024,
    ...options
  })
  /** Fills the sink beyond its high water mark, so that everything after this waits in the outbox. */
  const block = () => {
    sink.stall()
    outbox.response(encodeResponse("filler", { ok: true, payload: "x".repeat(70_000) }))
  }
  const drain = () => {
    sink.take()
    outbox.drained()
  }
  return { outbox, sink, block, drain }
}

const deltaOnly: View = { version: 4, deltaOnly: true, positions: false }
const delta = (
  text: string,
  from: number,
  more: { readonly seq?: number; readonly revision?: number } = {}
) => FakeSink.broadcast(FakeSink.piece("Delta", "r1", text, { from, ...more }))
const say = (id: string, text: string) => encodeResponse(id, { ok: true, payload: text })
const whatOf = (sink: FakeSink.FakeSink) =>
  sink.frames.map(({ event, id, payload }) =>
    event === undefined ? id : `${event} ${String(payload?.["state"] ?? "")}`
  )

describe("Outbox", () => {
  it("while the sink takes what it is given, nothing waits", () => {
    const { outbox, sink } = make()
    outbox.response(say("a", "1"))
    outbox.event(delta("x", 0))
    outbox.event(FakeSink.broadcast(FakeSink.terminal("r1", "x")))
    expect(whatOf(sink)).toEqual(["a", "chat delta", "chat final"])
    expect([outbox.isWaiting, outbox.isBacklogged]).toEqual([false, false])
  })

  it("seq counts the events that leave, from 1, without a hole; responses have none", () => {
    const { block, drain, outbox, sink } = make()
    outbox.event(FakeSink.tick(0))
    block()
    for (let at = 0; at < 10; at++) outbox.event(delta("x".repeat(at + 1), at))
    outbox.event(FakeSink.tick(1))
    outbox.event(FakeSink.tick(2))
    drain()
    expect(sink.frames.map(({ event, seq }) => [event, seq])).toEqual([
      ["tick", 1],
      [undefined, undefined],
      ["chat", 2],
      ["tick", 3]
    ])
    expect(sink.frames.at(-1)?.payload).toEqual({ ts: 2 })
  })

  it("what waits goes out in its order, responses and events alike", () => {
    const { block, drain, outbox, sink } = make()
    block()
    outbox.response(say("a", "1"))
    outbox.event(delta("x", 0))
    outbox.response(say("b", "2"))
    outbox.event(FakeSink.broadcast(FakeSink.terminal("r1", "x")))
    outbox.response(say("c", "3"))
    expect(outbox.isBacklogged).toBe(true)
    expect(whatOf(sink)).toEqual(["filler"])
    drain()
    expect(whatOf(sink)).toEqual(["filler", "a", "chat delta", "b", "chat final", "c"])
  })

  it("of an answer that grows only the newest piece waits; the raw stream apart from the chat", () => {
    const { block, drain, outbox, sink } = make()
    block()
    for (const text of ["a", "ab", "abc"]) {
      outbox.event(delta(text, text.length - 1))
      outbox.event(FakeSink.broadcast(FakeSink.piece("AgentText", "r1", text, { from: text.length - 1 })))
      outbox.event(FakeSink.broadcast(FakeSink.piece("Delta", "r2", text, { from: text.length - 1 })))
    }
    drain()
    expect(sink.frames.slice(1).map(({ event, payload }) => [event, payload?.["runId"]])).toEqual([
      ["chat", "r1"],
      ["agent", "r1"],
      ["chat", "r2"]
    ])
    expect(sink.frames[2]?.payload).toMatchObject({ data: { text: "abc", delta: "abc" } })
  })

  it("deltaText of the piece that is left is all that the reader lacks", () => {
    const { block, drain, outbox, sink } = make({ view: deltaOnly })
    outbox.event(delta("one ", 0))
    block()
    outbox.event(delta("one two ", 4))
    outbox.event(delta("one two three ", 8))
    outbox.event(delta("one two three four", 14))
    drain()
    expect(sink.frames.at(-1)?.payload).toMatchObject({ deltaText: "two three four" })
    expect(sink.frames.at(-1)?.payload).not.toHaveProperty("replace")
    expect(sink.frames.at(-1)?.payload).not.toHaveProperty("message")
  })

  it("a rewrite among the dropped pieces makes the one that is left a rewrite", () => {
    const { block, drain, outbox, sink } = make({ view: deltaOnly })
    outbox.event(delta("one ", 0))
    block()
    outbox.event(delta("one two", 4))
    outbox.event(delta("uno", 0, { revision: 1 }))
    outbox.event(delta("uno due", 3, { revision: 1 }))
    drain()
    expect(sink.frames.at(-1)?.payload).toMatchObject({ deltaText: "uno due", replace: true })
  })

  it.each(["Delta", "AgentText"] as const)(
    "who joins in the middle is given the whole text first (%s)",
    (tag) => {
      const { outbox, sink } = make({ view: deltaOnly })
      outbox.event(FakeSink.broadcast(FakeSink.piece(tag, "r1", "one two ", { from: 4 })))
      outbox.event(FakeSink.broadcast(FakeSink.piece(tag, "r1", "one two three", { from: 8 })))
      const [first, second] = sink.frames.map(({ payload }) => payload)
      if (tag === "Delta") {
        expect(first).toMatchObject({ deltaText: "one two ", replace: true })
        expect(second).toMatchObject({ deltaText: "three" })
        expect(second).not.toHaveProperty("replace")
      } else {
        expect(first).toMatchObject({ data: { text: "one two " } })
        expect(second).toMatchObject({ data: { delta: "three" } })
        expect(second?.["data"]).not.toHaveProperty("text")
      }
    }
  )

  it.each([false, true])(
    "what is replayed is whole: the pieces before it may have been overtaken (waiting: %s)",
    (isWaiting) => {
      const { block, drain, outbox, sink } = make({ view: deltaOnly })
      outbox.replay(delta("one ", 0))
      if (isWaiting) block()
      outbox.replay(delta("one two three ", 8))
      outbox.event(delta("one two three four", 14))
      drain()
      const pieces = sink.frames.filter(({ event }) => event === "chat").map(({ payload }) => payload)
      expect(pieces[0]).not.toHaveProperty("replace")
      if (isWaiting) {
        expect(pieces[1]).toMatchObject({ deltaText: "one two three four", replace: true })
      } else {
        expect(pieces[1]).toMatchObject({ deltaText: "one two three ", replace: true })
        expect(pieces[2]).toMatchObject({ deltaText: "four" })
        expect(pieces[2]).not.toHaveProperty("replace")
      }
    }
  )

  it("behind a reset the next piece of every answer is whole", () => {
    const { outbox, sink } = make({ view: deltaOnly })
    outbox.event(delta("one ", 0))
    outbox.reset(
      Broadcast.reset({ reason: "expired", epoch: "e", pos: 3, reload: ["chat.history", "permission.list"] })
    )
    outbox.event(delta("one two three ", 8))
    expect(sink.frames[1]?.payload).toMatchObject({ reason: "expired", pos: 3 })
    expect(sink.frames[2]?.payload).toMatchObject({ deltaText: "one two three ", replace: true })
  })

  it("with positions every payload has its own, also where it is encoded for one reader alone", () => {
    const { block, drain, outbox, sink } = make({ view: { ...deltaOnly, positions: true } })
    const positioned = (text: string, from: number, pos: number) =>
      FakeSink.broadcast(FakeSink.piece("Delta", "r1", text, { from }), pos)
    outbox.event(positioned("one ", 0, 3))
    block()
    outbox.event(positioned("one two ", 4, 5))
    outbox.event(positioned("one two three", 8, 6))
    outbox.event(FakeSink.tick(1, 7))
    outbox.event(FakeSink.broadcast(FakeSink.terminal("r1", "one two three"), 8))
    drain()
    const events = sink.frames.filter(({ type }) => type === "event").map(({ payload }) => payload)
    expect(events.map((payload) => payload?.["pos"])).toEqual([3, 6, 7, 8])
    expect(events[1]).toMatchObject({ deltaText: "two three" })
  })

  it("whoever waits for room is told, all of them", () => {
    const { block, drain, outbox } = make()
    block()
    outbox.response(say("a", "1"))
    const told: Array<string> = []
    outbox.whenWritable(() => told.push("one"))
    outbox.whenWritable(() => told.push("two"))
    expect(told).toEqual([])
    drain()
    expect(told).toEqual(["one", "two"])
    drain()
    expect(told).toEqual(["one", "two"])
  })

  it("of ticks one waits", () => {
    const { block, drain, outbox, sink } = make()
    block()
    for (let ts = 0; ts < 100; ts++) outbox.event(FakeSink.tick(ts))
    drain()
    expect(sink.frames.slice(1).map(({ payload }) => payload)).toEqual([{ ts: 99 }])
  })

  it("what can't be dropped counts: a reader for whom the bound is not enough is closed", () => {
    const { block, outbox, sink } = make({ maxBufferedBytes: 200_000 })
    block()
    let accepted = 0
    while (!outbox.isClosed && accepted < 1000) {
      outbox.response(say(`r${accepted}`, "y".repeat(10_000)))
      accepted++
    }
    expect(sink.closedWith).toEqual(CloseCode.slowConsumer)
    // 20 frames of a little over 10,000 are over the bound, and the next is too much. What is in the sink doesn't count.
    expect(accepted).toBe(21)
    // Nothing more is handed over, and later frames are ignored.
    outbox.event(delta("x", 0))
    outbox.response(say("late", ""))
    outbox.drained()
    expect(whatOf(sink)).toEqual(["filler"])
  })

  it("answers that grow do not fill the outbox: each counts once", () => {
    const { block, outbox, sink } = make({ maxBufferedBytes: 200_000 })
    block()
    for (let at = 1; at <= 2000; at++) outbox.event(delta("z".repeat(at * 10), (at - 1) * 10))
    expect(sink.closedWith).toBeUndefined()
  })

  it("the end of an answer larger than the bound is no reason to close a reader that takes it", () => {
    const { block, drain, outbox, sink } = make({ maxBufferedBytes: 1000 })
    block()
    for (const size of [10_000, 20_000, 100, 10_000]) outbox.response(say("part", "x".repeat(size)))
    expect(sink.closedWith).toBeUndefined()
    drain()
    expect(whatOf(sink)).toEqual(["filler", "part", "part", "part", "part"])
  })

  it("one frame larger than the bound can be sent", () => {
    const { drain, outbox, sink } = make({ maxBufferedBytes: 1000 })
    sink.stall()
    outbox.response(say("big", "x".repeat(100_000)))
    expect(outbox.isClosed).toBe(false)
    drain()
    outbox.response(say("next", ""))
    expect(whatOf(sink)).toEqual(["big", "next"])
  })

  it("goes on as far as the sink takes, and tells when nothing waits any more", () => {
    const { block, outbox, sink } = make()
    block()
    for (const id of ["a", "b", "c"]) outbox.response(say(id, "x".repeat(40_000)))
    let writable = 0
    outbox.whenWritable(() => writable++)
    sink.take(10_000)
    outbox.drained()
    // 60,000 are left in the sink: one more fits under the high water mark.
    expect(whatOf(sink)).toEqual(["filler", "a"])
    expect(writable).toBe(0)
    sink.take(90_000)
    outbox.drained()
    expect(whatOf(sink)).toEqual(["filler", "a", "b", "c"])
    expect(writable).toBe(1)
    outbox.whenWritable(() => writable++)
    expect(writable).toBe(2)
  })

  it("a close hands over what waits, unless the reader is the reason", () => {
    const restarted = make()
    restarted.block()
    restarted.outbox.response(say("a", "1"))
    restarted.outbox.event(FakeSink.broadcast(FakeSink.terminal("r1", "x")))
    restarted.outbox.close(CloseCode.serviceRestart)
    restarted.outbox.close(CloseCode.slowConsumer)
    expect(whatOf(restarted.sink)).toEqual(["filler", "a", "chat final"])
    expect(restarted.sink.closedWith).toEqual(CloseCode.serviceRestart)

    const slow = make()
    slow.block()
    slow.outbox.response(say("a", "1"))
    let writable = false
    slow.outbox.whenWritable(() => {
      writable = true
    })
    slow.outbox.close(CloseCode.slowConsumer)
    expect(whatOf(slow.sink)).toEqual(["filler"])
    // Whoever waits for room must not wait for ever.
    expect(writable).toBe(true)
  })
})
