import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as Ids from "../../src/domain/Ids.js"

const name = fc.oneof(
  fc.constantFrom("owner", "alice", "bob", "owne"),
  fc.stringMatching(/^[a-z0-9][a-z0-9_-]{0,8}$/)
)
// Keys are any text of a client's: names, separators and whole ids of others among them.
const key = fc.oneof(
  fc.string({ minLength: 1 }),
  fc.string({ unit: fc.constantFrom("\u001f", "owner", "alice", "k", ":"), minLength: 1, maxLength: 5 })
)

describe("the ids of runs", () => {
  it("two principals, or two keys, never have the same run", () => {
    fc.assert(
      fc.property(name, key, name, key, (one, left, other, right) => {
        const equal = Ids.runIdOf(one, left) === Ids.runIdOf(other, right)
        expect(equal).toBe(one === other && left === right)
      }),
      { numRuns: 20_000 }
    )
  })

  it("a key that looks like another principal's run id is nobody else's run", () => {
    const theirs = Ids.runIdOf("alice", "k")
    for (const principal of ["owner", "bob", "alice"]) {
      expect(Ids.runIdOf(principal, theirs)).not.toBe(theirs)
    }
    expect(Ids.runIdOf("bob", Ids.runIdOf("owner", "k"))).not.toBe(Ids.runIdOf("owner", "k"))
  })

  it("clients are told the key as they wrote it", () => {
    fc.assert(
      fc.property(name, key, (principal, text) => {
        expect(Ids.keyOf(Ids.runIdOf(principal, text))).toBe(text)
      }),
      { numRuns: 20_000 }
    )
  })

  it("the owner's keys are the ids, as they were before there were principals", () => {
    expect(Ids.runIdOf("owner", "k")).toBe("k")
  })
})
