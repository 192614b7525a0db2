/** Wire: reading what a provider sent, which may be anything. */
import { Schema } from "effect"

/** What the JSON says; `undefined`, which no JSON says, when it is none. */
export const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Absent, null, or of this shape: servers differ in how they say nothing. */
export const maybe = <A, I>(schema: Schema.Schema<A, I>) => Schema.optional(Schema.NullOr(schema))

/** A count of tokens; what can't be one counts as none. */
export const tokens = (value: unknown): number =>
  typeof value === "number" && Number.isSafeInteger(value) && value > 0 ? value : 0
