/**
 * FanOut: the one subscriber of the EventHub that serves the connections. It knows the local connections only; what it
 * keeps for those that come back (`Replay`) is bounded, and is never the log.
 *
 * A connection that resumes is behind until it has been given what it missed. It becomes live in the same synchronous step
 * in which that is done, and an event reaches the live ones in the same step as the replay buffer: so there is neither a gap
 * nor a duplicate in between.
 */
import { Clock, Context, Deferred, Duration, Effect, Layer, Queue } from "effect"
import { type Positioned, sessionKeyOf } from "../domain/HubEvent.js"
import type { RunId } from "../domain/Ids.js"
import * as Ids from "../domain/Ids.js"
import * as Position from "../domain/Position.js"
import * as CloseCode from "../protocol/CloseCode.js"
import { GatewayConfig } from "../GatewayConfig.js"
import * as EventLoop from "./EventLoop.js"
import { Broadcast } from "./Broadcast.js"
import { CatchUp } from "./CatchUp.js"
import { EventHub } from "./EventHub.js"
import type { Outbox } from "./Outbox.js"
import type { Perspective } from "./Perspective.js"
import { Perspectives } from "./Perspectives.js"
import { Replay } from "./Replay.js"

export interface FanOutShape {
  /**
   * The connection gets every event from now on that it may see; with `resume`, first those that it missed since it was
   * there. Synchronous: no event falls in between, and nothing is sent yet, so that the caller can say first where the
   * connection begins. That is the answer: `pos` is what the live connections have been given; `epoch` is to be told as it
   * is, since for a client that comes from an older epoch it may say more than which life this is.
   */
  readonly attach: (outbox: Outbox, resume?: Position.Position) => Position.Position
  readonly detach: (outbox: Outbox) => void
  /** Is told of each terminal event that somebody sees who does not see everything, which position it had for whom. */
  readonly observe: (observer: (seen: SeenTerminal) => void) => void
  /** Sends something to every connection, behind all events published before. */
  readonly broadcast: (name: "tick" | "shutdown", payload: object) => Effect.Effect<void>
  /** Waits until all events published before have been handed to the live connections. */
  readonly flush: Effect.Effect<void>
}

/** The positions of a terminal event by perspective. */
export interface SeenTerminal {
  readonly runId: RunId
  readonly perspectives: Readonly<Record<string, number>>
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
  /** Those of them that see everything; the others hang on their perspectives. */
  const live = new Set<Outbox>()
  const behind = new Map<Outbox, CatchUp>()
  /** How many connections are told what was done to sessions. */
  let hearers = 0
  /** Those of the connections behind that can take more. */
  const ready = yield* Queue.unbounded<CatchUp>()
  let delivered = yield* hub.position
  const perspectives = new Perspectives(yield* Ids.uuid)
  const replay = new Replay(
    {
      maxEvents: config.replayMaxEvents,
      maxBytes: config.replayMaxBytes,
      onLoss: ({ event, pos }) => {
        const isChange = event._tag === "SessionChanged"
        for (const perspective of perspectives.of(sessionKeyOf(event))) perspective.lose(pos, isChange)
      }
    },
    delivered
  )
  const observers: Array<(seen: SeenTerminal) => void> = []
  let flushes: Array<{ readonly pos: number; readonly done: Deferred.Deferred<void> }> = []

  /** That of a connection; null: it sees everything. A new one counts what is kept. */
  const perspectiveOf = ({ sessions }: Outbox): Perspective | null =>
    sessions.isAll
      ? null
      : perspectives.for(sessions, (perspective) => {
          for (const { event, pos } of replay.after(0, Number.POSITIVE_INFINITY))
            if (perspective.sees(sessionKeyOf(event))) perspective.push(pos)
        })

  const hereOf = (perspective: Perspective | null) => ({ life: hub.epoch, replay, perspective })

  /** Gives an event to live connections. Whoever can take no more gets it, and what follows, when it has taken the rest. */
  const give = (
    connections: Set<Outbox>,
    perspective: Perspective | null,
    broadcast: Broadcast,
    pos: number,
    position: number
  ): void => {
    const isChange = broadcast.event?._tag === "SessionChanged"
    if (isChange && hearers === 0) return
    for (const outbox of connections) {
      if (isChange && !outbox.hearsChanges) continue
      if (!outbox.isFull) {
        outbox.event(broadcast, position)
        continue
      }
      connections.delete(outbox)
      const one = CatchUp.fallBehind(outbox, hereOf(perspective), pos - 1, position - 1)
      behind.set(outbox, one)
      outbox.whenWritable(() => ready.unsafeOffer(one))
    }
  }

  const deliver = (positioned: Positioned): number => {
    const { event, pos } = positioned
    const seers = perspectives.of(sessionKeyOf(event))
    // Before it is kept: it may be given up at once, and whoever sees it has missed it at the position that it has there.
    for (const perspective of seers) perspective.push(pos)
    replay.push(positioned)
    // What is retold is for those who come from there.
    const isRetold = event._tag === "Terminal" && event.retold !== undefined
    const broadcast = Broadcast.of(positioned)
    let given = live.size
    if (!isRetold) give(live, null, broadcast, pos, pos)
    for (const perspective of seers) {
      perspective.thin((kept) => replay.keeps(kept))
      given += perspective.live.size
      if (!isRetold) give(perspective.live, perspective, broadcast, pos, perspective.position)
    }
    if (event._tag === "Terminal" && !isRetold && seers.length > 0) {
      const seen = Object.fromEntries(seers.map(({ id, position }) => [id, position]))
      for (const observer of observers) observer({ runId: event.run.runId, perspectives: seen })
    }
    delivered = pos
    return given
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
        yield* breathe(deliver(positioned))
      }
      yield* settleFlushes
    }
  }).pipe(Effect.forkScoped)

  const attached = new Map<Outbox, Perspective | null>()
  const liveOf = (outbox: Outbox): Set<Outbox> => attached.get(outbox)?.live ?? live

  /** Gives a connection what comes next; answers how many events were looked at. */
  const advance = (one: CatchUp): number => {
    const { outbox } = one
    if (behind.get(outbox) !== one) return 0
    const { isLive, looked } = one.advance(delivered)
    if (isLive) {
      behind.delete(outbox)
      liveOf(outbox).add(outbox)
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
      for (const outbox of attached.keys()) judge(outbox, now)
      for (const outbox of stalls.keys()) if (!attached.has(outbox)) stalls.delete(outbox)
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
      const perspective = perspectiveOf(outbox)
      attached.set(outbox, perspective)
      if (outbox.hearsChanges) hearers += 1
      if (perspective !== null) perspective.attached += 1
      const pos = perspective === null ? delivered : perspective.position
      if (resume === undefined) {
        liveOf(outbox).add(outbox)
        return { epoch: Position.makeEpoch(hub.epoch, perspective?.id), pos }
      }
      const one = CatchUp.resume(outbox, hereOf(perspective), resume, delivered)
      behind.set(outbox, one)
      ready.unsafeOffer(one)
      return { epoch: one.epoch, pos }
    },
    detach: (outbox) => {
      liveOf(outbox).delete(outbox)
      if (outbox.hearsChanges && attached.has(outbox)) hearers -= 1
      const perspective = attached.get(outbox)
      if (perspective) perspective.attached -= 1
      attached.delete(outbox)
      behind.delete(outbox)
    },
    observe: (observer) => void observers.push(observer),
    broadcast: (name, payload) =>
      Effect.map(flush, () => {
        const broadcast = Broadcast.plain(name, payload, delivered)
        for (const [outbox, perspective] of attached) {
          const position = behind.get(outbox)?.position ?? perspective?.position
          outbox.event(broadcast, position)
        }
      }),
    flush
  })
})

export const layer: Layer.Layer<FanOut, never, EventHub | GatewayConfig> = Layer.scoped(FanOut, make)
