/** Tokens that one run has used, in the words of the clients there are. */
import { ParseResult, Schema } from "effect"

const Tokens = Schema.NonNegativeInt
const optional = Schema.optionalWith(Tokens, { exact: true })

export const Usage = Schema.Struct({
  /** Tokens of the request that were not read from a cache. */
  input: Tokens,
  output: Tokens,
  /** Tokens of the request that were read from the provider's cache. */
  cacheRead: optional,
  /** Tokens of the request that were written to the provider's cache. */
  cacheWrite: optional,
  /** Everything together. */
  totalTokens: Tokens
})
export interface Usage extends Schema.Schema.Type<typeof Usage> {}

/** Puts the sum to its parts. */
export const make = (parts: Omit<Usage, "totalTokens">): Usage => ({
  ...parts,
  totalTokens: parts.input + parts.output + (parts.cacheRead ?? 0) + (parts.cacheWrite ?? 0)
})

/** Reads what an agent said of its usage; an agent of one's own may say it in other words. */
export const decodeOption = ParseResult.decodeUnknownOption(Usage)
