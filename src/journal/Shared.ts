/**
 * Shared: a look at something that may change at any moment, shared by all who ask while another look is under way. Nobody
 * gets an answer that was looked for before it was asked for.
 */
import { Deferred, Effect, FiberId, type Scope } from "effect"

export const make = <A, E>(
  look: Effect.Effect<A, E>
): Effect.Effect<Effect.Effect<A, E>, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    let busy = false
    let waiting: Deferred.Deferred<A, E> | undefined

    const begin: Effect.Effect<A, E> = Effect.suspend(() => {
      busy = true
      return Effect.onExit(look, () => {
        busy = false
        const next = waiting
        if (next === undefined) return Effect.void
        waiting = undefined
        return begin.pipe(
          Effect.exit,
          Effect.map((exit) => Deferred.unsafeDone(next, exit)),
          Effect.forkIn(scope)
        )
      })
    })

    return Effect.suspend(() => {
      if (!busy) return begin
      waiting ??= Deferred.unsafeMake<A, E>(FiberId.none)
      return Deferred.await(waiting)
    })
  })
