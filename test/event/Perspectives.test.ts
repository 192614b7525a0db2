/** Those who see only some sessions: what they are given, and what their positions say. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Layer, TestClock } from "effect"
import type { HubEvent } from "../../src/domain/HubEvent.js"
import type { Position } from "../../src/domain/Position.js"
import * as SessionKey from "../../src/domain/SessionKey.js"
import * as SessionPatterns from "../../src/domain/SessionPatterns.js"
import * as EventHub from "../../src/event/EventHub.js"
import * as FanOut from "../../src/event/FanOut.js"
import { Outbox } from "../../src/event/Outbox.js"
import * as GatewayConfig from "../../src/GatewayConfig.js"
import * as CloseCode from "../../src/protocol/CloseCode.js"
import * as FakeSink from "../support/FakeSink.js"

const layer = (config: Partial<GatewayConfig.GatewayConfigShape> = {}) =>
  FanOut.layer.pipe(Layer.provideMerge(EventHub.layer), Layer.provide(GatewayConfig.layer(config)))

const key = (name: string) => Either.getOrThrow(SessionKey.parse(name, FakeSink.defaults))
const patterns = (...texts: ReadonlyArray<string>) => Either.getOrThrow(SessionPatterns.parse(texts))
const alice = patterns("agent:main:alice:*")

const end = (session: string, runId: string): HubEvent => {
  const terminal = FakeSink.terminal(runId, "x")
  return { ...terminal, run: { ...terminal.run, sessionKey: key(session) } }
}
const activity = (session: string, runId: string): HubEvent => {
  const event = FakeSink.activity(runId)
  return { ...event, run: { ...event.run, sessionKey: key(session) } }
}

const publish = (...events: ReadonlyArray<HubEvent>) =>
  Effect.gen(function* () {
    const hub = yield* EventHub.EventHub
    for (const event of events) hub.unsafePublish(event)
    yield* (yield* FanOut.FanOut).flush
  })

const connect = (
  sessions: SessionPatterns.SessionPatterns,
  resume?: Position,
  positions = true,
  hearsChanges = false
) =>
  Effect.gen(function* () {
    const fanOut = yield* FanOut.FanOut
    const sink = FakeSink.make()
    const view = { version: 4 as const, deltaOnly: true, positions }
    const outbox = new Outbox({ sink, view, sessions, hearsChanges, maxBufferedBytes: 100_000 })
    const begin = fanOut.attach(outbox, resume)
    yield* rest
    return { begin, sink, outbox, leave: Effect.sync(() => fanOut.detach(outbox)) }
  })

const rest = TestClock.adjust(0)
const told = (sink: FakeSink.FakeSink) =>
  sink.frames.map(({ event, payload }) => `${event} ${payload?.["runId"] ?? ""} ${payload?.["pos"]}`)

const positionsTold = ({ sink }: { readonly sink: FakeSink.FakeSink }) =>
  sink.frames.map(({ event, payload }) => `${event} ${String(payload?.["pos"])}`)

describe("perspectives", () => {
  it.effect("positions count what is seen, whatever else happens", () =>
    Effect.gen(function* () {
      const { epoch } = yield* EventHub.EventHub
      const one = yield* connect(alice)
      const owner = yield* connect(SessionPatterns.all)
      yield* publish(end("bob", "b1"), end("alice:x", "a1"), end("bob", "b2"), end("alice:y", "a2"))
      yield* (yield* FanOut.FanOut).broadcast("tick", { ts: 1 })
      expect(told(one.sink)).toEqual(["chat a1 1", "chat a2 2", "tick  2"])
      expect(told(owner.sink)).toEqual(["chat b1 1", "chat a1 2", "chat b2 3", "chat a2 4", "tick  4"])
      expect(one.begin.pos).toBe(0)
      expect(one.begin.epoch).toMatch(new RegExp(`^${epoch}~[0-9a-f]{12}$`))
      expect(owner.begin).toEqual({ epoch, pos: 0 })
      // What others do does not show in where it begins, either.
      yield* publish(end("bob", "b3"))
      expect((yield* connect(alice)).begin).toEqual({ epoch: one.begin.epoch, pos: 2 })
    }).pipe(Effect.provide(layer()))
  )

  it.effect("who comes back is given what it has missed of its own, and no more", () =>
    Effect.gen(function* () {
      const one = yield* connect(alice)
      yield* one.leave
      yield* publish(end("alice:x", "a1"), end("bob", "b1"), end("alice:x", "a2"), end("alice:x", "a3"))
      const back = yield* connect(alice, { epoch: one.begin.epoch, pos: 1 })
      expect(told(back.sink)).toEqual(["chat a2 2", "chat a3 3"])
      yield* publish(end("bob", "b2"), end("alice:x", "a4"))
      expect(told(back.sink).at(-1)).toBe("chat a4 4")
      expect(told((yield* connect(alice, { epoch: one.begin.epoch, pos: 4 })).sink)).toEqual([])
    }).pipe(Effect.provide(layer()))
  )

  it.effect("a position of the hub, or of others, says nothing: all that is kept of its own follows", () =>
    Effect.gen(function* () {
      const { epoch } = yield* EventHub.EventHub
      yield* connect(patterns("agent:main:bob"))
      yield* publish(end("bob", "b1"), end("alice:x", "a1"), end("bob", "b2"))
      const forged = yield* connect(alice, { epoch, pos: 2 })
      expect(told(forged.sink)).toEqual(["resume.reset  0", "chat a1 1"])
      expect(forged.sink.frames[0]?.payload).toMatchObject({ reason: "epoch", epoch: forged.begin.epoch })
      const ahead = yield* connect(alice, { epoch: forged.begin.epoch, pos: 3 })
      expect(told(ahead.sink)).toEqual(["resume.reset  1"])
      expect(ahead.sink.frames[0]?.payload).toMatchObject({ reason: "expired" })
    }).pipe(Effect.provide(layer()))
  )

  it.effect("what is given up of others is nothing that it misses; of its own, it is told", () =>
    Effect.gen(function* () {
      const one = yield* connect(alice)
      yield* one.leave
      yield* publish(activity("bob", "b1"), end("alice:x", "a1"))
      yield* publish(...Array.from({ length: 20 }, (_, at) => activity("bob", `b${at}`)))
      expect(told((yield* connect(alice, one.begin)).sink)).toEqual(["chat a1 1"])
      yield* publish(activity("alice:x", "a2"))
      yield* publish(...Array.from({ length: 20 }, (_, at) => activity("bob", `b${at}`)))
      yield* publish(end("alice:x", "a3"))
      expect(told((yield* connect(alice, { ...one.begin, pos: 1 })).sink)).toEqual([
        "resume.reset  1",
        "chat a3 3"
      ])
    }).pipe(Effect.provide(layer({ replayMaxEvents: 10 })))
  )

  it.effect("who hears of changes of sessions is told when some of its own are gone, and nobody else", () =>
    Effect.gen(function* () {
      const change = (session: string) => FakeSink.changed("patch", { sessionKey: key(session) })
      const one = yield* connect(alice)
      const bob = yield* connect(patterns("agent:main:bob:*"))
      for (const { leave } of [one, bob]) yield* leave
      yield* publish(change("alice:x"), change("bob:x"), change("alice:y"), change("alice:z"))
      yield* publish(end("alice:x", "a1"), end("bob:x", "b1"))
      const back = (at: Position, hearsChanges: boolean) =>
        Effect.map(
          connect(
            at.epoch === one.begin.epoch ? alice : patterns("agent:main:bob:*"),
            at,
            true,
            hearsChanges
          ),
          positionsTold
        )
      expect(yield* back(one.begin, true)).toEqual([
        "resume.reset 0",
        "sessions.changed 2",
        "sessions.changed 3",
        "chat 4"
      ])
      expect(yield* back(one.begin, false)).toEqual(["chat 4"])
      expect(yield* back(bob.begin, true)).toEqual(["resume.reset 0", "chat 2"])
      expect(yield* back({ ...bob.begin, pos: 1 }, true)).toEqual(["chat 2"])
    }).pipe(Effect.provide(layer({ replayMaxEvents: 8 })))
  )

  it.effect("it goes on counting over thousands of events of which few are kept", () =>
    Effect.gen(function* () {
      const one = yield* connect(alice)
      for (let at = 0; at < 3000; at++) {
        const piece = FakeSink.piece("Delta", "long", "x".repeat(at % 7))
        yield* publish({ ...piece, run: { ...piece.run, sessionKey: key("alice:x") } }, end("bob", `b${at}`))
      }
      yield* publish(end("alice:x", "a1"))
      expect(told(one.sink).at(-1)).toBe("chat a1 3001")
      expect(told((yield* connect(alice, { ...one.begin, pos: 3000 })).sink)).toEqual(["chat a1 3001"])
      expect(told((yield* connect(alice, { ...one.begin, pos: 17 })).sink)).toEqual([
        "chat long 3000",
        "chat a1 3001"
      ])
      expect(told((yield* connect(alice, { ...one.begin, pos: 3001 })).sink)).toEqual([])
    }).pipe(Effect.provide(layer({ replayMaxEvents: 200 })))
  )

  it.effect("who sees the same shares a perspective; observers are told the positions of ends", () =>
    Effect.gen(function* () {
      const fanOut = yield* FanOut.FanOut
      const seen: Array<FanOut.SeenTerminal> = []
      fanOut.observe((one) => seen.push(one))
      const one = yield* connect(alice)
      const same = yield* connect(patterns("agent:main:ALICE:*"))
      const other = yield* connect(patterns("agent:*"))
      expect(same.begin).toEqual(one.begin)
      const idOf = ({ epoch }: Position) => epoch.split("~")[1] ?? ""
      yield* publish(end("bob", "b1"), end("alice:x", "a1"), activity("alice:x", "a2"))
      expect(seen).toEqual([
        { runId: "b1", perspectives: { [idOf(other.begin)]: 1 } },
        { runId: "a1", perspectives: { [idOf(one.begin)]: 1, [idOf(other.begin)]: 2 } }
      ])
    }).pipe(Effect.provide(layer()))
  )
})

describe("a reader that takes less than comes", () => {
  const large = "x".repeat(40_000)
  const flood = (from: number, count: number) =>
    publish(
      ...Array.from({ length: count }, (_, at): HubEvent => {
        const terminal = FakeSink.terminal(`r${from + at}`, large)
        return terminal
      })
    )

  it.effect("is not closed as long as it takes something, and gets every end in order", () =>
    Effect.gen(function* () {
      const slow = yield* connect(SessionPatterns.all)
      const well = yield* connect(SessionPatterns.all)
      slow.sink.stall()
      yield* flood(0, 40)
      // What waits for it is bounded.
      expect(slow.outbox.isFull).toBe(true)
      for (let round = 0; round < 100 && slow.outbox.isBacklogged; round++) {
        yield* TestClock.adjust("10 seconds")
        slow.sink.take()
        slow.outbox.drained()
        yield* rest
      }
      expect(slow.sink.closedWith).toBeUndefined()
      expect(told(slow.sink)).toEqual(told(well.sink))
      expect(told(well.sink)).toHaveLength(40)
    }).pipe(Effect.provide(layer()))
  )

  it.effect("is told when some of it is gone meanwhile; one that does not know positions is closed", () =>
    Effect.gen(function* () {
      const slow = yield* connect(SessionPatterns.all)
      const old = yield* connect(SessionPatterns.all, undefined, false)
      for (const { sink } of [slow, old]) sink.stall()
      yield* flood(0, 40)
      for (let round = 0; round < 60; round++) {
        for (const { outbox, sink } of [slow, old]) {
          sink.take()
          outbox.drained()
        }
        yield* rest
      }
      expect(old.sink.closedWith).toEqual(CloseCode.slowConsumer)
      expect(slow.sink.closedWith).toBeUndefined()
      expect(told(slow.sink).some((frame) => frame.startsWith("resume.reset"))).toBe(true)
      expect(told(slow.sink).at(-1)).toBe("chat r39 40")
    }).pipe(Effect.provide(layer({ replayMaxEvents: 10 })))
  )
})
