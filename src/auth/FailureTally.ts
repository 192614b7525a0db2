/**
 * FailureTally: failures by key, and how long a key that has too many is left out. Pure: it is told the time. It keeps
 * a bounded number of keys, and forgets those first whose last failure is longest ago.
 */

/** All in milliseconds. */
export const firstBackOffMs = 1000
export const longestBackOffMs = 60_000
/** Without a failure for so long, a key is as good as new. */
export const forgottenAfterMs = 600_000
/** Keys that are kept. */
export const maxKeys = 10_000

/** Partners of a key whose failures are told apart; those of more are not taken back. */
const maxPartners = 64

interface Failures {
  count: number
  /** By partner. */
  readonly by: Map<string, number>
  blockedUntil: number
  lastAt: number
}

export class FailureTally {
  readonly #max: number
  /** In the order of their last failures. */
  readonly #kept = new Map<string, Failures>()

  /** `max`: failures that go without a back-off. */
  constructor(max: number) {
    this.#max = max
  }

  get size(): number {
    return this.#kept.size
  }

  /** How long a key is still left out; 0: it is not. */
  retryAfter(key: string, now: number): number {
    const failures = this.#kept.get(key)
    return failures === undefined || isForgotten(failures, now) ? 0 : Math.max(0, failures.blockedUntil - now)
  }

  /** A failure of `key`, together with `partner`. */
  failed(key: string, partner: string, now: number): void {
    const before = this.#kept.get(key)
    const failures =
      before === undefined || isForgotten(before, now)
        ? { count: 0, by: new Map<string, number>(), blockedUntil: 0, lastAt: now }
        : before
    failures.count += 1
    failures.lastAt = now
    const known = failures.by.get(partner)
    if (known !== undefined || failures.by.size < maxPartners) failures.by.set(partner, (known ?? 0) + 1)
    const over = failures.count - this.#max
    if (over >= 0)
      failures.blockedUntil = now + Math.min(longestBackOffMs, firstBackOffMs * 2 ** Math.min(over, 16))
    this.#kept.delete(key)
    this.#kept.set(key, failures)
    if (this.#kept.size <= maxKeys) return
    const [oldest] = this.#kept.keys()
    if (oldest !== undefined) this.#kept.delete(oldest)
  }

  /** Takes back what `key` and `partner` have failed together: it was the same one after all. */
  forgive(key: string, partner: string): void {
    const failures = this.#kept.get(key)
    const count = failures?.by.get(partner)
    if (failures === undefined || count === undefined) return
    failures.by.delete(partner)
    failures.count -= count
    if (failures.count < this.#max) failures.blockedUntil = 0
    if (failures.count <= 0) this.#kept.delete(key)
  }
}

const isForgotten = ({ lastAt }: Failures, now: number): boolean => now - lastAt >= forgottenAfterMs
