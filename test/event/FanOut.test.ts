import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, TestClock } from "effect"
import * as SessionPatterns from "../../src/domain/SessionPatterns.js"
import * as EventHub from "../../src/event/EventHub.js"
import * as FanOut from "../../src/event/FanOut.js"
import { Outbox } from "../../src/event/Outbox.js"
import * as GatewayConfig from "../../src/GatewayConfig.js"
import * as CloseCode from "../../src/protocol/CloseCode.js"
import { encodeResponse } from "../../src/protocol/Frame.js"
import * as FakeSink from "../support/FakeSink.js"

const layer = FanOut.layer.pipe(
  Layer.provideMerge(EventHub.layer),
  Layer.provide(GatewayConfig.layer({ slowConsumerTimeout: Duration.seconds(15) }))
)

const make = (sees = true) => {
  const sink = FakeSink.make()
  const outbox = new Outbox({
    sink,
    view: { version: 4, deltaOnly: false, positions: false },
    sessions: sees ? SessionPatterns.all : SessionPatterns.none,
    maxBufferedBytes: 10_000_000
  })
  return { sink, outbox }
}

/** A reader that has more before it than its socket takes. */
const backlogged = () => {
  const { outbox, sink } = make()
  sink.stall()
  outbox.response(encodeResponse("big", { ok: true, payload: "x".repeat(1_000_000) }))
  return { outbox, sink }
}

const delta = (text: string) => FakeSink.piece("Delta", "r1", text)
const namesOf = (sink: FakeSink.FakeSink) => sink.frames.map(({ event }) => event)

describe("FanOut", () => {
  it.effect("each life of the hub has an epoch of its own, and counts from 1", () =>
    Effect.gen(function* () {
      const [one, other] = yield* Effect.all([EventHub.make, EventHub.make])
      expect(one.epoch).not.toBe(other.epoch)
      yield* one.publish(delta("a"))
      expect(yield* Effect.all([one.position, other.position])).toEqual([1, 0])
    })
  )

  it.effect("hands every event to every connection that may see it, in order", () =>
    Effect.gen(function* () {
      const hub = yield* EventHub.EventHub
      const fanOut = yield* FanOut.FanOut
      const [one, blind, late] = [make(), make(false), make()]
      fanOut.attach(one.outbox)
      fanOut.attach(blind.outbox)
      yield* hub.publish(delta("a"))
      yield* hub.publish(FakeSink.terminal("r1", "a"))
      yield* fanOut.flush
      fanOut.attach(late.outbox)
      yield* fanOut.broadcast("tick", { ts: 7 })
      fanOut.detach(one.outbox)
      yield* hub.publish(delta("b"))
      yield* fanOut.flush
      expect(namesOf(one.sink)).toEqual(["chat", "chat", "tick"])
      expect(namesOf(blind.sink)).toEqual(["tick"])
      expect(namesOf(late.sink)).toEqual(["tick", "chat"])
    }).pipe(Effect.provide(layer))
  )

  it.effect("a broadcast comes behind all events published before it", () =>
    Effect.gen(function* () {
      const hub = yield* EventHub.EventHub
      const fanOut = yield* FanOut.FanOut
      const { outbox, sink } = make()
      fanOut.attach(outbox)
      for (let at = 0; at < 600; at++) hub.unsafePublish(FakeSink.terminal(`r${at}`, "x"))
      yield* fanOut.broadcast("shutdown", { reason: "test" })
      expect(sink.frames).toHaveLength(601)
      expect(sink.frames.at(-1)?.event).toBe("shutdown")
    }).pipe(Effect.provide(layer))
  )

  it.effect("flush waits until everything published before is handed over, and for nothing else", () =>
    Effect.gen(function* () {
      const hub = yield* EventHub.EventHub
      const fanOut = yield* FanOut.FanOut
      yield* fanOut.flush
      // More deliveries than the event loop is kept busy with in one go.
      const readers = Array.from({ length: 300 }, () => make())
      for (const { outbox } of readers) fanOut.attach(outbox)
      for (let at = 0; at < 20; at++) hub.unsafePublish(FakeSink.terminal(`r${at}`, "x"))
      const flushes = yield* Effect.forEach([1, 2, 3], () => Effect.fork(fanOut.flush))
      yield* Fiber.joinAll(flushes)
      expect(readers.map(({ sink }) => sink.frames.length)).toEqual(readers.map(() => 20))
    }).pipe(Effect.provide(layer))
  )

  it.effect("a reader that takes nothing for 15 s is closed as a slow consumer, and nobody else is", () =>
    Effect.gen(function* () {
      const fanOut = yield* FanOut.FanOut
      const stalled = backlogged()
      const well = make()
      fanOut.attach(stalled.outbox)
      fanOut.attach(well.outbox)
      yield* TestClock.adjust("15 seconds")
      expect(stalled.sink.closedWith).toBeUndefined()
      // It is looked at four times in that time.
      yield* TestClock.adjust("4 seconds")
      expect(stalled.sink.closedWith).toEqual(CloseCode.slowConsumer)
      yield* TestClock.adjust("10 minutes")
      expect(well.sink.closedWith).toBeUndefined()
    }).pipe(Effect.provide(layer))
  )

  it.effect("a reader that takes little, but takes, stays", () =>
    Effect.gen(function* () {
      const fanOut = yield* FanOut.FanOut
      const slow = backlogged()
      fanOut.attach(slow.outbox)
      for (let round = 0; round < 30; round++) {
        yield* TestClock.adjust("10 seconds")
        slow.sink.take(1000)
        slow.outbox.drained()
      }
      expect(slow.sink.closedWith).toBeUndefined()
      expect(slow.outbox.isBacklogged).toBe(true)
      yield* TestClock.adjust("20 seconds")
      expect(slow.sink.closedWith).toEqual(CloseCode.slowConsumer)
    }).pipe(Effect.provide(layer))
  )

  it.effect("a stall that ended counts no more", () =>
    Effect.gen(function* () {
      const fanOut = yield* FanOut.FanOut
      const { outbox, sink } = backlogged()
      fanOut.attach(outbox)
      yield* TestClock.adjust("14 seconds")
      sink.take()
      outbox.drained()
      yield* TestClock.adjust("4 seconds")
      sink.stall()
      outbox.response(encodeResponse("again", { ok: true, payload: "x".repeat(100_000) }))
      yield* TestClock.adjust("14 seconds")
      expect(sink.closedWith).toBeUndefined()
    }).pipe(Effect.provide(layer))
  )
})
