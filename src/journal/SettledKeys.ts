/** The answers of idempotency keys whose runs are over. */
import type { RunId } from "../domain/Ids.js"
import type { Outcome } from "../domain/RunState.js"

export interface SettledKey {
  readonly fingerprint: string
  /** The name of who sent it. */
  readonly principal: string
  readonly outcome: Outcome
  /** When the run ended, in milliseconds since the Unix epoch. */
  readonly at: number
}

/** About 300 bytes a key, in the order in which they were added. */
export class SettledKeys {
  readonly #keys = new Map<RunId, SettledKey>()

  get size(): number {
    return this.#keys.size
  }

  get(runId: RunId): SettledKey | undefined {
    return this.#keys.get(runId)
  }

  add(runId: RunId, key: SettledKey): void {
    // Added anew at the end, so that the order stays that of time.
    this.#keys.delete(runId)
    this.#keys.set(runId, key)
  }

  delete(runId: RunId): void {
    this.#keys.delete(runId)
  }

  /** Forgets what ended before a time. Costs what it forgets. */
  forget(before: number): void {
    for (const [oldest, { at }] of this.#keys) {
      if (at >= before) return
      this.#keys.delete(oldest)
    }
  }

  entries(): IterableIterator<[RunId, SettledKey]> {
    return this.#keys.entries()
  }
}
