/** The answers of idempotency keys whose runs are over, kept for a time. */
import type { RunId } from "../domain/Ids.js"
import type { Outcome } from "../domain/RunState.js"

export interface SettledKey {
  readonly fingerprint: string
  readonly outcome: Outcome
}

/**
 * About 300 bytes a key. Keys are forgotten in the order in which they were added, `ttl` milliseconds after that; what
 * is too old is never answered.
 */
export class SettledKeys {
  readonly #keys = new Map<RunId, SettledKey & { readonly at: number }>()
  readonly #ttl: number

  constructor(ttl: number) {
    this.#ttl = ttl
  }

  get size(): number {
    return this.#keys.size
  }

  get(runId: RunId, now: number): SettledKey | undefined {
    const key = this.#keys.get(runId)
    return key === undefined || key.at + this.#ttl <= now ? undefined : key
  }

  add(runId: RunId, key: SettledKey, now: number): void {
    for (const [oldest, { at }] of this.#keys) {
      if (at + this.#ttl > now) break
      this.#keys.delete(oldest)
    }
    // Added anew at the end, so that the order stays that of time.
    this.#keys.delete(runId)
    this.#keys.set(runId, { ...key, at: now })
  }
}
