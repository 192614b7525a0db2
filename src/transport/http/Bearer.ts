/** Bearer: who comes with a request, by its `Authorization` header. */
import type { IncomingMessage } from "node:http"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import { Context, Effect } from "effect"
import type { Peer } from "../../domain/Peer.js"
import { type Visitor, Visitors } from "../../gateway/Visitors.js"
import * as ErrorMap from "../../protocol/ErrorMap.js"
import * as Version from "../../protocol/Version.js"
import { type HttpFailure, ofWire } from "./HttpFailure.js"

/** Where requests come from, by the proxies that are trusted. */
export class Origins extends Context.Tag("colloquy/http/Origins")<
  Origins,
  { readonly peerOf: (request: IncomingMessage) => Peer }
>() {}

/** Lets the request in; `bytes`: how large it is. */
export const enter = (
  request: HttpServerRequest.HttpServerRequest,
  bytes: number
): Effect.Effect<Visitor, HttpFailure, Visitors | Origins> =>
  Effect.gen(function* () {
    const visitors = yield* Visitors
    const { peerOf } = yield* Origins
    const [, token] = /^bearer +(\S+) *$/i.exec(request.headers["authorization"] ?? "") ?? []
    const peer = peerOf(NodeHttpServerRequest.toIncomingMessage(request))
    return yield* Effect.mapError(visitors.enter(token, peer, bytes), (error) =>
      ofWire(ErrorMap.toWire(error, Version.expected))
    )
  })
