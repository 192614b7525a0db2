/**
 * What is broadcast inside the gateway. Plain data without any client's view of it: versions, caps and frames are
 * the fan-out's business.
 */
import type { AgentId, SessionKey } from "./SessionKey.js"
import type { MessageId, RunId } from "./Ids.js"
import type { Position } from "./Position.js"
import type { Outcome } from "./RunState.js"

/** Where a run's events belong. */
export interface RunRef {
  readonly runId: RunId
  /** Canonical: decides who may see the event. */
  readonly sessionKey: SessionKey
  /** As the sender of the run wrote it: clients match on that, letter by letter. */
  readonly requestedKey: string
  readonly agentId: AgentId
}

/**
 * More of an answer. `text` is the whole text so far; what is new since the piece before begins at `from` (UTF-16 code
 * units). `revision` grows by one whenever the text was rewritten instead of appended to; then `from` is 0.
 */
interface Piece {
  readonly run: RunRef
  readonly seq: number
  readonly text: string
  readonly from: number
  readonly revision: number
  readonly timestamp: number
}

/** More of an answer, for the event `chat`. */
export interface Delta extends Piece {
  readonly _tag: "Delta"
}

/** The same for the raw `agent` stream, paced slower. */
export interface AgentText extends Piece {
  readonly _tag: "AgentText"
}

/** The one terminal event of a run. */
export interface Terminal {
  readonly _tag: "Terminal"
  readonly run: RunRef
  readonly seq: number
  readonly outcome: Outcome
  /** The text gathered, partial unless the outcome is `Final`. */
  readonly text: string
  readonly timestamp: number
  /**
   * The end of a run of an older life of the gateway, told again at the start because it may not have been told: in that
   * `epoch` it came behind `pos`. Only who resumes from there or from before is told.
   */
  readonly retold?: Retold
}

export interface Retold extends Position {
  /** The same position for those who saw only some sessions, by their perspective; absent: it was told to nobody. */
  readonly perspectives?: Readonly<Record<string, number>>
  /** The lives before that one: who was last there knows of nothing that came in it. */
  readonly older: ReadonlyArray<string>
}

/** A message that was put into a transcript without a run (`chat.inject`). */
export interface Injected {
  readonly _tag: "Injected"
  readonly sessionKey: SessionKey
  readonly requestedKey: string
  readonly agentId: AgentId
  readonly messageId: MessageId
  readonly text: string
  readonly timestamp: number
}

/** Anything but text on the raw `agent` stream: lifecycle, tools, the agent's own streams. */
export interface AgentActivity {
  readonly _tag: "AgentActivity"
  readonly run: RunRef
  readonly seq: number
  readonly stream: string
  readonly data: { readonly [field: string]: unknown }
  readonly timestamp: number
}

/** An agent asks whether it may do something, and waits. */
export interface PermissionQuestion {
  readonly id: string
  /** What it wants to do, for people. */
  readonly title: string
  readonly toolCallId?: string
  readonly args?: unknown
  readonly options: ReadonlyArray<PermissionChoice>
  readonly timestamp: number
  /** Until when it waits, in milliseconds since the Unix epoch. */
  readonly expiresAt: number
}

export interface PermissionChoice {
  readonly id: string
  readonly name: string
  readonly kind: "allow_once" | "allow_always" | "reject_once" | "reject_always"
}

export interface PermissionAsked {
  readonly _tag: "PermissionAsked"
  readonly run: RunRef
  readonly question: PermissionQuestion
}

/** What became of a question: a client chose, nobody did in time, or the run has ended. */
export type PermissionVerdict =
  | { readonly _tag: "Answered"; readonly option: PermissionChoice }
  | { readonly _tag: "Expired" }
  | { readonly _tag: "Withdrawn" }

export interface PermissionResolved {
  readonly _tag: "PermissionResolved"
  readonly run: RunRef
  readonly id: string
  readonly verdict: PermissionVerdict
  readonly timestamp: number
}

/**
 * What was done to a session, durably: a message of a user was accepted, an assistant message put in, its entry changed, begun
 * anew, or deleted. What an agent does has events of its own.
 */
export type ChangeReason = "message" | "inject" | "patch" | "reset" | "delete"

/** A session is not what it was; whoever lists sessions or shows this one asks again. Comes before the events of the run. */
export interface SessionChanged {
  readonly _tag: "SessionChanged"
  readonly sessionKey: SessionKey
  readonly reason: ChangeReason
  /** The run that answers the message. */
  readonly runId?: RunId
}

export type HubEvent =
  | Delta
  | AgentText
  | Terminal
  | Injected
  | AgentActivity
  | PermissionAsked
  | PermissionResolved
  | SessionChanged

/** A broadcast event with its position in this gateway's life; positions grow by one. */
export interface Positioned {
  readonly pos: number
  readonly event: HubEvent
}

/** The session that decides who may see an event. */
export const sessionKeyOf = (event: HubEvent): SessionKey =>
  "run" in event ? event.run.sessionKey : event.sessionKey
