/** Observed: a value that changes, for those who wait for what becomes of it. Who is slow sees the newest value, not each. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

export class Observed<A> {
  #value: A
  #version = 0
  #changed: Deferred.Deferred<void> | undefined

  constructor(value: A) {
    this.#value = value
  }

  get value(): A {
    return this.#value
  }

  set(value: A): void {
    this.#value = value
    this.#version += 1
    const changed = this.#changed
    this.#changed = undefined
    if (changed !== undefined) Deferred.unsafeDone(changed, Effect.void)
  }

  /** Waits for a value, the present one included, that `choose` takes. */
  when<B, E = never>(choose: (value: A) => Option.Option<Effect.Effect<B, E>>): Effect.Effect<B, E> {
    return Effect.suspend(() => {
      const chosen = choose(this.#value)
      return Option.isSome(chosen) ? chosen.value : Effect.zipRight(this.#change, this.when(choose))
    })
  }

  /** The present value and what follows, up to the first one that is the last. */
  stream(isLast: (value: A) => boolean): Stream.Stream<A> {
    return Stream.unfoldEffect(-1, (seen): Effect.Effect<Option.Option<readonly [A, number]>> =>
      Effect.suspend(() => {
        if (seen === Number.POSITIVE_INFINITY) return Effect.succeedNone
        const next = Effect.sync(() => {
          const end = isLast(this.#value) ? Number.POSITIVE_INFINITY : this.#version
          return Option.some([this.#value, end] as const)
        })
        return seen === this.#version ? Effect.zipRight(this.#change, next) : next
      })
    )
  }

  get #change(): Effect.Effect<void> {
    return Effect.suspend(() => Deferred.await((this.#changed ??= Deferred.unsafeMake(FiberId.none))))
  }
}
