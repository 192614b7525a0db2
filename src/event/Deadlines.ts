/**
 * Deadlines that are all equally far away, so they come in the order in which they were set: one fiber serves them all, and
 * neither a connection nor a run costs a timer and a fiber of its own.
 */
import { Duration, Effect, Queue, type Scope } from "effect"

/** Something that happens at a time unless it is cancelled before. */
export interface Deadline {
  readonly cancel: () => void
}

/** Gives what sets a deadline. `fire` must neither throw nor wait. */
export const make = (
  after: Duration.Duration
): Effect.Effect<(fire: () => void) => Deadline, never, Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Effect.clock
    const due = yield* Queue.unbounded<{ readonly at: number; fire: (() => void) | undefined }>()
    yield* Effect.gen(function* () {
      while (true) {
        const next = yield* Queue.take(due)
        if (next.fire === undefined) continue
        const wait = next.at - clock.unsafeCurrentTimeMillis()
        if (wait > 0) yield* Effect.sleep(wait)
        next.fire?.()
      }
    }).pipe(Effect.forkScoped)
    return (fire: () => void): Deadline => {
      const entry = {
        at: clock.unsafeCurrentTimeMillis() + Duration.toMillis(after),
        fire: fire as typeof fire | undefined
      }
      due.unsafeOffer(entry)
      return {
        cancel: () => {
          // What is cancelled must not be kept until its time has come.
          entry.fire = undefined
        }
      }
    }
  })
