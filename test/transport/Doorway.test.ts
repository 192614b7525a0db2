/** Who stands at the door: bounded in all and of each address, the one that has said nothing for longest goes first. */
import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as AddressKey from "../../src/auth/AddressKey.js"
import { Doorway, type Visitor } from "../../src/transport/Doorway.js"

const addresses = ["10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8::2", "127.0.0.1", "::1"]

/** Enters under a name; answers the names of those that were cut off so far. */
const door = (max: number, maxPerAddress: number) => {
  const doorway = new Doorway({ max, maxPerAddress })
  const gone: Array<string> = []
  return {
    doorway,
    gone,
    enter: (name: string, address: string | undefined): Visitor =>
      doorway.enter(address, () => void gone.push(name))
  }
}

describe("Doorway", () => {
  it("the oldest of the same address goes, and nobody of another", () => {
    const { enter, gone } = door(10, 2)
    enter("other", "10.0.0.2")
    enter("a", "10.0.0.1")
    enter("b", "10.0.0.1")
    enter("c", "10.0.0.1")
    expect(gone).toEqual(["a"])
  })

  it("where all places are taken, the oldest of all goes", () => {
    const { enter, gone } = door(3, 2)
    enter("a", "10.0.0.1")
    enter("b", "10.0.0.2")
    enter("c", undefined)
    enter("d", undefined)
    expect(gone).toEqual(["a"])
  })

  it("whoever has said something goes behind those that have not", () => {
    const { enter, gone } = door(3, 3)
    const first = enter("first", "10.0.0.1")
    enter("second", "10.0.0.1")
    enter("third", "10.0.0.1")
    first.speaks()
    enter("fourth", "10.0.0.1")
    enter("fifth", "10.0.0.1")
    expect(gone).toEqual(["second", "third"])
  })

  it("whoever has come in, or was cut off, takes no place and is not cut off", () => {
    const { doorway, enter, gone } = door(2, 2)
    const visitor = enter("in", "10.0.0.1")
    visitor.leaves()
    visitor.leaves()
    visitor.speaks()
    visitor.comesFrom("10.0.0.2")
    expect(doorway.size).toBe(0)
    for (const name of ["a", "b", "c"]) enter(name, "10.0.0.1")
    expect(gone).toEqual(["a"])
  })

  it("one network of IPv6 is one address, and so is all of loopback", () => {
    const { enter, gone } = door(10, 1)
    enter("a", "2001:db8::1")
    enter("b", "2001:db8::ffff")
    enter("c", "127.0.0.1")
    enter("d", "127.8.8.8")
    enter("e", "::1")
    expect(gone).toEqual(["a", "c", "d"])
  })

  it("behind a proxy one counts for no address until the proxy has named it", () => {
    const { enter, gone } = door(10, 1)
    const clients = ["a", "b", "c"].map((name) => enter(name, undefined))
    expect(gone).toEqual([])
    clients.forEach((client) => client.comesFrom("203.0.113.1"))
    expect(gone).toEqual(["a", "b"])
  })

  it("does what a list does that is searched from its beginning", () => {
    const step = fc.oneof(
      fc.record({ type: fc.constant("enter" as const), address: fc.constantFrom(undefined, ...addresses) }),
      fc.record({ type: fc.constant("speaks" as const), who: fc.nat(20) }),
      fc.record({ type: fc.constant("leaves" as const), who: fc.nat(20) }),
      fc.record({
        type: fc.constant("comesFrom" as const),
        who: fc.nat(20),
        address: fc.constantFrom(...addresses)
      })
    )
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 4 }),
        fc.array(step, { maxLength: 60 }),
        (max, maxPerAddress, steps) => {
          const { doorway, enter, gone } = door(max, maxPerAddress)
          const visitors: Array<Visitor> = []
          let line: Array<{ readonly name: string; readonly key: string | undefined }> = []
          const expected: Array<string> = []
          const join = (name: string, key: string | undefined): void => {
            const same = line.filter((other) => key !== undefined && other.key === key)
            const [first] = same.length >= maxPerAddress ? same : line.length >= max ? line : []
            if (first !== undefined) {
              expected.push(first.name)
              line = line.filter((other) => other !== first)
            }
            line.push({ name, key })
          }
          for (const one of steps) {
            if (one.type === "enter") {
              const name = String(visitors.length)
              join(name, one.address === undefined ? undefined : AddressKey.of(one.address))
              visitors.push(enter(name, one.address))
            } else {
              const visitor = visitors[one.who]
              if (visitor === undefined) continue
              const standing = line.find(({ name }) => name === String(one.who))
              const rest = line.filter((other) => other !== standing)
              if (one.type === "speaks") {
                visitor.speaks()
                if (standing !== undefined) line = [...rest, standing]
              } else if (one.type === "leaves") {
                visitor.leaves()
                line = rest
              } else {
                visitor.comesFrom(one.address)
                const key = AddressKey.of(one.address)
                if (standing !== undefined && standing.key !== key) {
                  line = rest
                  join(standing.name, key)
                }
              }
            }
            expect(gone).toEqual(expected)
            expect(doorway.size).toBe(line.length)
          }
        }
      ),
      { numRuns: 500 }
    )
  })
})
