/** Body: the JSON of a request, bounded before it is read and again before it is parsed. */
import * as HttpIncomingMessage from "@effect/platform/HttpIncomingMessage"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import { Effect, Either, Option, ParseResult, Schema } from "effect"
import * as FileSystem from "@effect/platform/FileSystem"
import { GatewayConfig } from "../../GatewayConfig.js"
import * as JsonShape from "../../gateway/JsonShape.js"
import * as Params from "../../protocol/Params.js"
import { type HttpFailure, invalid } from "./HttpFailure.js"

/** As for frames. */
const maxValues = 2000

export interface Body<A> {
  readonly value: A
  readonly bytes: number
}

/** How large a request says to be. */
export const sizeOf = (request: HttpServerRequest.HttpServerRequest): number =>
  Number(request.headers["content-length"] ?? 0) || 0

/** Reads and decodes it; what is wrong is named by its path. */
export const read = <A, I>(
  request: HttpServerRequest.HttpServerRequest,
  schema: Schema.Schema<A, I>
): Effect.Effect<A, HttpFailure, GatewayConfig> =>
  Effect.gen(function* () {
    const { maxJsonDepth, maxPayload } = yield* GatewayConfig
    const tooLarge = invalid(`the body is larger than ${maxPayload} bytes`, null, 413)
    if (sizeOf(request) > maxPayload) return yield* tooLarge
    const text = yield* request.text.pipe(
      HttpIncomingMessage.withMaxBodySize(Option.some(FileSystem.Size(maxPayload))),
      Effect.mapError(() => tooLarge)
    )
    const excess = JsonShape.excess(text, { maxDepth: maxJsonDepth, maxValues })
    if (excess !== undefined) return yield* invalid(`the body is ${excess}`, null)
    const json = parse(text)
    if (Either.isLeft(json)) return yield* invalid("the body is no JSON", null)
    const decoded = ParseResult.decodeUnknownEither(schema, { errors: "first" })(json.right)
    if (Either.isRight(decoded)) return decoded.right
    const { expected, found, path } = Params.describe(decoded.left)
    return yield* invalid(
      `${path === "" ? "the body" : path}: expected ${expected}, found ${found}`,
      path === "" ? null : path
    )
  })

const parse = Schema.decodeUnknownEither(Schema.parseJson())
