/**
 * EventHub: the broadcast of everything that happens to runs. A PubSub, for a handful of observers inside the process
 * (the fan-out to the connections, metrics, tests); a connection is not a subscriber (1,000
 * subscriptions cost about 25 µs per delivery each, measured), it hangs on the one fan-out.
 */
import { Context, Effect, Layer, PubSub, type Queue, type Scope } from "effect"
import type { HubEvent, Positioned } from "../domain/HubEvent.js"
import * as Ids from "../domain/Ids.js"

export interface EventHubShape {
  /** This life of the hub, in which positions count from 1: a new one with every start. */
  readonly epoch: string
  /**
   * Broadcasts an event and gives it the next position. Never waits: an observer that falls behind costs memory, so
   * observers must keep up. Every observer sees the events in the order of their positions; an observer that
   * subscribes later sees only later ones.
   */
  readonly publish: (event: HubEvent) => Effect.Effect<void>
  /** The same, for a synchronous section that must not yield between a decision and telling it. Gives the position. */
  readonly unsafePublish: (event: HubEvent) => number
  /** Observes all events from now on. */
  readonly subscribe: Effect.Effect<Queue.Dequeue<Positioned>, never, Scope.Scope>
  /** The position of the newest event; 0 before the first. */
  readonly position: Effect.Effect<number>
}

export class EventHub extends Context.Tag("colloquy/EventHub")<EventHub, EventHubShape>() {}

export const make: Effect.Effect<EventHubShape> = Effect.gen(function* () {
  const pubsub = yield* PubSub.unbounded<Positioned>()
  const epoch = yield* Ids.uuid
  let pos = 0
  const unsafePublish = (event: HubEvent): number => {
    pos += 1
    pubsub.unsafeOffer({ pos, event })
    return pos
  }
  return {
    epoch,
    publish: (event) =>
      Effect.sync(() => {
        unsafePublish(event)
      }),
    unsafePublish,
    subscribe: PubSub.subscribe(pubsub),
    position: Effect.sync(() => pos)
  }
})

/** A hub for one process. */
export const layer: Layer.Layer<EventHub> = Layer.effect(EventHub, make)
