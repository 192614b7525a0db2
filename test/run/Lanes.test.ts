import { describe, expect, it } from "@effect/vitest"
import { FastCheck } from "effect"
import { Lanes, type LanesOptions, type Refusal } from "../../src/run/Lanes.js"

interface Item {
  readonly name: string
  readonly lane: string
  /** The first letter of the lane. */
  readonly group: string
  /** The last letter of the lane. */
  readonly owner: string
}

type Settings = LanesOptions & {
  readonly maxActiveOfGroup: number
  readonly maxActiveOfOwner: number
  readonly maxQueuedOfOwner: number
}

/** The same rules, said as plainly as possible and without regard for cost. */
class Model {
  readonly granted: Array<string> = []
  #entered: ReadonlyArray<Item> = []
  #ready: ReadonlyArray<Item> = []
  #active: ReadonlyArray<Item> = []
  /** First in their lane and ready, in the order in which they became that. */
  #waiting: ReadonlyArray<Item> = []
  readonly #options: Settings

  constructor(options: Settings) {
    this.#options = options
  }

  get active() {
    return this.#active.length
  }
  get queued() {
    return this.#entered.length - this.#active.length
  }

  enter(item: Item): Refusal | undefined {
    const before = this.#entered.filter(({ lane }) => lane === item.lane)
    if (before.length > this.#options.maxQueuedPerLane) return "lane"
    if (this.queued >= this.#options.maxQueued) return "gateway"
    const ofOwner = (items: ReadonlyArray<Item>) => items.filter(({ owner }) => owner === item.owner).length
    if (ofOwner(this.#entered) - ofOwner(this.#active) >= this.#options.maxQueuedOfOwner) return "group"
    this.#entered = [...this.#entered, item]
    return undefined
  }

  ready(item: Item) {
    if (!this.#entered.includes(item) || this.#ready.includes(item)) return
    this.#ready = [...this.#ready, item]
    this.#settle()
  }

  leave(item: Item) {
    const gone = (other: Item) => other !== item
    this.#entered = this.#entered.filter(gone)
    this.#ready = this.#ready.filter(gone)
    this.#active = this.#active.filter(gone)
    this.#waiting = this.#waiting.filter(gone)
    this.#settle()
  }

  #settle() {
    // Those that waited before have the first claim on a place that has become free.
    this.#fill()
    for (const item of this.#entered) {
      const head = this.#entered.find(({ lane }) => lane === item.lane)
      const known = this.#active.includes(item) || this.#waiting.includes(item)
      if (item === head && this.#ready.includes(item) && !known) this.#waiting = [...this.#waiting, item]
    }
    this.#fill()
  }

  #fill() {
    while (this.#active.length < this.#options.maxActive) {
      const atWork = ({ owner }: Item) => this.#active.filter((other) => other.owner === owner).length
      // Stable: who has waited longest comes first among those whose owner has as many at work.
      const next = this.#waiting
        .toSorted((one, other) => atWork(one) - atWork(other))
        .find(
          ({ group, owner }) =>
            this.#active.filter((other) => other.group === group).length < this.#options.maxActiveOfGroup &&
            this.#active.filter((other) => other.owner === owner).length < this.#options.maxActiveOfOwner
        )
      if (next === undefined) return
      this.#waiting = this.#waiting.filter((other) => other !== next)
      this.#active = [...this.#active, next]
      this.granted.push(next.name)
    }
  }
}

const item = (lane: string, name = lane): Item => ({
  lane,
  name,
  group: lane.charAt(0),
  owner: lane.charAt(lane.length - 1)
})

const make = ({
  maxActiveOfGroup = 10,
  maxActiveOfOwner = 10,
  maxQueuedOfOwner = 100,
  ...options
}: Partial<Settings> = {}) => {
  const granted: Array<string> = []
  const lanes = new Lanes<Item>(
    { maxActive: 10, maxQueuedPerLane: 10, maxQueued: 100, ...options },
    ({ group, owner }) => [
      { name: `group ${group}`, maxActive: maxActiveOfGroup, maxQueued: Number.POSITIVE_INFINITY },
      { name: `owner ${owner}`, maxActive: maxActiveOfOwner, maxQueued: maxQueuedOfOwner, isParty: true }
    ],
    ({ name }) => granted.push(name)
  )
  const arrive = (one: Item) => {
    const refusal = lanes.enter(one.lane, one)
    if (refusal === undefined) lanes.ready(one)
    return refusal
  }
  return { lanes, granted, arrive }
}

describe("Lanes", () => {
  it("one at a time in a lane, in the order of entering, not of becoming ready", () => {
    const { granted, lanes } = make()
    const [a, b, c] = [item("x", "a"), item("x", "b"), item("x", "c")]
    for (const one of [a, b, c]) lanes.enter(one.lane, one)
    lanes.ready(c)
    lanes.ready(b)
    expect(granted).toEqual([])
    lanes.ready(a)
    expect(granted).toEqual(["a"])
    lanes.leave(a)
    expect(granted).toEqual(["a", "b"])
    lanes.leave(b)
    expect(granted).toEqual(["a", "b", "c"])
  })

  it("one owner's many do not keep another's one waiting behind all of them", () => {
    const { arrive, granted, lanes } = make({ maxActive: 2, maxQueued: 1000 })
    const many = Array.from({ length: 100 }, (_, index) => item(`${index} a`))
    for (const one of many) arrive(one)
    arrive(item("1 b"))
    expect(granted).toEqual(["0 a", "1 a"])
    const [oldest] = many
    if (oldest !== undefined) lanes.leave(oldest)
    expect(granted).toEqual(["0 a", "1 a", "1 b"])
  })

  it("one that leaves while it waits lets the others by, and leaving twice changes nothing", () => {
    const { arrive, granted, lanes } = make()
    const [a, b, c] = [item("x", "a"), item("x", "b"), item("x", "c")]
    for (const one of [a, b, c]) arrive(one)
    lanes.leave(b)
    lanes.leave(b)
    expect(lanes.queued).toBe(1)
    lanes.leave(a)
    lanes.leave(a)
    expect(granted).toEqual(["a", "c"])
    lanes.leave(c)
    expect([lanes.active, lanes.queued]).toEqual([0, 0])
  })

  it("one in front that is not ready holds its lane up, and no other", () => {
    const { arrive, granted, lanes } = make()
    const slow = item("x", "slow")
    lanes.enter("x", slow)
    arrive(item("x", "behind"))
    arrive(item("y", "y"))
    expect(granted).toEqual(["y"])
    lanes.leave(slow)
    expect(granted).toEqual(["y", "behind"])
  })

  it("places are given in the order in which runs began to wait for one", () => {
    const { arrive, granted, lanes } = make({ maxActive: 1 })
    const [a, b, c] = [item("a"), item("b"), item("c")]
    for (const one of [a, b, c]) arrive(one)
    arrive(item("a", "a2"))
    expect(granted).toEqual(["a"])
    lanes.leave(a)
    expect(granted).toEqual(["a", "b"])
    lanes.leave(b)
    lanes.leave(c)
    expect(granted).toEqual(["a", "b", "c", "a2"])
  })

  it("those of a group that is full wait, and the others pass them", () => {
    const { arrive, granted, lanes } = make({ maxActive: 3, maxActiveOfGroup: 1 })
    const first = item("a1")
    for (const one of [first, item("a2"), item("a3"), item("b1")]) arrive(one)
    expect(granted).toEqual(["a1", "b1"])
    lanes.leave(first)
    expect(granted).toEqual(["a1", "b1", "a2"])
  })

  it("one is in two groups: a place is free when it is in both", () => {
    const { arrive, granted, lanes } = make({ maxActiveOfGroup: 1, maxActiveOfOwner: 1 })
    const [ax, by] = [item("a-x"), item("b-y")]
    for (const one of [ax, item("b-x"), item("a-y"), by]) arrive(one)
    expect(granted).toEqual(["a-x", "b-y"])
    lanes.leave(ax)
    // Those that wait have a place in one of their groups now, and none in the other.
    expect(granted).toEqual(["a-x", "b-y"])
    lanes.leave(by)
    expect(granted).toEqual(["a-x", "b-y", "b-x", "a-y"])
  })

  it("a group takes so many that wait, and leaves the others their room", () => {
    const { arrive, lanes } = make({ maxActive: 1, maxQueuedOfOwner: 1 })
    expect(arrive(item("a-x"))).toBeUndefined()
    expect(arrive(item("b-x"))).toBeUndefined()
    expect(arrive(item("c-x"))).toBe("group")
    expect(arrive(item("c-y"))).toBeUndefined()
    expect([lanes.active, lanes.queued]).toEqual([1, 2])
  })

  it("a lane takes so many behind the first, the gateway so many in all", () => {
    const { arrive, lanes } = make({ maxActive: 1, maxQueuedPerLane: 1, maxQueued: 2 })
    expect(arrive(item("x", "x1"))).toBeUndefined()
    expect(arrive(item("x", "x2"))).toBeUndefined()
    expect(arrive(item("x", "x3"))).toBe("lane")
    expect(arrive(item("y", "y1"))).toBeUndefined()
    expect(arrive(item("z", "z1"))).toBe("gateway")
    expect([lanes.active, lanes.queued]).toEqual([1, 2])
  })

  const options = FastCheck.record({
    maxActive: FastCheck.integer({ min: 1, max: 4 }),
    maxActiveOfGroup: FastCheck.integer({ min: 1, max: 3 }),
    maxActiveOfOwner: FastCheck.integer({ min: 1, max: 3 }),
    maxQueuedOfOwner: FastCheck.integer({ min: 0, max: 6 }),
    maxQueuedPerLane: FastCheck.integer({ min: 0, max: 3 }),
    maxQueued: FastCheck.integer({ min: 1, max: 8 })
  })
  const operations = FastCheck.array(
    FastCheck.oneof(
      { weight: 3, arbitrary: FastCheck.record({ op: FastCheck.constant("enter"), at: FastCheck.nat(3) }) },
      { weight: 3, arbitrary: FastCheck.record({ op: FastCheck.constant("ready"), at: FastCheck.nat(11) }) },
      { weight: 2, arbitrary: FastCheck.record({ op: FastCheck.constant("leave"), at: FastCheck.nat(11) }) }
    ),
    { maxLength: 80 }
  )

  it.prop("does what the naive model does", [options, operations], ([settings, all]) => {
    const { granted, lanes } = make(settings)
    const model = new Model(settings)
    const items: Array<Item> = []
    let names = 0
    for (const { at, op } of all) {
      if (op === "enter") {
        const one = item(`${at % 2 === 0 ? "a" : "b"}${at}`, `i${names++}`)
        const refusal = lanes.enter(one.lane, one)
        expect(refusal).toBe(model.enter(one))
        if (refusal === undefined) items.push(one)
      } else {
        // Those that have left are asked too.
        const one = items.at(-1 - at)
        if (one === undefined) continue
        if (op === "ready") {
          lanes.ready(one)
          model.ready(one)
        } else {
          lanes.leave(one)
          model.leave(one)
        }
      }
      expect(granted).toEqual(model.granted)
      expect([lanes.active, lanes.queued]).toEqual([model.active, model.queued])
      expect(lanes.active).toBeLessThanOrEqual(settings.maxActive)
    }
    // No turn is lost: when everything is ready and each leaves after its turn, everything was granted or has left.
    const left = new Set<Item>()
    for (const one of items) lanes.ready(one)
    for (let round = 0; round <= items.length; round++) {
      for (const one of items) {
        if (left.has(one) || !granted.includes(one.name)) continue
        left.add(one)
        lanes.leave(one)
      }
    }
    expect([lanes.active, lanes.queued]).toEqual([0, 0])
  })
})
