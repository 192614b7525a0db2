/**
 * SessionEvents: `GET /v1/sessions/{key}/events`: a session's events as server-sent events. The id of each is its position, so a
 * browser's EventSource goes on by itself where it was (`Last-Event-ID`), or is told `resume.reset`.
 * Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { Effect, Either, Exit, Option, Schema, Scope, Stream } from "effect"
import type { Position } from "../../domain/Position.js"
import * as Event from "../../protocol/Event.js"
import { EventFrame } from "../../protocol/Frame.js"
import { securityHeaders } from "../SecurityHeaders.js"
import * as Bearer from "./Bearer.js"
import { invalid } from "./HttpFailure.js"

export const handle = (request: HttpServerRequest.HttpServerRequest, sessionKey: string) =>
  Effect.gen(function* () {
    const visitor = yield* Bearer.enter(request, 0)
    const last = request.headers["last-event-id"]
    const resume = last === undefined || last === "" ? undefined : positionOf(last)
    if (resume === null) {
      return yield* invalid(
        "Last-Event-ID: expected an id that an event of this session had",
        "Last-Event-ID"
      )
    }
    const scope = yield* Scope.make()
    const feed = yield* visitor.feed(sessionKey, resume).pipe(
      Scope.extend(scope),
      Effect.onExit((exit) => (Exit.isFailure(exit) ? Scope.close(scope, exit) : Effect.void)),
      Effect.mapError(Bearer.refuse)
    )
    let epoch = (resume ?? feed.position).epoch
    const text = (frame: string): string => {
      const decoded = decodeFrame(frame)
      if (Either.isLeft(decoded)) return ""
      const { event, payload } = decoded.right
      if (isReset(payload)) epoch = payload.epoch
      const pos = isPositioned(payload) ? payload.pos : undefined
      if (event === "tick") return pos === undefined ? ": tick\n\n" : `id: ${pos}@${epoch}\n: tick\n\n`
      return `${pos === undefined ? "" : `id: ${pos}@${epoch}\n`}event: ${event}\ndata: ${JSON.stringify(payload)}\n\n`
    }
    // At once, so that a proxy passes the headers on, and a reader that leaves now knows where it was.
    const first = `retry: 1000\nid: ${feed.position.pos}@${epoch}\n: open\n\n`
    const body = Stream.concat(
      Stream.make(resume === undefined ? first : "retry: 1000\n: open\n\n"),
      Stream.repeatEffectOption(
        Effect.flatMap(
          feed.next,
          Option.match({
            onNone: () => Effect.fail(Option.none()),
            onSome: (frames) => Effect.succeed(frames.map(text).join(""))
          })
        )
      )
    ).pipe(
      Stream.encodeText,
      Stream.ensuringWith((exit) => Scope.close(scope, exit))
    )
    return HttpServerResponse.stream(body, {
      contentType: "text/event-stream; charset=utf-8",
      headers: { ...securityHeaders, "X-Accel-Buffering": "no" }
    })
  }).pipe(Effect.interruptible)

const decodeFrame = Schema.decodeUnknownEither(Schema.parseJson(EventFrame))
const isReset = Schema.is(Event.ResumeReset)
const isPositioned = Schema.is(Schema.Struct({ pos: Schema.Int }))

/** `<pos>@<epoch>`; null: it is none. */
const positionOf = (id: string): Position | null => {
  const [, pos = "", epoch = ""] = /^(\d{1,15})@(\S{1,512})$/.exec(id) ?? []
  return epoch === "" ? null : { epoch, pos: Number(pos) }
}
