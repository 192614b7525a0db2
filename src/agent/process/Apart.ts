/** Apart: what has to be brought to its end, whatever becomes of the fiber that asks for it. */
import { Effect, Fiber } from "effect"

/**
 * Runs an effect in a fiber of its own and waits for it, uninterruptibly. For finalizers that wait with a limit: each further
 * interruption of a fiber (the run registry interrupts its agents twice) is passed on to its children at once, and a limit is
 * made of children that can be interrupted; so it would break the wait off, with all that stands behind it.
 */
export const apart = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.uninterruptible(Effect.flatMap(Effect.forkDaemon(effect), Fiber.join))
