/** Values that a JSON schema allows, as far as the published ones use the language. */
import { FastCheck as fc } from "effect"
import type { JsonSchema } from "./Published.js"

export const arbitrary = (schema: JsonSchema): fc.Arbitrary<unknown> => {
  if ("const" in schema) return fc.constant(schema.const)
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum)
  if (schema.anyOf !== undefined) return fc.oneof(...schema.anyOf.map(arbitrary))
  switch (schema.type) {
    case "string":
      return schema.pattern === undefined
        ? fc.string({
            minLength: schema.minLength ?? 0,
            ...(schema.maxLength === undefined ? {} : { maxLength: schema.maxLength })
          })
        : fc.stringMatching(new RegExp(schema.pattern))
    case "integer":
      return fc.integer({ min: schema.minimum ?? -1000, max: schema.maximum ?? 0x7fff_ffff })
    case "number":
      return fc.double({
        noNaN: true,
        noDefaultInfinity: true,
        ...(schema.minimum === undefined ? {} : { min: schema.minimum })
      })
    case "boolean":
      return fc.boolean()
    case "null":
      return fc.constant(null)
    case "array": {
      const items = arbitrary(schema.items ?? {})
      const bounds = { minLength: schema.minItems ?? 0, maxLength: Math.min(schema.maxItems ?? 5, 5) }
      return schema.uniqueItems === true ? fc.uniqueArray(items, bounds) : fc.array(items, bounds)
    }
    case "object":
      return object(schema)
    default:
      return fc.jsonValue({ maxDepth: 2 })
  }
}

const object = (schema: JsonSchema): fc.Arbitrary<unknown> => {
  const known = fc.record(
    Object.fromEntries(
      Object.entries(schema.properties ?? {}).map(([name, property]) => [name, arbitrary(property)])
    ),
    { requiredKeys: [...(schema.required ?? [])] }
  )
  const [values] = Object.values(schema.patternProperties ?? {})
  return values === undefined
    ? known
    : fc.dictionary(fc.string({ minLength: 1 }), arbitrary(values), { maxKeys: 5 })
}
