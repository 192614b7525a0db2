/** PrincipalDirectory (port): the principals besides the owner, and that they change while the gateway runs. */
import { Context, Effect, Layer, type Option, Ref, type Scope, Stream, SubscriptionRef } from "effect"
import * as Shared from "../journal/Shared.js"
import * as Principals from "./Principals.js"

export interface PrincipalDirectoryShape {
  /** Who is in force now. Synchronous, and no look at the source. */
  readonly unsafeCurrent: () => Principals.Principals
  /** Looks at the source: whatever was written there before the call is in force when it returns. Never fails. */
  readonly refresh: Effect.Effect<void>
  /** Emits when it begins, and whenever others are in force. What is missed meanwhile is told by one more emission. */
  readonly changes: Stream.Stream<void>
}

export class PrincipalDirectory extends Context.Tag("colloquy/PrincipalDirectory")<
  PrincipalDirectory,
  PrincipalDirectoryShape
>() {}

/** Where principals come from. None: they are the same as at the last look. */
export type Source = Effect.Effect<Option.Option<Principals.Principals>>

/** Over a source. `first`: who is in force from the start. */
export const make = (
  first: Principals.Principals,
  source: Source
): Effect.Effect<PrincipalDirectoryShape, never, Scope.Scope> =>
  Effect.gen(function* () {
    let current = first
    const versions = yield* SubscriptionRef.make(0)
    const take = (principals: Principals.Principals) =>
      Effect.suspend(() => {
        current = principals
        return Ref.update(versions, (version) => version + 1)
      })
    // Not to be broken off between having looked and having taken what was seen.
    const look = Effect.uninterruptible(Effect.flatMap(source, Effect.transposeMapOption(take)))
    return {
      unsafeCurrent: () => current,
      refresh: Effect.asVoid(yield* Shared.make(look)),
      changes: Stream.as(versions.changes, undefined)
    }
  })

/** Those that a ref holds. */
export const layerMemory = (principals: Ref.Ref<Principals.Principals>): Layer.Layer<PrincipalDirectory> =>
  Layer.scoped(
    PrincipalDirectory,
    Effect.flatMap(Ref.get(principals), (first) => make(first, Effect.asSome(Ref.get(principals))))
  )

/** Nobody but the owner. */
export const layerEmpty: Layer.Layer<PrincipalDirectory> = Layer.succeed(PrincipalDirectory, {
  unsafeCurrent: () => Principals.none,
  refresh: Effect.void,
  changes: Stream.never
})
