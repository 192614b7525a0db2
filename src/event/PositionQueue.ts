/**
 * A queue in the order of positions from whose middle entries can be taken, and which can be read from any position. Every
 * operation costs the same however much is in it; a look-up, its logarithm.
 */
import type { HubEvent, Positioned } from "../domain/HubEvent.js"

export interface Entry {
  readonly pos: number
  readonly bytes: number
  /** Undefined when the entry was taken out. */
  event: HubEvent | undefined
}

export class PositionQueue {
  /** Ordered by position; what was taken out stays as an empty place until there are too many of those. */
  #entries: Array<Entry> = []
  /** Before this index all places are empty. */
  #head = 0
  #size = 0
  #bytes = 0

  get size(): number {
    return this.#size
  }

  /** What the entries hold, together. */
  get bytes(): number {
    return this.#bytes
  }

  /** Appends an entry. Its position is greater than those before. */
  push(entry: Entry): void {
    this.#entries.push(entry)
    this.#size += 1
    this.#bytes += entry.bytes
  }

  /** Takes an entry out. */
  remove(entry: Entry): void {
    if (entry.event === undefined) return
    entry.event = undefined
    this.#size -= 1
    this.#bytes -= entry.bytes
    if (this.#entries.length <= 2 * this.#size + 64) return
    this.#entries = this.#entries.filter(({ event }) => event !== undefined)
    this.#head = 0
  }

  /** The oldest entry. */
  oldest(): Entry | undefined {
    while (this.#head < this.#entries.length && this.#entries[this.#head]?.event === undefined)
      this.#head += 1
    return this.#entries[this.#head]
  }

  /** Is the entry of this position in it? */
  has(pos: number): boolean {
    const entry = this.#entries[this.#indexAfter(pos - 1)]
    return entry?.pos === pos && entry.event !== undefined
  }

  /** The entries behind a position, oldest first. */
  *after(pos: number): Generator<Positioned, undefined> {
    for (let index = this.#indexAfter(pos); index < this.#entries.length; index++) {
      const entry = this.#entries[index]
      if (entry?.event !== undefined) yield { pos: entry.pos, event: entry.event }
    }
  }

  /** The first index with a greater position. */
  #indexAfter(pos: number): number {
    let low = this.#head
    let high = this.#entries.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#entries[middle]?.pos ?? 0) <= pos) low = middle + 1
      else high = middle
    }
    return low
  }
}
