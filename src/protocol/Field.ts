/** Fields that many schemas of the wire share. */
import { Schema } from "effect"

/** A field that may be left out, but is never `null` or `undefined`. */
export const optional = <A, I>(schema: Schema.Schema<A, I>) => Schema.optionalWith(schema, { exact: true })

/** A whole number that is not negative. */
export const Count = Schema.Int.pipe(Schema.greaterThanOrEqualTo(0)).annotations({
  description: "an integer of at least 0"
})

/**
 * The position of an event, for clients with the cap `resume`. On what is no event of a session it is the one up to which the
 * connection has been told everything. It never falls within a connection.
 */
export const PositionField = optional(Count)
