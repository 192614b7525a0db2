/** `colloquy watch`: the gateway's events as they come, until a signal ends it. It outlives connections. */
import type { FileSystem, Path, Terminal } from "@effect/platform"
import { Clock, Effect, Option, Stream } from "effect"
import { isTerminal as isEnd } from "../client/Answer.js"
import type { ServerEvent } from "../client/ServerEvent.js"
import type { Status } from "../client/Status.js"
import { type CliError, failed } from "./CliError.js"
import * as Output from "./Output.js"
import * as Remote from "./Remote.js"
import * as SameSession from "./SameSession.js"
import type * as Settings from "./Settings.js"
import type { SettingsError } from "./SettingsError.js"
import * as Signals from "./Signals.js"
import { visible } from "./Visible.js"

export interface Request {
  /** Absent: all sessions that the token may see. */
  readonly session: Option.Option<string>
  readonly json: boolean
  readonly url: Option.Option<string>
}

export const watch = (
  { json, session, url }: Request,
  flags: Settings.Flags
): Effect.Effect<void, CliError | SettingsError, FileSystem.FileSystem | Path.Path | Terminal.Terminal> =>
  Remote.talk(url, flags, ["operator.read"], ({ client, signal, target }) =>
    Effect.gen(function* () {
      const events = yield* client.subscribe
      const isOfSession = Option.isSome(session)
        ? SameSession.as(session.value, yield* Effect.mapError(client.open, Remote.explain(target)))
        : () => true
      const { line, note } = json ? asJson : asText
      const told = events.pipe(
        Stream.filter((event) => isOf(event, isOfSession)),
        Stream.mapEffect((event) => Effect.map(Clock.currentTimeMillis, (now) => line(event, now)))
      )
      const notes = client.statuses.pipe(
        // The first one is that it is open.
        Stream.drop(1),
        Stream.filterMap((status) => Option.fromNullable(wordsOf(status))),
        Stream.map(note)
      )
      return yield* Stream.merge(told, notes).pipe(
        Stream.filter((text) => text !== ""),
        Stream.runForEach(Output.printLine),
        Effect.zipRight(refusal(client.status, target)),
        Effect.raceFirst(Effect.flatMap(signal, Signals.interrupted))
      )
    })
  )

const sessionOf = ({ payload }: ServerEvent): string | undefined =>
  typeof payload === "object" && payload !== null && "sessionKey" in payload ? payload.sessionKey : undefined

/** Events of the gateway itself belong to every session. */
const isOf = (event: ServerEvent, isOfSession: (key: string) => boolean): boolean => {
  const key = sessionOf(event)
  return key === undefined || isOfSession(key)
}

const wordsOf = (status: Status): string | undefined => {
  switch (status._tag) {
    case "Waiting":
      return status.attempt === 1 ? `connection lost (${status.reason}); trying again` : undefined
    case "Open":
      return "connected"
    default:
      return undefined
  }
}

/** It ends by itself only when the gateway does not let it in any more. */
const refusal = (status: Effect.Effect<Status>, target: Remote.Target) =>
  Effect.flatMap(status, (last) =>
    Effect.fail(
      last._tag === "Refused" ? Remote.refused(target.url, last.error) : failed("the client was closed.")
    )
  )

interface Form {
  readonly line: (event: ServerEvent, now: number) => string
  readonly note: (text: string) => string
}

const asJson: Form = { line: (event) => JSON.stringify(event), note: () => "" }

const asText: Form = {
  line: (event, now) => {
    const words = describe(event)
    if (words === undefined) return ""
    const session = sessionOf(event)
    return [Output.dim(clock(now)), session === undefined ? "" : visible(session), words]
      .filter((part) => part !== "")
      .join("  ")
  },
  note: (text) => Output.dim(`-- ${text}`)
}

/** What an event says, on one line; undefined: nothing that people want to read. */
const describe = (event: ServerEvent): string | undefined => {
  switch (event.event) {
    case "chat": {
      const { payload } = event
      const run = Output.dim(shortId(payload.runId))
      if (payload.state === "delta") return `${run} … ${excerpt(payload.deltaText ?? "")}`
      const text = excerpt(payload.message?.content.map((part) => part.text).join("") ?? "")
      const more = payload.state === "error" ? visible(payload.errorMessage) : text
      const name = isEnd(payload) ? Output.bold(payload.state) : payload.state
      return `${run} ${name}${more === "" ? "" : `: ${more}`}`
    }
    case "agent": {
      const { data, runId, stream } = event.payload
      // Text comes with `chat`, too.
      if (stream === "assistant") return undefined
      return `${Output.dim(shortId(runId))} ${visible(stream)} ${excerpt(JSON.stringify(data))}`
    }
    case "permission.requested":
      return `${Output.dim(shortId(event.payload.runId))} asks: ${excerpt(event.payload.title)}`
    case "permission.resolved":
      return `${Output.dim(shortId(event.payload.runId))} question ${event.payload.outcome}`
    case "sessions.changed":
      return `session: ${event.payload.reason}`
    case "shutdown":
      return "the gateway stops"
    case "resume.reset":
      return "some events were missed"
    case "tick":
      return undefined
  }
}

const shortId = (id: string): string => visible(id.slice(0, 8))

const width = 100
const excerpt = (text: string): string => {
  const line = visible(text.replaceAll(/\s+/g, " ").trim())
  return line.length > width ? `${line.slice(0, width - 1)}…` : line
}

const clock = (millis: number): string => new Date(millis).toTimeString().slice(0, 8)
