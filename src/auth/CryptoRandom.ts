/**
 * Effect's `Random` over the system's cryptographic generator. With it, ids and nonces can't be guessed and are unique
 * across nodes. Bytes are drawn in blocks, since a call for each number would cost a microsecond.
 */
import { randomBytes, randomFillSync } from "node:crypto"
import { Chunk, Effect, Layer, Random } from "effect"

const blockBytes = 4096

class CryptoRandom implements Random.Random {
  readonly [Random.RandomTypeId]: Random.RandomTypeId = Random.RandomTypeId
  readonly #block = Buffer.alloc(blockBytes)
  #used = blockBytes

  /** 53 random bits: every safe integer that is not negative is as likely. */
  #draw(): number {
    if (this.#used + 8 > blockBytes) {
      randomFillSync(this.#block)
      this.#used = 0
    }
    const high = this.#block.readUInt32LE(this.#used) >>> 11
    const low = this.#block.readUInt32LE(this.#used + 4)
    this.#block.fill(0, this.#used, this.#used + 8)
    this.#used += 8
    return high * 2 ** 32 + low
  }

  get next(): Effect.Effect<number> {
    return Effect.sync(() => this.#draw() / 2 ** 53)
  }

  get nextBoolean(): Effect.Effect<boolean> {
    return Effect.sync(() => this.#draw() % 2 === 1)
  }

  get nextInt(): Effect.Effect<number> {
    return Effect.sync(() => this.#draw())
  }

  nextRange(min: number, max: number): Effect.Effect<number> {
    return Effect.map(this.next, (part) => min + part * (max - min))
  }

  nextIntBetween(min: number, max: number): Effect.Effect<number> {
    return Effect.sync(() => min + this.#below(max - min))
  }

  shuffle<A>(elements: Iterable<A>): Effect.Effect<Chunk.Chunk<A>> {
    return Effect.sync(() => {
      // Sorted by a number drawn for each: two equal ones among 2^53 don't come up.
      const drawn = Array.from(elements, (element) => ({ element, order: this.#draw() }))
      return Chunk.unsafeFromArray(drawn.toSorted((a, b) => a.order - b.order).map(({ element }) => element))
    })
  }

  /** A number from 0 to `bound - 1`, each as likely: draws that would favour the lower ones are thrown away. */
  #below(bound: number): number {
    const fair = 2 ** 53 - (2 ** 53 % bound)
    let drawn = this.#draw()
    while (drawn >= fair) drawn = this.#draw()
    return drawn % bound
  }
}

/** Puts it under everything that is built with this layer. */
export const layer: Layer.Layer<never> = Layer.suspend(() => Layer.setRandom(new CryptoRandom()))

/** A secret of 256 bits, as text without special characters. */
export const makeToken: Effect.Effect<string> = Effect.sync(() => randomBytes(32).toString("base64url"))

/** 128 bits, which make equal secrets have unequal hashes. base64url. */
export const makeSalt: Effect.Effect<string> = Effect.sync(() => randomBytes(16).toString("base64url"))
