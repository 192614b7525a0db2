import { expect, it } from "@effect/vitest"
import { FastCheck as fc, Option } from "effect"
import * as Version from "../../src/protocol/Version.js"

const number = fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1 }))

it("the highest common version is spoken, and none where there is none", () => {
  fc.assert(
    fc.property(number, number, (min, max) => {
      const common = [4, 3].find((version) => min <= version && version <= max)
      expect(Version.negotiate(min, max)).toEqual(Option.fromNullable(common))
    })
  )
})
