/**
 * Followers: those in this process who wait for the answer of one run, for as long as that takes: an HTTP request. One
 * subscription of the hub serves all of them. Whoever is slow sees the newest text, not each piece.
 */
import { Context, Deferred, Effect, FiberId, Layer, Queue, type Scope } from "effect"
import type { HubEvent, Terminal } from "../domain/HubEvent.js"
import type { RunId } from "../domain/Ids.js"
import { EventHub } from "../event/EventHub.js"

/** What is known of an answer. */
export interface Progress {
  /** The whole text so far. */
  readonly text: string
  /** How it ended; undefined: it goes on. */
  readonly end: Terminal | undefined
}

export interface Follower {
  /** Waits until there is more than what was taken the last time; behind the end, for ever. */
  readonly next: Effect.Effect<Progress>
}

export interface FollowersShape {
  /** Follows a run from now on, until the scope closes. Synchronous: what is published behind it is not missed. */
  readonly follow: (runId: RunId) => Effect.Effect<Follower, never, Scope.Scope>
  /** How many follow a run. */
  readonly count: (runId: RunId) => number
}

export class Followers extends Context.Tag("colloquy/Followers")<Followers, FollowersShape>() {}

class One implements Follower {
  #progress: Progress = { text: "", end: undefined }
  #isNew = false
  #waiting: Deferred.Deferred<void> | undefined

  readonly next: Effect.Effect<Progress> = Effect.suspend(() => {
    if (this.#isNew) {
      this.#isNew = false
      return Effect.succeed(this.#progress)
    }
    this.#waiting ??= Deferred.unsafeMake(FiberId.none)
    return Effect.zipRight(Deferred.await(this.#waiting), this.next)
  })

  take(progress: Progress): void {
    this.#progress = progress
    this.#isNew = true
    const waiting = this.#waiting
    this.#waiting = undefined
    if (waiting !== undefined) Deferred.unsafeDone(waiting, Effect.void)
  }
}

const make = Effect.gen(function* () {
  const hub = yield* EventHub
  const events = yield* hub.subscribe
  const followed = new Map<RunId, Set<One>>()

  const tell = (event: HubEvent): void => {
    if (event._tag !== "Delta" && event._tag !== "Terminal") return
    const followers = followed.get(event.run.runId)
    if (followers === undefined) return
    const progress = { text: event.text, end: event._tag === "Terminal" ? event : undefined }
    for (const follower of followers) follower.take(progress)
  }
  yield* Queue.takeBetween(events, 1, 256).pipe(
    Effect.map((batch) => {
      for (const { event } of batch) tell(event)
    }),
    Effect.forever,
    Effect.forkScoped
  )

  return Followers.of({
    follow: (runId) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const follower = new One()
          const others = followed.get(runId) ?? new Set()
          followed.set(runId, others.add(follower))
          return follower
        }),
        (follower) =>
          Effect.sync(() => {
            const others = followed.get(runId)
            others?.delete(follower)
            if (others?.size === 0) followed.delete(runId)
          })
      ),
    count: (runId) => followed.get(runId)?.size ?? 0
  })
})

export const layer: Layer.Layer<Followers, never, EventHub> = Layer.scoped(Followers, make)
