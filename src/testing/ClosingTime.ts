/**
 * ClosingTime: when a test is over nobody moves its clock any more, but a gateway that closes waits for graces and for
 * saves under way. Without help a test that fails in the middle of one would be reported as one that hangs.
 */
import { type Clock, Duration, Effect, Fiber, Layer, type TestClock } from "effect"

/** The same layer. While it closes under a `TestClock`, that clock moves by itself. */
export const layer = <A, E, R>(inner: Layer.Layer<A, E, R>): Layer.Layer<A, E, R> =>
  Layer.unwrapEffect(
    Effect.sync(() => {
      let moving: Fiber.RuntimeFiber<never> | undefined
      const start = Effect.flatMap(Effect.clock, (clock) =>
        isTestClock(clock)
          ? Effect.map(
              Effect.forkDaemon(Effect.interruptible(Effect.forever(clock.adjust(step)))),
              (fiber) => {
                moving = fiber
              }
            )
          : Effect.void
      )
      const stop = Effect.suspend(() => (moving === undefined ? Effect.void : Fiber.interrupt(moving)))
      // What is built last closes first.
      return finalizer(start).pipe(Layer.provideMerge(inner), Layer.provideMerge(finalizer(stop)))
    })
  )

const step = Duration.seconds(1)

const finalizer = (effect: Effect.Effect<unknown>) => Layer.scopedDiscard(Effect.addFinalizer(() => effect))

const isTestClock = (clock: Clock.Clock): clock is TestClock.TestClock => "adjust" in clock
