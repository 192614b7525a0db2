/** Inbound frames: from what arrived to a request, or to what can be said about it. */
import { Either, ParseResult, Schema } from "effect"
import { InvalidFrame } from "../domain/RequestError.js"
import { RequestFrame } from "../protocol/Frame.js"
import { describe } from "../protocol/Params.js"
import * as JsonShape from "./JsonShape.js"

/** What a transport delivers: the text of a message, or `null` for a binary one. */
export type Inbound = string | null

/** A message that is no request. */
export interface Unreadable {
  /** The request's own id if it has one, else `invalid`. */
  readonly id: string
  readonly error: InvalidFrame
}

const decodeRequest = ParseResult.decodeUnknownEither(RequestFrame, { errors: "first" })
const hasId = Schema.is(Schema.Struct({ id: Schema.NonEmptyString }))

/** Values of one frame. No request of a client needs a tenth of them; this many are parsed in a millisecond or two. */
const maxValues = 2000

/** The id of a request that is refused whatever it says: it is not worth being parsed. */
export const idOf = (inbound: Inbound): string => {
  const id = inbound === null ? undefined : JsonShape.topLevelString(inbound, "id")
  return id === undefined || id === "" ? "invalid" : id
}

export const read = (inbound: Inbound, maxDepth: number): Either.Either<RequestFrame, Unreadable> => {
  if (inbound === null) return unreadable("invalid", "binary; expected a text frame with one JSON object")
  const excess = JsonShape.excess(inbound, { maxDepth, maxValues })
  if (excess !== undefined) return unreadable(idOf(inbound), excess)
  let value: unknown
  try {
    value = JSON.parse(inbound)
  } catch {
    return unreadable("invalid", "not JSON")
  }
  const request = decodeRequest(value)
  if (Either.isRight(request)) return Either.right(request.right)
  const { expected, found, path } = describe(request.left)
  return unreadable(
    hasId(value) ? value.id : "invalid",
    `${path === "" ? "frame" : path}: expected ${expected}, found ${found}`
  )
}

const unreadable = (id: string, reason: string) => Either.left({ id, error: new InvalidFrame({ reason }) })
