/** The results of the methods, decoded as the contract has them. A method that is missing does not compile. */
import type * as Either from "effect/Either"
import type * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as Method from "../protocol/Method.js"

type Decoders = {
  readonly [M in Method.MethodName]: (
    payload: unknown
  ) => Either.Either<Method.ResultOf<M>, ParseResult.ParseError>
}

export const decoders: Decoders = {
  "chat.history": Schema.decodeUnknownEither(Method.methods["chat.history"].result),
  "chat.image": Schema.decodeUnknownEither(Method.methods["chat.image"].result),
  "chat.send": Schema.decodeUnknownEither(Method.methods["chat.send"].result),
  "chat.abort": Schema.decodeUnknownEither(Method.methods["chat.abort"].result),
  "chat.inject": Schema.decodeUnknownEither(Method.methods["chat.inject"].result),
  "sessions.list": Schema.decodeUnknownEither(Method.methods["sessions.list"].result),
  "sessions.preview": Schema.decodeUnknownEither(Method.methods["sessions.preview"].result),
  "sessions.resolve": Schema.decodeUnknownEither(Method.methods["sessions.resolve"].result),
  "sessions.patch": Schema.decodeUnknownEither(Method.methods["sessions.patch"].result),
  "sessions.reset": Schema.decodeUnknownEither(Method.methods["sessions.reset"].result),
  "sessions.delete": Schema.decodeUnknownEither(Method.methods["sessions.delete"].result),
  "permission.list": Schema.decodeUnknownEither(Method.methods["permission.list"].result),
  "permission.resolve": Schema.decodeUnknownEither(Method.methods["permission.resolve"].result),
  "agents.list": Schema.decodeUnknownEither(Method.methods["agents.list"].result),
  "models.list": Schema.decodeUnknownEither(Method.methods["models.list"].result),
  "runs.list": Schema.decodeUnknownEither(Method.methods["runs.list"].result),
  "system-presence": Schema.decodeUnknownEither(Method.methods["system-presence"].result),
  health: Schema.decodeUnknownEither(Method.methods.health.result),
  status: Schema.decodeUnknownEither(Method.methods.status.result)
}
