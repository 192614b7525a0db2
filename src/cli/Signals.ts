/** SIGINT and SIGTERM. */
import { Deferred, Effect, FiberId, type Scope } from "effect"

export type Signal = "SIGINT" | "SIGTERM"

/** What shells say of a program that a signal has ended. */
export const exitCodeOf = (signal: Signal): number => (signal === "SIGINT" ? 130 : 143)

/**
 * Waits for the first signal, which is counted from the moment of this call. From then on the same signal a second
 * time ends the process at once; another one does not, since a terminal and a supervisor may well send one each.
 */
export const listen: Effect.Effect<Effect.Effect<Signal>, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => {
    const first = Deferred.unsafeMake<Signal>(FiberId.none)
    const seen = new Set<Signal>()
    const onSignal = (signal: Signal): void => {
      if (seen.has(signal)) process.exit(exitCodeOf(signal))
      seen.add(signal)
      Deferred.unsafeDone(first, Effect.succeed(signal))
    }
    process.on("SIGINT", onSignal).on("SIGTERM", onSignal)
    return { first, stop: () => process.off("SIGINT", onSignal).off("SIGTERM", onSignal) }
  }),
  ({ stop }) => Effect.sync(stop)
).pipe(Effect.map(({ first }) => Deferred.await(first)))
