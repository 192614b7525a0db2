/**
 * FanOut: the one subscriber of the EventHub that serves the connections. It knows the local connections only; what it
 * keeps for those that come back (`Replay`) is bounded, and is never the log.
 *
 * A connection that resumes is behind until it has been given what it missed. It becomes live in the same synchronous step
 * in which that is done, and an event reaches the live ones in the same step as the replay buffer: so there is neither a gap
 * nor a duplicate in between.
 */
import { Clock, Context, Deferred, Duration, Effect, Layer, Queue } from "effect"
import type { Positioned } from "../domain/HubEvent.js"
import type { Position } from "../domain/Position.js"
import * as CloseCode from "../protocol/CloseCode.js"
import { GatewayConfig } from "../GatewayConfig.js"
import * as EventLoop from "./EventLoop.js"
import { Broadcast } from "./Broadcast.js"
import { CatchUp } from "./CatchUp.js"
import { EventHub } from "./EventHub.js"
import type { Outbox } from "./Outbox.js"
import { Replay } from "./Replay.js"

export interface FanOutShape {
  /**
   * The connection gets every event from now on that it may see; with `resume`, first those that it missed since it was
   * there. Synchronous: no event falls in between, and nothing is sent yet, so that the caller can say first where the
   * connection begins. That is the answer: `pos` is what the live connections have been given; `epoch` is to be told as it
   * is, since for a client that comes from an older epoch it may say more than which life this is.
   */
  readonly attach: (outbox: Outbox, resume?: Position) => Position
  readonly detach: (outbox: Outbox) => void
  /** Sends something to every connection, behind all events published before. */
  readonly broadcast: (name: "tick" | "shutdown", payload: object) => Effect.Effect<void>
  /** Waits until all events published before have been handed to the live connections. */
  readonly flush: Effect.Effect<void>
}

export class FanOut extends Context.Tag("colloquy/FanOut")<FanOut, FanOutShape>() {}

/** Deliveries after which the event loop gets a turn: about 10 ms of work. */
const deliveriesPerTurn = 2048
/** The same for what is replayed, which is encoded for each connection. */
const replaysPerTurn = 512

const make = Effect.gen(function* () {
  const hub = yield* EventHub
  const config = yield* GatewayConfig
  const events = yield* hub.subscribe
  const live = new Set<Outbox>()
  const behind = new Map<Outbox, CatchUp>()
  /** Those of the connections behind that can take more. */
  const ready = yield* Queue.unbounded<CatchUp>()
  let delivered = yield* hub.position
  const replay = new Replay({ maxEvents: config.replayMaxEvents, maxBytes: config.replayMaxBytes }, delivered)
  let flushes: Array<{ readonly pos: number; readonly done: Deferred.Deferred<void> }> = []

  const deliver = (positioned: Positioned): void => {
    const { event, pos } = positioned
    replay.push(positioned)
    // What is retold is for those who come from there.
    if (event._tag !== "Terminal" || event.retold === undefined) {
      const broadcast = Broadcast.of(positioned)
      for (const outbox of live) if (outbox.sees(broadcast.sessionKey)) outbox.event(broadcast)
    }
    delivered = pos
  }

  const settleFlushes = Effect.suspend(() => {
    if (flushes.length === 0) return Effect.void
    const due = flushes.filter(({ pos }) => pos <= delivered)
    flushes = flushes.filter(({ pos }) => pos > delivered)
    return Effect.forEach(due, ({ done }) => Deferred.succeed(done, undefined), { discard: true })
  })

  yield* Effect.gen(function* () {
    const breathe = EventLoop.turnEvery(deliveriesPerTurn)
    while (true) {
      for (const positioned of yield* Queue.takeBetween(events, 1, 256)) {
        deliver(positioned)
        yield* breathe(live.size)
      }
      yield* settleFlushes
    }
  }).pipe(Effect.forkScoped)

  /** Gives a connection what comes next; answers how many events were looked at. */
  const advance = (one: CatchUp): number => {
    const { outbox } = one
    if (behind.get(outbox) !== one) return 0
    const { isLive, looked } = one.advance(delivered)
    if (isLive) {
      behind.delete(outbox)
      live.add(outbox)
    } else {
      outbox.whenWritable(() => ready.unsafeOffer(one))
    }
    return looked
  }

  // One for all of them: however many come back at once, they take turns, and the event loop gets its own.
  yield* Effect.gen(function* () {
    const breathe = EventLoop.turnEvery(replaysPerTurn)
    while (true) yield* breathe(1 + advance(yield* Queue.take(ready)))
  }).pipe(Effect.forkScoped)

  // A reader is judged by what it takes, not by how much waits for it.
  const stalls = new Map<Outbox, { readonly taken: number; readonly since: number }>()
  const patience = Duration.toMillis(config.slowConsumerTimeout)
  const judge = (outbox: Outbox, now: number): void => {
    if (!outbox.isBacklogged) {
      stalls.delete(outbox)
      return
    }
    const stall = stalls.get(outbox)
    if (stall === undefined || stall.taken !== outbox.taken)
      stalls.set(outbox, { taken: outbox.taken, since: now })
    else if (now - stall.since >= patience) outbox.close(CloseCode.slowConsumer)
  }
  yield* Clock.currentTimeMillis.pipe(
    Effect.map((now) => {
      for (const outbox of live) judge(outbox, now)
      for (const outbox of behind.keys()) judge(outbox, now)
      for (const outbox of stalls.keys()) if (!live.has(outbox) && !behind.has(outbox)) stalls.delete(outbox)
    }),
    Effect.delay(Duration.millis(Math.max(1, patience / 4))),
    Effect.forever,
    Effect.forkScoped
  )

  const flush = Effect.flatMap(hub.position, (pos) =>
    pos <= delivered
      ? Effect.void
      : Effect.flatMap(Deferred.make<void>(), (done) => {
          flushes.push({ pos, done })
          return Deferred.await(done)
        })
  )

  return FanOut.of({
    attach: (outbox, resume) => {
      const at = { epoch: hub.epoch, pos: delivered }
      if (resume === undefined) {
        live.add(outbox)
        return at
      }
      const one = new CatchUp(outbox, resume, replay, at)
      behind.set(outbox, one)
      ready.unsafeOffer(one)
      return { epoch: one.epoch, pos: delivered }
    },
    detach: (outbox) => {
      live.delete(outbox)
      behind.delete(outbox)
    },
    broadcast: (name, payload) =>
      Effect.map(flush, () => {
        const broadcast = Broadcast.plain(name, payload, delivered)
        for (const outbox of live) outbox.event(broadcast)
        for (const [outbox, { cursor }] of behind) outbox.event(Broadcast.plain(name, payload, cursor))
      }),
    flush
  })
})

export const layer: Layer.Layer<FanOut, never, EventHub | GatewayConfig> = Layer.scoped(FanOut, make)
