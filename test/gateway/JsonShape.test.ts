import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as JsonShape from "../../src/gateway/JsonShape.js"

const none = { maxDepth: Number.POSITIVE_INFINITY, maxValues: Number.POSITIVE_INFINITY }

/** Counted on what was parsed: how deep, and how many values. */
const naive = (value: unknown): { readonly depth: number; readonly values: number } => {
  if (typeof value !== "object" || value === null) return { depth: 0, values: 1 }
  const inner = Object.values(value).map(naive)
  return {
    depth: 1 + Math.max(0, ...inner.map(({ depth }) => depth)),
    // One that is empty counts like one with a member: its members are told by the commas between them.
    values: 1 + Math.max(inner.length, 1) - inner.length + inner.reduce((sum, { values }) => sum + values, 0)
  }
}

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: fc.constantFrom('"', "\\", "{", "}", "[", "]", ",", ":", "id", "\\\\", "\u0000", "é") })
)
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    fc.oneof(text, fc.double(), fc.boolean(), fc.constant(null)),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(text, tie("value"), { maxKeys: 4 })
  )
}))
const json = fc
  .tuple(value, fc.constantFrom(0, 1, "\t", " \r\n"))
  .map(([value, space]) => JSON.stringify(value, null, space))

describe("JsonShape", () => {
  it("finds as deep a text too deep as parsing would", () => {
    fc.assert(
      fc.property(json, (text) => {
        const { depth } = naive(JSON.parse(text))
        expect(JsonShape.excess(text, { ...none, maxDepth: depth })).toBeUndefined()
        if (depth > 0) {
          expect(JsonShape.excess(text, { ...none, maxDepth: depth - 1 })).toContain("levels")
        }
      }),
      { numRuns: 2000 }
    )
  })

  it("counts what parsing would", () => {
    fc.assert(
      fc.property(json, (text) => {
        const { values } = naive(JSON.parse(text))
        expect(JsonShape.excess(text, { ...none, maxValues: values })).toBeUndefined()
        if (values === 1) return
        expect(JsonShape.excess(text, { ...none, maxValues: values - 1 })).toBe(
          `more than ${values - 1} values`
        )
      }),
      { numRuns: 2000 }
    )
  })

  const member = fc.tuple(fc.constantFrom("id", "i", "ID", "x"), value)
  /** Objects with members of the same name, some written with escapes, white space anywhere. */
  const object = fc
    .tuple(fc.array(fc.tuple(member, fc.boolean()), { maxLength: 5 }), fc.constantFrom("", " ", "\n\t "))
    .map(([members, space]) => {
      const written = members.map(
        ([[name, value], escaped]) =>
          `${escaped ? JSON.stringify(name).replace("i", "\\u0069") : JSON.stringify(name)}${space}:${space}${JSON.stringify(value)}`
      )
      return `${space}{${space}${written.join(`${space},${space}`)}${space}}`
    })

  it("finds the string of a member that parsing would find", () => {
    fc.assert(
      fc.property(object, (text) => {
        const { id } = JSON.parse(text) as { readonly id?: unknown }
        expect(JsonShape.topLevelString(text, "id")).toBe(typeof id === "string" ? id : undefined)
      }),
      { numRuns: 5000 }
    )
  })

  it("finds none in an array, nor in what is within", () => {
    expect(JsonShape.topLevelString('["id","x"]', "id")).toBeUndefined()
    expect(JsonShape.topLevelString('{"a":{"id":"x"},"b":"id"}', "id")).toBeUndefined()
  })

  it("any text, JSON or not, is read to its end without a complaint", () => {
    fc.assert(
      fc.property(text, (text) => {
        JsonShape.excess(text, none)
        JsonShape.topLevelString(text, "id")
      }),
      { numRuns: 2000 }
    )
  })
})
