/** One gateway for many tests, where building one for each would take longer than the tests. */
import { afterAll, beforeAll } from "@effect/vitest"
import { Effect, Layer, Logger, ManagedRuntime, type Scope, TestContext } from "effect"

/** What a test runs in: a TestClock of its own, and no log. */
export const quiet = Layer.provide(TestContext.TestContext, Logger.remove(Logger.defaultLogger))

/**
 * Builds the layer before the tests of the enclosing block and closes it behind them; answers how to run an effect on it,
 * under its own TestClock.
 *
 * `layer` of @effect/vitest 0.30 is not used: it replaces the methods of the one global `it`, so that every later
 * `it.effect`, in other files too, would run on this layer and under its clock.
 */
export const shared = <R, E>(layer: Layer.Layer<R, E>) => {
  const runtime = ManagedRuntime.make(Layer.provideMerge(layer, quiet))
  beforeAll(() => runtime.runPromise(Effect.void))
  afterAll(() => runtime.dispose())
  return <A, E1>(effect: Effect.Effect<A, E1, R | Scope.Scope>): Promise<A> =>
    runtime.runPromise(Effect.scoped(effect))
}
