import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc, Option } from "effect"
import * as JsonFields from "../../src/session/JsonFields.js"

/** JSON texts of objects, laid out in any way, with names that are easy to get wrong. */
const name = fc.oneof(fc.string(), fc.constantFrom("__proto__", "7", 'a"b', "\\", "{", "toString"))
const value = fc.oneof(
  fc.json(),
  fc.constantFrom("12345678901234567890", "1.0", '"}\\""', "[ ]", '{ "a" : [ ] }')
)
const space = fc.constantFrom("", " ", "\n", "\t\r\n ")
const fields = fc.uniqueArray(fc.record({ name, text: value }), {
  selector: (field) => field.name,
  maxLength: 8
})
const laidOut = fc.tuple(fields, space).map(([fields, space]) => ({
  fields,
  text: `${space}{${space}${fields
    .map((field) => `${JSON.stringify(field.name)}${space}:${space}${field.text}${space}`)
    .join(`,${space}`)}}${space}`
}))

describe("JsonFields", () => {
  it("splits an object into the texts of its fields", () => {
    fc.assert(
      fc.property(laidOut, ({ fields, text }) => {
        expect(JsonFields.split(text)).toEqual(fields)
      })
    )
  })

  it("puts them together again to the same value", () => {
    fc.assert(
      fc.property(laidOut, ({ text }) => {
        expect(JsonFields.parse(JsonFields.join(JsonFields.split(text)))).toEqual(JsonFields.parse(text))
      })
    )
  })

  it("sets fields in place, adds others at the end, and leaves the rest as it was written", () => {
    fc.assert(
      fc.property(laidOut, name, value, ({ fields, text }, name, value) => {
        const set = JsonFields.split(JsonFields.set(text, [{ name, text: value }]))
        const known = fields.some((field) => field.name === name)
        expect(set).toEqual(
          known
            ? fields.map((field) => (field.name === name ? { name, text: value } : field))
            : [...fields, { name, text: value }]
        )
      })
    )
  })

  it("gives the whole fields of a text that was cut off, and the rest of the last one", () => {
    fc.assert(
      fc.property(laidOut, fc.nat(200), ({ fields, text }, cut) => {
        const found = JsonFields.split(text.slice(0, cut))
        const last = found.at(-1)
        expect(found.slice(0, -1)).toEqual(fields.slice(0, Math.max(0, found.length - 1)))
        if (last !== undefined) expect(fields[found.length - 1]?.text.startsWith(last.text)).toBe(true)
      })
    )
  })

  it("is not a matter of the stack how deeply a value is nested", () => {
    const deep = "[".repeat(500_000) + "]".repeat(500_000)
    expect(JsonFields.split(`{"a":${deep},"b":1}`).map(({ name }) => name)).toEqual(["a", "b"])
  })

  it("has no fields in what is not an object", () => {
    for (const text of ["", "[]", "null", '"{}"', "7"]) expect(JsonFields.split(text)).toEqual([])
    expect(JsonFields.parse("{")).toEqual(Option.none())
  })
})
