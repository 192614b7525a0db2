/** Connections that come back: what they are given, and what happens while they are. */
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Layer, TestClock } from "effect"
import * as SessionPatterns from "../../src/domain/SessionPatterns.js"
import type { HubEvent, Terminal } from "../../src/domain/HubEvent.js"
import type { Position } from "../../src/domain/Position.js"
import * as EventHub from "../../src/event/EventHub.js"
import * as FanOut from "../../src/event/FanOut.js"
import { Outbox } from "../../src/event/Outbox.js"
import * as GatewayConfig from "../../src/GatewayConfig.js"
import * as CloseCode from "../../src/protocol/CloseCode.js"
import { encodeResponse } from "../../src/protocol/Frame.js"
import * as FakeSink from "../support/FakeSink.js"

const { activity, injected, piece, terminal } = FakeSink

const layer = (config: Partial<GatewayConfig.GatewayConfigShape> = {}) =>
  FanOut.layer.pipe(Layer.provideMerge(EventHub.layer), Layer.provide(GatewayConfig.layer(config)))

const publish = (...events: ReadonlyArray<HubEvent>) =>
  Effect.gen(function* () {
    const hub = yield* EventHub.EventHub
    for (const event of events) hub.unsafePublish(event)
    yield* (yield* FanOut.FanOut).flush
  })

const connection = (sees: boolean | undefined = true) => {
  const sink = FakeSink.make()
  const outbox = new Outbox({
    sink,
    view: { version: 4, deltaOnly: true, positions: true },
    sessions: sees ? SessionPatterns.all : SessionPatterns.none,
    maxBufferedBytes: 100_000
  })
  return { sink, outbox }
}

/** Comes back; answers where it begins and what it is sent. */
const resume = (at: Position, sees?: boolean) =>
  Effect.gen(function* () {
    const fanOut = yield* FanOut.FanOut
    const { outbox, sink } = connection(sees)
    const begin = fanOut.attach(outbox, at)
    // Nothing is sent in the same step: `hello-ok` comes first.
    expect(sink.frames).toEqual([])
    return { begin, outbox, sink }
  })
/** Comes back to this life of the gateway. */
const resumeAt = (pos: number, sees?: boolean) =>
  Effect.flatMap(EventHub.EventHub, ({ epoch }) => resume({ epoch, pos }, sees))

/** All fibers come to rest. */
const rest = TestClock.adjust(0)

const told = (sink: FakeSink.FakeSink) =>
  sink.frames
    .filter(({ type }) => type === "event")
    .map(
      ({ event, payload }) => `${event === "chat" ? String(payload?.["state"]) : event} ${payload?.["pos"]}`
    )

const retold = (runId: string, epoch: string, pos: number): Terminal => ({
  ...terminal(runId, "partial", { _tag: "Error", message: "interrupted by restart" }),
  retold: { epoch, pos, older: [] }
})
/** More than a socket takes. */
const large = "x".repeat(70_000)

describe("a connection that resumes", () => {
  it.effect("gets what it missed, in order, then what comes, and nothing twice", () =>
    Effect.gen(function* () {
      const hub = yield* EventHub.EventHub
      yield* publish(activity("a"), piece("Delta", "a", "one "), piece("Delta", "a", "one two", { from: 4 }))
      yield* publish(terminal("b", "x"), injected("m"))
      const { begin, sink } = yield* resumeAt(1)
      expect(begin).toEqual({ epoch: hub.epoch, pos: 5 })
      // Published before it has been given anything: still behind what it missed.
      hub.unsafePublish(piece("Delta", "a", "one two three", { from: 7 }))
      yield* rest
      yield* publish(terminal("a", "one two three"))
      expect(told(sink)).toEqual(["delta 3", "final 4", "final 5", "delta 6", "final 7"])
      // It can't append to what it may not have; from then on it can.
      expect(sink.frames[0]?.payload).toMatchObject({ deltaText: "one two", replace: true })
      expect(sink.frames[3]?.payload).toMatchObject({ deltaText: " three" })
      expect(sink.frames[3]?.payload).not.toHaveProperty("replace")
    }).pipe(Effect.provide(layer()))
  )

  it.effect("from where the others are, it has missed nothing", () =>
    Effect.gen(function* () {
      yield* publish(activity("a"))
      const { sink } = yield* resumeAt(1)
      yield* rest
      yield* publish(activity("b"))
      expect(told(sink)).toEqual(["agent 2"])
    }).pipe(Effect.provide(layer()))
  )

  it.effect("gets nothing that it may not see, and is brought to where the others are", () =>
    Effect.gen(function* () {
      const fanOut = yield* FanOut.FanOut
      yield* publish(activity("a"), terminal("a", "x"))
      const { sink } = yield* resumeAt(0, false)
      yield* fanOut.broadcast("tick", { ts: 1 })
      yield* rest
      yield* fanOut.broadcast("tick", { ts: 2 })
      // It counts for itself, and what it was told of this life was not of its own count.
      expect(told(sink)).toEqual(["tick 0", "resume.reset 0", "tick 0"])
    }).pipe(Effect.provide(layer()))
  )

  it.effect("is told when some of it is gone, and gets what is kept", () =>
    Effect.gen(function* () {
      const { epoch } = yield* EventHub.EventHub
      yield* publish(activity("a"), terminal("a", "x"), activity("b"), activity("c"), activity("d"))
      const { sink } = yield* resumeAt(1)
      yield* rest
      expect(told(sink)).toEqual(["resume.reset 1", "final 2", "agent 4", "agent 5"])
      expect(sink.frames[0]?.payload).toEqual({
        reason: "expired",
        epoch,
        pos: 1,
        reload: ["chat.history", "permission.list"]
      })
      // Behind what is gone, nothing is said of it.
      const later = yield* resumeAt(3)
      yield* rest
      expect(told(later.sink)).toEqual(["agent 4", "agent 5"])
    }).pipe(Effect.provide(layer({ replayMaxEvents: 3 })))
  )

  it.effect("from a position that never was, it is told so and gets what comes", () =>
    Effect.gen(function* () {
      yield* publish(activity("a"), terminal("a", "x"))
      const { begin, sink } = yield* resumeAt(3)
      expect(begin.pos).toBe(2)
      yield* rest
      yield* publish(activity("b"))
      expect(told(sink)).toEqual(["resume.reset 2", "agent 3"])
      expect(sink.frames[0]?.payload).toMatchObject({ reason: "expired" })
    }).pipe(Effect.provide(layer()))
  )

  it.effect("of another life, it is told so and gets all that is kept of this one", () =>
    Effect.gen(function* () {
      const { epoch } = yield* EventHub.EventHub
      yield* publish(activity("a"), terminal("a", "x"), activity("b"))
      const { begin, sink } = yield* resume({ epoch: "another", pos: 9 })
      expect(begin).toEqual({ epoch, pos: 3 })
      yield* rest
      expect(told(sink)).toEqual(["resume.reset 0", "agent 1", "final 2", "agent 3"])
      expect(sink.frames[0]?.payload).toMatchObject({ reason: "epoch", epoch, pos: 0 })
    }).pipe(Effect.provide(layer()))
  )
})

describe("the end of a run that a restart has cut off", () => {
  it.effect("is told to those who come from before it in that life, and to nobody else", () =>
    Effect.gen(function* () {
      const { epoch } = yield* EventHub.EventHub
      const fanOut = yield* FanOut.FanOut
      const live = connection()
      fanOut.attach(live.outbox)
      yield* publish(
        retold("a", "old", 5),
        retold("b", "old", 8),
        retold("c", "older", 5),
        terminal("d", "x")
      )
      expect(told(live.sink)).toEqual(["final 4"])
      const before = yield* resume({ epoch: "old", pos: 5 })
      const between = yield* resume({ epoch: "old", pos: 6 })
      const behind = yield* resume({ epoch: "old", pos: 9 })
      const older = yield* resume({ epoch: "older", pos: 0 })
      const same = yield* resume({ epoch, pos: 0 })
      yield* rest
      expect(told(before.sink)).toEqual(["resume.reset 0", "error 1", "error 2", "final 4"])
      expect(told(between.sink)).toEqual(["resume.reset 0", "error 2", "final 4"])
      expect(told(behind.sink)).toEqual(["resume.reset 0", "final 4"])
      expect(told(older.sink)).toEqual(["resume.reset 0", "error 3", "final 4"])
      expect(told(same.sink)).toEqual(["final 4"])
    }).pipe(Effect.provide(layer()))
  )

  it.effect("is told once, also to who leaves again in the middle of being told", () =>
    Effect.gen(function* () {
      const { epoch } = yield* EventHub.EventHub
      yield* publish(retold("a", "old", 5), retold("b", "old", 5), retold("c", "old", 4), terminal("d", "x"))
      const first = yield* resume({ epoch: "old", pos: 5 })
      yield* rest
      expect(told(first.sink)).toEqual(["resume.reset 0", "error 1", "error 2", "final 4"])
      // It has read the reset and the first of them.
      const reset = first.sink.frames[0]?.payload
      expect(reset?.["epoch"]).toBe(first.begin.epoch)
      const second = yield* resume({ epoch: String(reset?.["epoch"]), pos: 1 })
      yield* rest
      expect(told(second.sink)).toEqual(["error 2", "final 4"])
      const third = yield* resume({ epoch: second.begin.epoch, pos: 2 })
      yield* rest
      expect(told(third.sink)).toEqual(["final 4"])
      // There is nothing left for which the old life matters.
      expect(third.begin.epoch).toBe(epoch)
    }).pipe(Effect.provide(layer()))
  )
})

describe("while a connection catches up", () => {
  it.effect("it is given no more than its reader takes, and its replies flow", () =>
    Effect.gen(function* () {
      yield* publish(...Array.from({ length: 50 }, (_, at) => terminal(`r${at}`, large)))
      const { outbox, sink } = yield* resumeAt(0)
      sink.stall()
      yield* rest
      // One in the socket, one that waits.
      expect(told(sink)).toEqual(["final 1"])
      outbox.response(encodeResponse("q", { ok: true, payload: null }))
      for (let round = 0; round < 60; round++) {
        sink.take()
        sink.stall()
        outbox.drained()
        yield* rest
      }
      expect(sink.closedWith).toBeUndefined()
      expect(told(sink)).toEqual(Array.from({ length: 50 }, (_, at) => `final ${at + 1}`))
      expect(sink.frames.findIndex(({ id }) => id === "q")).toBe(2)
      yield* publish(activity("live"))
      expect(told(sink).at(-1)).toBe("agent 51")
    }).pipe(Effect.provide(layer()))
  )

  it.effect("what it has yet to get may be given up: it is told, and gets what is kept", () =>
    Effect.gen(function* () {
      const large = "x".repeat(70_000)
      yield* publish(piece("Delta", "a", large), activity("b"), terminal("c", "x"))
      const { outbox, sink } = yield* resumeAt(0)
      sink.stall()
      yield* rest
      expect(told(sink)).toEqual(["delta 1"])
      yield* publish(piece("Delta", "a", `${large}more`, { from: 70_000 }), activity("e"), activity("f"))
      sink.take()
      outbox.drained()
      yield* rest
      expect(told(sink)).toEqual(["delta 1", "agent 2", "resume.reset 2", "final 3", "agent 5", "agent 6"])
      // It did not get the piece before this one.
      yield* publish(piece("Delta", "a", `${large}more and more`, { from: 70_004 }))
      expect(sink.frames.at(-1)?.payload).toMatchObject({ pos: 7, replace: true })
    }).pipe(Effect.provide(layer({ replayMaxEvents: 3 })))
  )

  it.effect("it is told each time when more is given up than it was told of", () =>
    Effect.gen(function* () {
      yield* publish(activity("a"), activity("b"), activity("c"), activity("d"))
      const { outbox, sink } = yield* resumeAt(0)
      sink.stall()
      outbox.response(encodeResponse("q", { ok: true, payload: large }))
      yield* rest
      yield* publish(activity("e"), activity("f"), activity("g"), activity("h"))
      sink.take()
      outbox.drained()
      yield* rest
      expect(told(sink)).toEqual(["resume.reset 0", "agent 3", "resume.reset 3", "agent 7", "agent 8"])
    }).pipe(Effect.provide(layer({ replayMaxEvents: 2 })))
  )

  it.effect(
    "one that takes nothing is closed as a slow consumer; one that takes, however little, stays",
    () =>
      Effect.gen(function* () {
        yield* publish(...Array.from({ length: 9 }, (_, at) => terminal(`r${at}`, large)))
        const stalled = yield* resumeAt(0)
        const slow = yield* resumeAt(0)
        for (const { sink } of [stalled, slow]) sink.stall()
        for (let round = 0; round < 4; round++) {
          yield* TestClock.adjust("5 seconds")
          slow.sink.take(1000)
          slow.outbox.drained()
        }
        expect(stalled.sink.closedWith).toEqual(CloseCode.slowConsumer)
        expect(slow.sink.closedWith).toBeUndefined()
      }).pipe(Effect.provide(layer({ slowConsumerTimeout: Duration.seconds(15) })))
  )

  it.effect("one that leaves is forgotten, and many that come back at once take turns", () =>
    Effect.gen(function* () {
      const fanOut = yield* FanOut.FanOut
      yield* publish(...Array.from({ length: 1000 }, (_, at) => activity(`r${at}`)))
      const gone = yield* resumeAt(0)
      fanOut.detach(gone.outbox)
      gone.outbox.abandon()
      const all = yield* Effect.forEach([1, 2, 3], () => resumeAt(0))
      const late = yield* resumeAt(999)
      // The one who has missed little does not wait for those who have missed much.
      while (late.sink.frames.length === 0) yield* Effect.yieldNow()
      for (const { sink } of all) expect(sink.frames.length).toBeLessThanOrEqual(512)
      yield* fanOut.broadcast("tick", { ts: 0 })
      yield* rest
      while (all.some(({ sink }) => sink.frames.length < 1001)) yield* Effect.yieldNow()
      for (const { sink } of all) {
        const positions = sink.frames.flatMap(({ event, payload }) =>
          event === "tick" ? [] : [payload?.["pos"]]
        )
        expect(positions).toEqual(Array.from({ length: 1000 }, (_, at) => at + 1))
      }
      expect(gone.sink.frames).toEqual([])
    }).pipe(Effect.provide(layer()))
  )
})
