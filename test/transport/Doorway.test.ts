/** Who stands in the doorway, and who must go: against a list that is searched through. */
import { describe, expect, it } from "@effect/vitest"
import { FastCheck } from "effect"
import { Doorway, type Visitor } from "../../src/transport/Doorway.js"

/** Two of one /64, one of the next; two of loopback; and a proxy, behind which there are many. */
const addresses = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", undefined]
const keys = ["a", "b", "c", "c", "d", undefined]

type Step =
  | { readonly _tag: "Enters"; readonly from: number }
  | { readonly _tag: "Speaks"; readonly who: number }
  | { readonly _tag: "Leaves"; readonly who: number }
  | { readonly _tag: "IsNamed"; readonly who: number; readonly from: number }

const steps: FastCheck.Arbitrary<ReadonlyArray<Step>> = FastCheck.array(
  FastCheck.oneof(
    FastCheck.record({
      _tag: FastCheck.constant("Enters" as const),
      from: FastCheck.nat(addresses.length - 1)
    }),
    FastCheck.record({ _tag: FastCheck.constant("Speaks" as const), who: FastCheck.nat(60) }),
    FastCheck.record({ _tag: FastCheck.constant("Leaves" as const), who: FastCheck.nat(60) }),
    FastCheck.record({
      _tag: FastCheck.constant("IsNamed" as const),
      who: FastCheck.nat(60),
      from: FastCheck.nat(addresses.length - 1)
    })
  ),
  { maxLength: 80 }
)

/** The same, with one list of numbers. */
class Model {
  readonly gone: Array<number> = []
  line: ReadonlyArray<{ readonly who: number; readonly key: string | undefined }> = []

  readonly #max: number
  readonly #maxPerAddress: number

  constructor(max: number, maxPerAddress: number) {
    this.#max = max
    this.#maxPerAddress = maxPerAddress
  }

  enter(who: number, key: string | undefined): void {
    const same = this.line.filter((one) => key !== undefined && one.key === key)
    const first =
      same.length >= this.#maxPerAddress ? same[0] : this.line.length >= this.#max ? this.line[0] : undefined
    if (first !== undefined) {
      this.gone.push(first.who)
      this.leave(first.who)
    }
    this.line = [...this.line, { who, key }]
  }

  leave(who: number): void {
    this.line = this.line.filter((one) => one.who !== who)
  }

  speak(who: number): void {
    const found = this.line.filter((one) => one.who === who)
    this.leave(who)
    this.line = [...this.line, ...found]
  }

  name(who: number, key: string): void {
    const found = this.line.find((one) => one.who === who)
    if (found === undefined || found.key === key) return
    this.leave(who)
    this.enter(who, key)
  }
}

describe("Doorway", () => {
  it("does what the list does, step by step", () => {
    FastCheck.assert(
      FastCheck.property(
        steps,
        FastCheck.integer({ min: 1, max: 8 }),
        FastCheck.integer({ min: 1, max: 8 }),
        (taken, max, maxPerAddress) => {
          const doorway = new Doorway({ max, maxPerAddress })
          const model = new Model(max, maxPerAddress)
          const gone: Array<number> = []
          const visitors: Array<Visitor> = []
          for (const step of taken) {
            if (step._tag === "Enters") {
              const who = visitors.length
              visitors.push(doorway.enter(addresses[step.from], () => gone.push(who)))
              model.enter(who, keys[step.from])
            } else if (step._tag === "Speaks") {
              visitors[step.who]?.speaks()
              model.speak(step.who)
            } else if (step._tag === "Leaves") {
              visitors[step.who]?.leaves()
              model.leave(step.who)
            } else {
              const [address, key] = [addresses[step.from], keys[step.from]]
              if (address === undefined || key === undefined) continue
              visitors[step.who]?.comesFrom(address)
              model.name(step.who, key)
            }
            expect(gone).toEqual(model.gone)
            expect(doorway.size).toBe(model.line.length)
          }
        }
      ),
      { numRuns: 500 }
    )
  })

  it("whoever is cut off may say at once that it has left", () => {
    const doorway = new Doorway({ max: 1, maxPerAddress: 1 })
    const first = doorway.enter("192.0.2.1", () => first.leaves())
    doorway.enter("192.0.2.1", () => undefined)
    expect(doorway.size).toBe(1)
    first.leaves()
    first.speaks()
    expect(doorway.size).toBe(1)
  })

  it("a thousand silent ones of one address push out only their own", () => {
    const doorway = new Doorway({ max: 100, maxPerAddress: 10 })
    const gone = new Set<string>()
    for (let n = 0; n < 50; n++) doorway.enter(`192.0.2.${n}`, () => gone.add(`192.0.2.${n}`))
    for (let n = 0; n < 1000; n++) doorway.enter("203.0.113.1", () => gone.add("203.0.113.1"))
    expect([...gone]).toEqual(["203.0.113.1"])
    expect(doorway.size).toBe(60)
  })

  it("one in a line of many comes and goes as in a line of few", () => {
    const nanosOf = (max: number): number => {
      const doorway = new Doorway({ max, maxPerAddress: max })
      const rounds = 10_000
      for (let n = 0; n < max; n++) doorway.enter(undefined, () => undefined)
      // Of the processor and not of the clock: others may be busy on this machine.
      const before = process.cpuUsage()
      for (let n = 0; n < rounds; n++) doorway.enter("192.0.2.1", () => undefined).speaks()
      return (process.cpuUsage(before).user * 1000) / rounds
    }
    nanosOf(64)
    // A line that is walked through would take a thousand times as long.
    expect(nanosOf(65_536) / Math.max(nanosOf(64), 200)).toBeLessThan(50)
  })
})
