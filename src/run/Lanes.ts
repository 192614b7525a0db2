/**
 * Lanes: whose turn it is. Runs of one session go one after another in the order in which they came, different
 * sessions in parallel, at most `maxActive` at once. Synchronous and without effects; the registry's fibers ask it.
 *
 * A run is granted its turn when it is ready, first in its lane, and a place among the active ones is free, of all and of
 * its group. Places are given in the order in which runs began to wait for one; those of a group that is full are passed
 * over.
 */

export interface LanesOptions {
  /** Runs at work at once, over all lanes. */
  readonly maxActive: number
  /** Runs that may wait in one lane behind the first. */
  readonly maxQueuedPerLane: number
  /** Runs that may be in lanes without being at work, in all. */
  readonly maxQueued: number
}

/** Runs of which only so many may be at work at once: those of one agent. */
export interface Groups<Item, Group> {
  readonly of: (item: Item) => Group
  readonly maxActive: (group: Group) => number
}

/** Why a lane takes no more. */
export type Refusal = "lane" | "gateway"

export class Lanes<Item extends object, Group> {
  readonly #lanes = new Map<string, Set<Item>>()
  readonly #keyOf = new Map<Item, string>()
  readonly #ready = new Set<Item>()
  /** By group: what waits for a place, and how many are at work. */
  readonly #places = new Map<Group, Places<Item>>()
  readonly #active = new Set<Item>()
  readonly #options: LanesOptions
  readonly #groups: Groups<Item, Group>
  #turn = 0
  readonly #grant: (item: Item) => void

  /** `grant` is called once for each item whose turn has come; it must not call back. */
  constructor(options: LanesOptions, groups: Groups<Item, Group>, grant: (item: Item) => void) {
    this.#options = options
    this.#groups = groups
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
    const name = this.#groups.of(item)
    const group = this.#places.get(name)
    group?.waiting.delete(item)
    const wasActive = this.#active.delete(item)
    if (group !== undefined && wasActive) group.active -= 1
    if (group?.active === 0 && group.waiting.size === 0) this.#places.delete(name)
    if (wasActive) this.#fill()
    this.#advance(key)
  }

  #advance(key: string): void {
    const head = first(this.#lanes.get(key))
    if (head === undefined || !this.#ready.has(head) || this.#active.has(head)) return
    const name = this.#groups.of(head)
    const group = this.#places.get(name)
    if (group === undefined) {
      const max = this.#groups.maxActive(name)
      this.#places.set(name, { max, active: 0, waiting: new Map([[head, this.#turn++]]) })
    } else if (!group.waiting.has(head)) group.waiting.set(head, this.#turn++)
    this.#fill()
  }

  #fill(): void {
    while (this.#active.size < this.#options.maxActive) {
      const next = this.#next()
      if (next === undefined) return
      next.group.waiting.delete(next.item)
      next.group.active += 1
      this.#active.add(next.item)
      this.#grant(next.item)
    }
  }

  /** Who has waited longest among those whose group has a place. There are few groups, and in each the first one counts. */
  #next(): { readonly group: Places<Item>; readonly item: Item } | undefined {
    let best: { readonly group: Places<Item>; readonly item: Item; readonly turn: number } | undefined
    for (const group of this.#places.values()) {
      if (group.active >= group.max) continue
      const head = group.waiting.entries().next().value
      if (head !== undefined && (best === undefined || head[1] < best.turn)) {
        best = { group, item: head[0], turn: head[1] }
      }
    }
    return best
  }
}

/** The places of a group. */
interface Places<Item> {
  readonly max: number
  active: number
  /** With the turn in which each began to wait. */
  readonly waiting: Map<Item, number>
}

const first = <A>(set: Set<A> | undefined): A | undefined => set?.values().next().value
