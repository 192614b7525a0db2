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
  #level: number
  #at: number

  constructor(perSecond: number, now: number) {
    this.#perSecond = perSecond
    this.#max = perSecond * burstSeconds
    this.#level = this.#max
    this.#at = now
  }

  /** Milliseconds until something may be taken; 0: now. */
  wait(now: number): number {
    this.#level = Math.min(this.#max, this.#level + (Math.max(0, now - this.#at) * this.#perSecond) / 1000)
    this.#at = now
    return this.#level >= 1 ? 0 : Math.ceil(((1 - this.#level) * 1000) / this.#perSecond)
  }

  /** What was larger than the rest is owed. */
  take(amount: number): void {
    this.#level -= amount
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
      const forRequests = requests.wait(now)
      if (forRequests > 0) {
        return new RateLimited({ what: "requests", limit: requestsPerSecond, retryAfterMs: forRequests })
      }
      const forBytes = bytes.wait(now)
      if (forBytes > 0) {
        return new RateLimited({ what: "bytes", limit: bytesPerSecond, retryAfterMs: forBytes })
      }
      requests.take(1)
      bytes.take(amount)
      return undefined
    }
  })
})

export const layer: Layer.Layer<Quota, never, GatewayConfig> = Layer.effect(Quota, make)
