/**
 * Lanes: whose turn it is. Runs of one session go one after another in the order in which they came, different
 * sessions in parallel, at most `maxActive` at once. Synchronous and without effects; the registry's fibers ask it.
 *
 * A run is granted its turn when it is ready, first in its lane, and a place among the active ones is free, of all and of
 * each of its groups. A place goes to the party (a principal) that has the fewest at work, so whoever has thousands waiting does
 * not keep the others waiting behind all of them; within a party, in the order in which runs began to wait. Those of a
 * group that is full are passed over.
 */

export interface LanesOptions {
  /** Runs at work at once, over all lanes. */
  readonly maxActive: number
  /** Runs that may wait in one lane behind the first. */
  readonly maxQueuedPerLane: number
  /** Runs that may be in lanes without being at work, in all. */
  readonly maxQueued: number
}

/** Runs of which only so many may be at work, or wait, at once: those of one agent, those of one principal. */
export interface Group {
  /** Unique among all groups. */
  readonly name: string
  readonly maxActive: number
  readonly maxQueued: number
  /** Is it a party, among which places are shared evenly? An item is of one at most. */
  readonly isParty?: boolean
}

/** Why a lane takes no more: it is full itself, too many wait in all, or of a group of the item. */
export type Refusal = "lane" | "gateway" | "group"

export class Lanes<Item extends object> {
  readonly #lanes = new Map<string, Set<Item>>()
  readonly #keyOf = new Map<Item, string>()
  readonly #ready = new Set<Item>()
  readonly #active = new Set<Item>()
  readonly #tallies = new Map<string, Tally>()
  /** What waits for a place, by the groups that the items are in. */
  readonly #waiting = new Map<string, Waiting<Item>>()
  readonly #options: LanesOptions
  readonly #groupsOf: (item: Item) => ReadonlyArray<Group>
  #turn = 0
  readonly #grant: (item: Item) => void

  /** `grant` is called once for each item whose turn has come; it must not call back. */
  constructor(
    options: LanesOptions,
    groupsOf: (item: Item) => ReadonlyArray<Group>,
    grant: (item: Item) => void
  ) {
    this.#options = options
    this.#groupsOf = groupsOf
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
    for (const { maxQueued, name } of this.#groupsOf(item)) {
      const tally = this.#tallies.get(name)
      const queued = tally === undefined ? 0 : tally.members - tally.active
      if (queued >= maxQueued) return "group"
    }
    this.restore(key, item)
    return undefined
  }

  /** Takes a place at the end of a lane, however full it is. */
  restore(key: string, item: Item): void {
    const lane = this.#lanes.get(key)
    if (lane === undefined) this.#lanes.set(key, new Set([item]))
    else lane.add(item)
    this.#keyOf.set(item, key)
    for (const { name } of this.#groupsOf(item)) {
      const tally = this.#tallies.get(name)
      if (tally === undefined) this.#tallies.set(name, { members: 1, active: 0 })
      else tally.members += 1
    }
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
    const groups = this.#groupsOf(item)
    const name = classOf(groups)
    const waiting = this.#waiting.get(name)
    waiting?.items.delete(item)
    if (waiting?.items.size === 0) this.#waiting.delete(name)
    const wasActive = this.#active.delete(item)
    for (const group of groups) {
      const tally = this.#tallies.get(group.name)
      if (tally === undefined) continue
      tally.members -= 1
      if (wasActive) tally.active -= 1
      if (tally.members === 0) this.#tallies.delete(group.name)
    }
    if (wasActive) this.#fill()
    this.#advance(key)
  }

  #advance(key: string): void {
    const head = first(this.#lanes.get(key))
    if (head === undefined || !this.#ready.has(head) || this.#active.has(head)) return
    const groups = this.#groupsOf(head)
    const name = classOf(groups)
    const waiting = this.#waiting.get(name)
    if (waiting === undefined) this.#waiting.set(name, { groups, items: new Map([[head, this.#turn++]]) })
    else if (!waiting.items.has(head)) waiting.items.set(head, this.#turn++)
    this.#fill()
  }

  #fill(): void {
    while (this.#active.size < this.#options.maxActive) {
      const next = this.#next()
      if (next === undefined) return
      next.waiting.items.delete(next.item)
      if (next.waiting.items.size === 0) this.#waiting.delete(classOf(next.waiting.groups))
      for (const { name } of next.waiting.groups) {
        const tally = this.#tallies.get(name)
        if (tally !== undefined) tally.active += 1
      }
      this.#active.add(next.item)
      this.#grant(next.item)
    }
  }

  /**
   * Of the parties with the fewest at work, who has waited longest among those whose groups all have a place. Items of the same
   * groups wait in one line, so only the first of each counts; there are as many lines as pairs of an agent and a principal that
   * wait.
   */
  #next(): { readonly waiting: Waiting<Item>; readonly item: Item } | undefined {
    let best: Candidate<Item> | undefined
    for (const waiting of this.#waiting.values()) {
      const head = waiting.items.entries().next().value
      if (head === undefined) continue
      const [item, turn] = head
      const active = this.#activeOfParty(waiting.groups)
      if (best !== undefined && (best.active < active || (best.active === active && best.turn < turn)))
        continue
      if (waiting.groups.every((group) => this.#hasPlace(group))) best = { waiting, item, turn, active }
    }
    return best
  }

  #activeOfParty(groups: ReadonlyArray<Group>): number {
    for (const { isParty, name } of groups) if (isParty === true) return this.#tallies.get(name)?.active ?? 0
    return 0
  }

  #hasPlace({ maxActive, name }: Group): boolean {
    return (this.#tallies.get(name)?.active ?? 0) < maxActive
  }
}

/** How many items of a group there are, and how many of them are at work. */
interface Tally {
  members: number
  active: number
}

/** Items of the same groups. */
interface Waiting<Item> {
  readonly groups: ReadonlyArray<Group>
  /** With the turn in which each began to wait. */
  readonly items: Map<Item, number>
}

interface Candidate<Item> {
  readonly waiting: Waiting<Item>
  readonly item: Item
  readonly turn: number
  /** At work, of its party. */
  readonly active: number
}

const classOf = (groups: ReadonlyArray<Group>): string => groups.map(({ name }) => name).join(" ")

const first = <A>(set: Set<A> | undefined): A | undefined => set?.values().next().value
