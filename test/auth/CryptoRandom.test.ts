import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, Random } from "effect"
import * as CryptoRandom from "../../src/auth/CryptoRandom.js"
import * as Ids from "../../src/domain/Ids.js"

const crypto = <A>(effect: Effect.Effect<A>) => Effect.provide(effect, CryptoRandom.layer)
const many = <A>(effect: Effect.Effect<A>) => crypto(Effect.all(Array.from({ length: 5000 }, () => effect)))

describe("CryptoRandom", () => {
  it.effect("makes ids that don't repeat", () =>
    Effect.gen(function* () {
      const ids = yield* many(Ids.uuid)
      expect(new Set(ids).size).toBe(ids.length)
      for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
    })
  )

  it.effect("stays in its bounds and reaches all of them", () =>
    Effect.gen(function* () {
      const numbers = yield* many(Random.nextIntBetween(-2, 3))
      expect([...new Set(numbers)].toSorted((a, b) => a - b)).toEqual([-2, -1, 0, 1, 2])
      for (const part of yield* many(Random.next)) expect(part >= 0 && part < 1).toBe(true)
      for (const int of yield* many(Random.nextInt)) expect(Number.isSafeInteger(int) && int >= 0).toBe(true)
      expect(new Set(yield* many(Random.nextBoolean)).size).toBe(2)
    })
  )

  it.effect("shuffles without losing anything", () =>
    Effect.gen(function* () {
      const shuffled = Chunk.toReadonlyArray(
        yield* crypto(Random.shuffle(Array.from({ length: 100 }, (_, i) => i)))
      )
      expect(shuffled.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i))
    })
  )
})
