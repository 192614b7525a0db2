/**
 * Quota: how much a principal may ask for in a second, over all its connections: a token bucket for requests and one for
 * bytes. A bucket holds what may come at once, and fills up again at its rate.
 */
import { Context, Effect, Layer } from "effect"
import { RateLimited } from "../domain/RequestError.js"
import { GatewayConfig } from "../GatewayConfig.js"

/** A bucket holds the amount of so many seconds. */
const burstSeconds = 4

/** Principals whose buckets are kept at most; those who have been away longest are forgotten first. */
const maxPrincipals = 10_000

class Bucket {
  readonly #perSecond: number
  readonly #max: number
  /** In thousandths: what comes in a millisecond is a whole number of them, and no rounding makes a wait too long or too short. */
  #level: number
  #at: number

  constructor(perSecond: number, now: number) {
    this.#perSecond = perSecond
    this.#max = perSecond * burstSeconds * 1000
    this.#level = this.#max
    this.#at = now
  }

  /** Milliseconds until something may be taken; 0: now. */
  wait(now: number): number {
    this.#level = Math.min(this.#max, this.#level + Math.max(0, now - this.#at) * this.#perSecond)
    this.#at = now
    return this.#level >= 1000 ? 0 : Math.ceil((1000 - this.#level) / this.#perSecond)
  }

  /** What was larger than the rest is owed. */
  take(amount: number): void {
    this.#level -= amount * 1000
  }
}

interface Buckets {
  readonly requests: Bucket
  readonly bytes: Bucket
}

export interface QuotaShape {
  /** Takes a request of so many bytes off a principal's quota, or says why not. Synchronous. */
  readonly unsafeTake: (principal: string, bytes: number) => RateLimited | undefined
}

export class Quota extends Context.Tag("colloquy/Quota")<Quota, QuotaShape>() {}

const make = Effect.gen(function* () {
  const clock = yield* Effect.clock
  const { bytesPerSecond, requestsPerSecond } = yield* GatewayConfig
  const buckets = new Map<string, Buckets>()

  const bucketsOf = (principal: string, now: number): Buckets => {
    const known = buckets.get(principal)
    if (known !== undefined) {
      // To the end of the line: who stands at its head has been away longest.
      buckets.delete(principal)
      buckets.set(principal, known)
      return known
    }
    const made = { requests: new Bucket(requestsPerSecond, now), bytes: new Bucket(bytesPerSecond, now) }
    buckets.set(principal, made)
    if (buckets.size > maxPrincipals) {
      const [oldest] = buckets.keys()
      if (oldest !== undefined) buckets.delete(oldest)
    }
    return made
  }

  return Quota.of({
    unsafeTake: (principal, amount) => {
      const now = clock.unsafeCurrentTimeMillis()
      const { bytes, requests } = bucketsOf(principal, now)
      const waits = { requests: requests.wait(now), bytes: bytes.wait(now) }
      // What has to be waited for longer is what to wait for.
      const what = waits.bytes > waits.requests ? "bytes" : "requests"
      if (waits[what] > 0) {
        const limit = what === "bytes" ? bytesPerSecond : requestsPerSecond
        return new RateLimited({ what, limit, retryAfterMs: waits[what] })
      }
      requests.take(1)
      bytes.take(amount)
      return undefined
    }
  })
})

export const layer: Layer.Layer<Quota, never, GatewayConfig> = Layer.effect(Quota, make)
