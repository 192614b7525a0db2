/** A sink whose reader takes frames when a test says so, and hub events to send through it. */
import { Either } from "effect"
import type {
  AgentActivity,
  AgentText,
  Delta,
  HubEvent,
  Injected,
  RunRef,
  SessionChanged,
  Terminal
} from "../../src/domain/HubEvent.js"
import { MessageId, RunId } from "../../src/domain/Ids.js"
import * as SessionKey from "../../src/domain/SessionKey.js"
import type { Outcome } from "../../src/domain/RunState.js"
import { Broadcast } from "../../src/event/Broadcast.js"
import type { Sink } from "../../src/event/Outbox.js"
import type { Disconnect } from "../../src/protocol/CloseCode.js"

export interface FakeSink extends Sink {
  /** Everything handed over, taken or not, decoded. */
  readonly frames: ReadonlyArray<Frame>
  readonly closedWith: Disconnect | undefined
  /** Is the peer not read from at present? */
  readonly paused: boolean
  /** From now on nothing is taken. */
  readonly stall: () => void
  /** Takes so many bytes of what is buffered (default: all), and all that follows if nothing is left. */
  readonly take: (bytes?: number) => void
}

export interface Frame {
  readonly type: string
  readonly id?: string
  readonly event?: string
  readonly seq?: number
  readonly payload?: { readonly [field: string]: unknown }
}

export const make = (): FakeSink => {
  const frames: Array<Frame> = []
  let stalled = false
  let buffered = 0
  let taken = 0
  let paused = false
  let closedWith: Disconnect | undefined
  return {
    frames,
    get closedWith() {
      return closedWith
    },
    write: (frame) => {
      frames.push(JSON.parse(frame))
      if (stalled) buffered += frame.length
      else taken += frame.length
    },
    buffered: () => buffered,
    taken: () => taken,
    close: (disconnect) => {
      closedWith ??= disconnect
    },
    get paused() {
      return paused
    },
    pause: () => {
      paused = true
    },
    admitted: () => undefined,
    resume: () => {
      paused = false
    },
    stall: () => {
      stalled = true
    },
    take: (bytes = buffered) => {
      const part = Math.min(bytes, buffered)
      buffered -= part
      taken += part
      stalled = buffered > 0
    }
  }
}

/** An event for an outbox, where its position says nothing. */
export const broadcast = (event: HubEvent, pos = 1): Broadcast => Broadcast.of({ pos, event })
export const tick = (ts: number, pos = 0): Broadcast => Broadcast.plain("tick", { ts }, pos)

export const defaults = { defaultAgentId: SessionKey.defaultAgentId, mainKey: "main" }
export const sessionKey = Either.getOrThrow(SessionKey.parse("main", defaults))

export const runRef = (runId: string): RunRef => ({
  runId: RunId(runId),
  sessionKey,
  requestedKey: "main",
  agentId: SessionKey.defaultAgentId
})

/** A piece of an answer: its whole text, and where the new part begins. */
export const piece = <Tag extends (Delta | AgentText)["_tag"]>(
  _tag: Tag,
  runId: string,
  text: string,
  options: { readonly seq?: number; readonly from?: number; readonly revision?: number } = {}
) => ({ _tag, run: runRef(runId), seq: 0, text, from: 0, revision: 0, timestamp: 0, ...options })

export const activity = (
  runId: string,
  data: AgentActivity["data"] = { phase: "start" },
  seq = 0
): AgentActivity => ({
  _tag: "AgentActivity",
  run: runRef(runId),
  seq,
  stream: "lifecycle",
  data,
  timestamp: 0
})

export const injected = (id: string, text = "note"): Injected => ({
  _tag: "Injected",
  sessionKey,
  requestedKey: "main",
  agentId: SessionKey.defaultAgentId,
  messageId: MessageId(id),
  text,
  timestamp: 0
})

export const terminal = (runId: string, text: string, outcome: Outcome = { _tag: "Final" }): Terminal => ({
  _tag: "Terminal",
  run: runRef(runId),
  seq: 0,
  outcome,
  text,
  timestamp: 0
})

export const changed = (
  reason: SessionChanged["reason"],
  of: Partial<Pick<SessionChanged, "sessionKey" | "runId">> = {}
): SessionChanged => ({ _tag: "SessionChanged", sessionKey, reason, ...of })
