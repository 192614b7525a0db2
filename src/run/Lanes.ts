/**
 * Lanes: whose turn it is. Runs of one session go one after another in the order in which they came, different
 * sessions in parallel, at most `maxActive` at once. Synchronous and without effects; the registry's fibers ask it.
 *
 * A run is granted its turn when it is ready, first in its lane, and a place among the active ones is free. Places are
 * given in the order in which runs began to wait for one.
 */

export interface LanesOptions {
  /** Runs at work at once, over all lanes. */
  readonly maxActive: number
  /** Runs that may wait in one lane behind the first. */
  readonly maxQueuedPerLane: number
  /** Runs that may be in lanes without being at work, in all. */
  readonly maxQueued: number
}

/** Why a lane takes no more. */
export type Refusal = "lane" | "gateway"

export class Lanes<Item extends object> {
  readonly #lanes = new Map<string, Set<Item>>()
  readonly #keyOf = new Map<Item, string>()
  readonly #ready = new Set<Item>()
  /** First in their lane and ready, waiting for a place. */
  readonly #waiting = new Set<Item>()
  readonly #active = new Set<Item>()
  readonly #options: LanesOptions
  readonly #grant: (item: Item) => void

  /** `grant` is called once for each item whose turn has come; it must not call back. */
  constructor(options: LanesOptions, grant: (item: Item) => void) {
    this.#options = options
    this.#grant = grant
  }

  /** Runs at work. */
  get active(): number {
    return this.#active.size
  }

  /** Runs that wait. */
  get queued(): number {
    return this.#keyOf.size - this.#active.size
  }

  /** Takes a place at the end of a lane; undefined if it was taken. */
  enter(key: string, item: Item): Refusal | undefined {
    const lane = this.#lanes.get(key)
    if (lane !== undefined && lane.size > this.#options.maxQueuedPerLane) return "lane"
    if (this.queued >= this.#options.maxQueued) return "gateway"
    this.restore(key, item)
    return undefined
  }

  /** Takes a place at the end of a lane, however full it is. */
  restore(key: string, item: Item): void {
    const lane = this.#lanes.get(key)
    if (lane === undefined) this.#lanes.set(key, new Set([item]))
    else lane.add(item)
    this.#keyOf.set(item, key)
  }

  /** The item may be granted its turn from now on. */
  ready(item: Item): void {
    const key = this.#keyOf.get(item)
    if (key === undefined) return
    this.#ready.add(item)
    this.#advance(key)
  }

  /** Gives up the place in the lane, whether at work or waiting. Doing it again changes nothing. */
  leave(item: Item): void {
    const key = this.#keyOf.get(item)
    if (key === undefined) return
    const lane = this.#lanes.get(key)
    lane?.delete(item)
    if (lane?.size === 0) this.#lanes.delete(key)
    this.#keyOf.delete(item)
    this.#ready.delete(item)
    this.#waiting.delete(item)
    if (this.#active.delete(item)) this.#fill()
    this.#advance(key)
  }

  #advance(key: string): void {
    const head = first(this.#lanes.get(key))
    if (head === undefined || !this.#ready.has(head) || this.#active.has(head)) return
    this.#waiting.add(head)
    this.#fill()
  }

  #fill(): void {
    while (this.#active.size < this.#options.maxActive) {
      const next = first(this.#waiting)
      if (next === undefined) return
      this.#waiting.delete(next)
      this.#active.add(next)
      this.#grant(next)
    }
  }
}

const first = <A>(set: Set<A> | undefined): A | undefined => set?.values().next().value
