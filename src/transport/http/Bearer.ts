/** Bearer: who comes with a request, by its `Authorization` header. */
import type { IncomingMessage } from "node:http"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
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
  {
    readonly peerOf: (request: IncomingMessage) => Peer
    /** Whoever it is has logged in. */
    readonly onEntered: (request: IncomingMessage) => void
  }
>() {}

/** Lets the request in; `bytes`: how large it is. */
export const enter = (
  request: HttpServerRequest.HttpServerRequest,
  bytes: number
): Effect.Effect<Visitor, HttpFailure, Visitors | Origins> =>
  Effect.gen(function* () {
    const visitors = yield* Visitors
    const { onEntered, peerOf } = yield* Origins
    const incoming = NodeHttpServerRequest.toIncomingMessage(request)
    const [, token] = /^bearer +(\S+) *$/i.exec(request.headers["authorization"] ?? "") ?? []
    return yield* visitors.enter(token, peerOf(incoming), bytes).pipe(
      Effect.tap(() => Effect.sync(() => onEntered(incoming))),
      Effect.mapError((error) => ofWire(ErrorMap.toWire(error, Version.expected)))
    )
  })
