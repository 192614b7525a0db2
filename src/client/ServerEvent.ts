/** The events of the wire as a client sees them. */
import type * as Either from "effect/Either"
import type * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as Event from "../protocol/Event.js"
import type { EventFrame } from "../protocol/Frame.js"

const serverEvent = <N extends Event.EventName, P, PI>(event: N, payload: Schema.Schema<P, PI>) =>
  Schema.Struct({ event: Schema.Literal(event), payload })

/** An event and its payload. Events that this client doesn't know are not shown to it. */
export const ServerEvent = Schema.Union(
  serverEvent("chat", Event.events.chat.payload),
  serverEvent("agent", Event.events.agent.payload),
  serverEvent("permission.requested", Event.events["permission.requested"].payload),
  serverEvent("permission.resolved", Event.events["permission.resolved"].payload),
  serverEvent("sessions.changed", Event.events["sessions.changed"].payload),
  serverEvent("tick", Event.events.tick.payload),
  serverEvent("shutdown", Event.events.shutdown.payload),
  serverEvent("resume.reset", Event.events["resume.reset"].payload)
)
export type ServerEvent = typeof ServerEvent.Type

const decodeEvent = Schema.decodeUnknownEither(ServerEvent)
const isKnown = (event: string): boolean => event !== "connect.challenge" && Event.names.includes(event)

/** Reads an event; undefined: one that this client doesn't know. */
export const decode = (frame: EventFrame): Either.Either<ServerEvent, ParseResult.ParseError> | undefined =>
  isKnown(frame.event) ? decodeEvent(frame) : undefined
