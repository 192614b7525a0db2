/**
 * FanOut: the one subscriber of the EventHub that serves the connections. It knows the local connections only and is
 * never the log.
 */
import { Clock, Context, Deferred, Duration, Effect, Layer, Queue } from "effect"
import type { EventName } from "../protocol/Event.js"
import * as CloseCode from "../protocol/CloseCode.js"
import { GatewayConfig } from "../GatewayConfig.js"
import * as EventLoop from "./EventLoop.js"
import { Broadcast } from "./Broadcast.js"
import { EventHub } from "./EventHub.js"
import type { Outbox } from "./Outbox.js"

export interface FanOutShape {
  /** The connection gets every event from now on that it may see. Synchronous: no event falls in between. */
  readonly attach: (outbox: Outbox) => void
  readonly detach: (outbox: Outbox) => void
  /** Sends something to every connection, behind all events published before. */
  readonly broadcast: (name: EventName, payload: unknown) => Effect.Effect<void>
  /** Waits until all events published before have been handed to the connections. */
  readonly flush: Effect.Effect<void>
}

export class FanOut extends Context.Tag("colloquy/FanOut")<FanOut, FanOutShape>() {}

/** Deliveries after which the event loop gets a turn: about 10 ms of work. */
const deliveriesPerTurn = 2048

const make = Effect.gen(function* () {
  const hub = yield* EventHub
  const config = yield* GatewayConfig
  const events = yield* hub.subscribe
  const outboxes = new Set<Outbox>()
  let delivered = yield* hub.position
  let flushes: Array<{ readonly pos: number; readonly done: Deferred.Deferred<void> }> = []

  const deliver = (broadcast: Broadcast): void => {
    for (const outbox of outboxes) if (outbox.sees(broadcast.sessionKey)) outbox.event(broadcast)
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
      for (const { event, pos } of yield* Queue.takeBetween(events, 1, 256)) {
        deliver(Broadcast.of(event))
        delivered = pos
        yield* breathe(outboxes.size)
      }
      yield* settleFlushes
    }
  }).pipe(Effect.forkScoped)

  // A reader is judged by what it takes, not by how much waits for it.
  const stalls = new Map<Outbox, { readonly taken: number; readonly since: number }>()
  const patience = Duration.toMillis(config.slowConsumerTimeout)
  yield* Clock.currentTimeMillis.pipe(
    Effect.map((now) => {
      for (const outbox of outboxes) {
        if (!outbox.isBacklogged) {
          stalls.delete(outbox)
          continue
        }
        const stall = stalls.get(outbox)
        if (stall === undefined || stall.taken !== outbox.taken)
          stalls.set(outbox, { taken: outbox.taken, since: now })
        else if (now - stall.since >= patience) outbox.close(CloseCode.slowConsumer)
      }
      for (const outbox of stalls.keys()) if (!outboxes.has(outbox)) stalls.delete(outbox)
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
    attach: (outbox) => void outboxes.add(outbox),
    detach: (outbox) => void outboxes.delete(outbox),
    broadcast: (name, payload) =>
      Effect.zipRight(
        flush,
        Effect.sync(() => deliver(Broadcast.plain(name, payload)))
      ),
    flush
  })
})

export const layer: Layer.Layer<FanOut, never, EventHub | GatewayConfig> = Layer.scoped(FanOut, make)
