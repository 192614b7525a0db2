import { Effect } from "effect"

/**
 * Lets the event loop serve timers and sockets. `Effect.yieldNow` only lets other fibers run, in the same turn of the
 * loop; a long fan-out would keep every socket waiting. It is about the loop and not about time, so no Clock is asked.
 */
export const turn: Effect.Effect<void> = Effect.async((resume) => {
  const handle = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(handle))
})
