/** Fields that many schemas of the wire share. */
import { Schema } from "effect"

/** A field that may be left out, but is never `null` or `undefined`. */
export const optional = <A, I>(schema: Schema.Schema<A, I>) => Schema.optionalWith(schema, { exact: true })

/** A whole number that is not negative. */
export const Count = Schema.Int.pipe(Schema.greaterThanOrEqualTo(0)).annotations({
  description: "an integer of at least 0"
})
