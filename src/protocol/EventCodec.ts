/**
 * From broadcast events to payloads on the wire. A client's view of an event depends on its version and caps; clients
 * with the same view get the same bytes, so a broadcast encodes once per view and not once per client.
 */
import type {
  AgentText,
  Delta,
  HubEvent,
  Injected,
  PermissionQuestion,
  PermissionVerdict,
  RunRef,
  Terminal
} from "../domain/HubEvent.js"
import { keyOf } from "../domain/Ids.js"
import type { EventName } from "./Event.js"
import type { ProtocolVersion } from "./Version.js"

/** How a connection sees events. */
export interface View {
  readonly version: ProtocolVersion
  /** Deltas carry `deltaText` alone. */
  readonly deltaOnly: boolean
  /** Payloads carry `pos`. */
  readonly positions: boolean
}

/** The wire's name of an event. */
export const eventName = (event: HubEvent): EventName => eventNames[event._tag]

const eventNames = {
  Delta: "chat",
  Terminal: "chat",
  Injected: "chat",
  AgentText: "agent",
  AgentActivity: "agent",
  PermissionAsked: "permission.requested",
  PermissionResolved: "permission.resolved",
  SessionChanged: "sessions.changed"
} as const satisfies Record<HubEvent["_tag"], EventName>

const message = (text: string, timestamp: number) => ({
  role: "assistant",
  content: [{ type: "text", text }],
  timestamp
})

const ref = (run: RunRef, view: View) =>
  view.version >= 4
    ? { runId: keyOf(run.runId), sessionKey: run.requestedKey, agentId: run.agentId }
    : { runId: keyOf(run.runId), sessionKey: run.requestedKey }

/**
 * The payload of a growing answer. `from` is how much of this revision of the text the reader has (UTF-16 code units),
 * `undefined` if it has none of it: then it gets the whole text, with `replace`.
 */
export const encodeGrowth = (event: Delta | AgentText, view: View, from: number | undefined): string =>
  JSON.stringify(event._tag === "Delta" ? chatDelta(event, view, from) : assistant(event, view, from))

const chatDelta = (event: Delta, view: View, from: number | undefined) => ({
  ...ref(event.run, view),
  seq: event.seq,
  state: "delta",
  ...(view.deltaOnly ? {} : { message: message(event.text, event.timestamp) }),
  ...(view.deltaOnly || view.version >= 4
    ? from === undefined
      ? { deltaText: event.text, replace: true }
      : { deltaText: event.text.slice(from) }
    : {})
})

const assistant = (event: AgentText, view: View, from: number | undefined) =>
  activity(
    event,
    "assistant",
    from === undefined
      ? { text: event.text }
      : view.deltaOnly
        ? { delta: event.text.slice(from) }
        : { text: event.text, delta: event.text.slice(from) }
  )

const activity = (
  event: { readonly run: RunRef; readonly seq: number; readonly timestamp: number },
  stream: string,
  data: unknown
) => ({
  runId: keyOf(event.run.runId),
  seq: event.seq,
  stream,
  ts: event.timestamp,
  data,
  sessionKey: event.run.requestedKey
})

/**
 * Encodes what an agent made. It may hold what JSON can't (a bigint, a cycle); then the event goes out without it: one
 * agent's data must not stop the events of all.
 */
const withForeign = <A>(foreign: A, encode: (foreign: A | undefined) => unknown): string => {
  try {
    return JSON.stringify(encode(foreign))
  } catch {
    return JSON.stringify(encode(undefined))
  }
}

const encodeTerminal = ({ outcome, run, seq, text, timestamp }: Terminal, view: View): string => {
  const partial = text === "" ? {} : { message: message(text, timestamp) }
  switch (outcome._tag) {
    case "Final":
      return withForeign({ usage: outcome.usage }, (foreign) => ({
        ...ref(run, view),
        seq,
        state: "final",
        message: message(text, timestamp),
        ...(view.version >= 4 || outcome.stopReason !== undefined
          ? { stopReason: outcome.stopReason ?? "stop" }
          : {}),
        ...foreign
      }))
    case "Aborted":
      return JSON.stringify({
        ...ref(run, view),
        seq,
        state: "aborted",
        stopReason: outcome.stopReason,
        ...partial
      })
    case "Error":
      return JSON.stringify({
        ...ref(run, view),
        seq,
        state: "error",
        errorMessage: outcome.message,
        ...(outcome.details === undefined ? {} : { details: outcome.details }),
        ...(view.version >= 4
          ? { errorDetail: { providerErrorMessagePreview: outcome.message.slice(0, 300) } }
          : {}),
        ...partial
      })
  }
}

const encodeInjected = (event: Injected, view: View): string =>
  JSON.stringify({
    runId: `inject-${event.messageId}`,
    sessionKey: event.requestedKey,
    ...(view.version >= 4 ? { agentId: event.agentId } : {}),
    seq: 0,
    state: "final",
    message: message(event.text, event.timestamp),
    ...(view.version >= 4 ? { stopReason: "injected" } : {})
  })

/** A question of an agent, without its arguments: those may be anything. */
export const permission = (run: RunRef, question: PermissionQuestion) => ({
  id: question.id,
  runId: keyOf(run.runId),
  sessionKey: run.requestedKey,
  agentId: run.agentId,
  title: question.title,
  ...(question.toolCallId === undefined ? {} : { toolCallId: question.toolCallId }),
  options: question.options,
  ts: question.timestamp,
  expiresAtMs: question.expiresAt
})

const verdict = (verdict: PermissionVerdict) =>
  verdict._tag === "Answered"
    ? { outcome: "answered", optionId: verdict.option.id, optionKind: verdict.option.kind }
    : { outcome: verdict._tag === "Expired" ? "expired" : "withdrawn" }

/** An event's payload; growing answers as for a reader that has everything before. */
export const encode = (event: HubEvent, view: View): string => {
  switch (event._tag) {
    case "Delta":
    case "AgentText":
      return encodeGrowth(event, view, isRewrite(event) ? undefined : event.from)
    case "Terminal":
      return encodeTerminal(event, view)
    case "Injected":
      return encodeInjected(event, view)
    case "AgentActivity":
      return withForeign(event.data, (data) => activity(event, event.stream, data ?? { unencodable: true }))
    case "PermissionAsked":
      return withForeign({ args: event.question.args }, (foreign) => ({
        ...permission(event.run, event.question),
        ...foreign
      }))
    case "PermissionResolved":
      return JSON.stringify({
        id: event.id,
        runId: keyOf(event.run.runId),
        sessionKey: event.run.requestedKey,
        agentId: event.run.agentId,
        ts: event.timestamp,
        ...verdict(event.verdict)
      })
    case "SessionChanged":
      return JSON.stringify({
        sessionKey: event.sessionKey,
        reason: event.reason,
        ...(event.runId === undefined ? {} : { runId: keyOf(event.runId) })
      })
  }
}

/** Does this piece throw away what was shown before? The first one of a run does not. */
export const isRewrite = (event: Delta | AgentText): boolean => event.from === 0 && event.revision > 0

/** Adds a position to an encoded payload that has fields. */
export const withPosition = (payload: string, pos: number): string => `${payload.slice(0, -1)},"pos":${pos}}`
