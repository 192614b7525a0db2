/** The JSON schemas that the makers of the existing clients publish (version 4 of the protocol). */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { Ajv, type ValidateFunction } from "ajv"

/** A JSON schema, as far as the published ones use the language. */
export interface JsonSchema {
  readonly type?: string
  readonly const?: unknown
  readonly enum?: ReadonlyArray<unknown>
  readonly anyOf?: ReadonlyArray<JsonSchema>
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly patternProperties?: Readonly<Record<string, JsonSchema>>
  readonly required?: ReadonlyArray<string>
  readonly additionalProperties?: boolean
  readonly items?: JsonSchema
  readonly minItems?: number
  readonly maxItems?: number
  readonly uniqueItems?: boolean
  readonly maxProperties?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
}

// The package exports no path to the file, so it is found beside its entry.
const entry = createRequire(import.meta.url).resolve("@openclaw/gateway-protocol")
const file = JSON.parse(readFileSync(new URL("../protocol.schema.json", `file://${entry}`), "utf8")) as {
  readonly definitions: Readonly<Record<string, JsonSchema>>
  readonly methods: Readonly<Record<string, unknown>>
}

/** Names of all published methods. */
export const methods: ReadonlyArray<string> = Object.keys(file.methods)

export const definition = (name: string): JsonSchema => {
  const found = file.definitions[name]
  if (found === undefined) throw new Error(`no definition ${name} in the published schemas`)
  return found
}

const ajv = new Ajv({ strict: false, allErrors: true, discriminator: false })
const compiled = new Map<string, ValidateFunction>()

/**
 * How a value deviates from a definition: `place: what is wrong` in a form that does not depend on the value, with `[]` for
 * any index.
 */
export const deviations = (name: string, value: unknown): ReadonlyArray<string> => {
  const validate = compiled.get(name) ?? ajv.compile(definition(name))
  compiled.set(name, validate)
  if (validate(value)) return []
  return (validate.errors ?? []).map(({ instancePath, keyword, params }) => {
    const place = instancePath.replaceAll(/\/\d+/g, "[]").replaceAll("/", ".").replace(/^\./, "")
    const { additionalProperty, missingProperty } = params as {
      readonly additionalProperty?: string
      readonly missingProperty?: string
    }
    return `${name}${place === "" ? "" : `.${place}`}: ${keyword} ${additionalProperty ?? missingProperty ?? ""}`.trim()
  })
}
