import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as Position from "../../src/domain/Position.js"

describe("Position", () => {
  it("an epoch carries where its bearer has come from, and gives it back", () => {
    const epoch = fc.uuid()
    fc.assert(
      fc.property(epoch, epoch, fc.nat(), (now, before, pos) => {
        const from = { epoch: before, pos }
        expect(Position.parse(Position.carry(now, from))).toEqual({ epoch: now, from })
      })
    )
  })

  it.each([
    "",
    "plain",
    "a<b",
    "a<b:",
    "<b:1",
    "a<:1",
    "a<b:-1",
    "a<b:1.5",
    "a<b<c:1",
    `a<b:${"9".repeat(16)}`
  ])("%j is an epoch as it is", (text) => {
    expect(Position.parse(text)).toEqual({ epoch: text, from: undefined })
  })
})
