import { Effect } from "effect"

/**
 * Lets the event loop serve timers and sockets. `Effect.yieldNow` only lets other fibers run, in the same turn of the
 * loop; a long fan-out would keep every socket waiting. It is about the loop and not about time, so no Clock is asked.
 */
export const turn: Effect.Effect<void> = Effect.async((resume) => {
  const handle = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(handle))
})

/**
 * For work that may go on for long without a wait: told how much was done since, it answers with nothing, or, after so much
 * of it, with a turn of the event loop.
 */
export const turnEvery = (amount: number): ((done: number) => Effect.Effect<void>) => {
  let since = 0
  return (done) => {
    since += done
    if (since < amount) return Effect.void
    since = 0
    return turn
  }
}
