/** SIGINT and SIGTERM. */
import { Deferred, Effect, FiberId, type Scope } from "effect"
import { CliError } from "./CliError.js"

export type Signal = "SIGINT" | "SIGTERM"

/** What shells say of a program that a signal has ended. */
const exitCodeOf = (signal: Signal): number => (signal === "SIGINT" ? 130 : 143)

/** The end of a command that a signal has broken off. The user wanted it so: no message. */
export const interrupted = (signal: Signal): Effect.Effect<never, CliError> =>
  Effect.fail(new CliError({ message: "", exitCode: exitCodeOf(signal) }))

/** Waits for the first signal, which is counted from the moment of this call. A second one ends the process at once. */
export const listen: Effect.Effect<Effect.Effect<Signal>, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => {
    const first = Deferred.unsafeMake<Signal>(FiberId.none)
    let received = false
    const onSignal = (signal: Signal): void => {
      if (received) process.exit(exitCodeOf(signal))
      received = true
      Deferred.unsafeDone(first, Effect.succeed(signal))
    }
    process.on("SIGINT", onSignal).on("SIGTERM", onSignal)
    return { first, stop: () => process.off("SIGINT", onSignal).off("SIGTERM", onSignal) }
  }),
  ({ stop }) => Effect.sync(stop)
).pipe(Effect.map(({ first }) => Deferred.await(first)))
