/** Records of the run journal, as a gateway writes them. */
import { Option } from "effect"
import { MessageId, RunId, SessionId } from "../../src/domain/Ids.js"
import { text } from "../../src/domain/Message.js"
import type { Outcome } from "../../src/domain/RunState.js"
import { main, parseAgentId } from "../../src/domain/SessionKey.js"
import type { AcceptedRun, Entry, Removal, RunEnd } from "../../src/journal/JournalRecord.js"
import type { JournalMessage } from "../../src/journal/RunJournal.js"

const agentId = Option.getOrThrow(Option.getRight(parseAgentId("main")))
const sessionKey = main({ defaultAgentId: agentId, mainKey: "main" })

export const runOf = (id: string): AcceptedRun => ({
  runId: RunId(id),
  sessionKey,
  requestedKey: "main",
  agentId,
  principal: "operator",
  fingerprint: `of ${id}`,
  acceptedAt: 1
})

/** The entry of a message that says `id`. */
export const entryOf = (id: string): Entry => ({
  id: MessageId(`m-${id}`),
  sessionKey,
  sessionId: SessionId("s1"),
  file: "s1.jsonl",
  timestamp: "2026-01-01T00:00:00.000Z",
  tail: 0,
  updatedAt: 1,
  message: { ...text("user", id, 1) }
})

export const endOf = (id: string, outcome: Outcome = { _tag: "Final" }, at = 2): RunEnd => ({
  runId: RunId(id),
  at,
  outcome,
  epoch: "e1",
  pos: 1,
  seq: 1
})

export const removalOf = (id: string): Removal => ({
  sessionKey,
  sessionId: SessionId(id),
  file: `${id}.jsonl`
})

const message = (id: string, more: Pick<JournalMessage, "run" | "end">): JournalMessage => {
  const entry = entryOf(id)
  return { ...more, entry, messageJson: JSON.stringify(entry.message) }
}

/** A send that begins the run `id`. */
export const send = (id: string): JournalMessage => message(id, { run: runOf(id) })

/** The answer that ends it. */
export const answer = (id: string, outcome?: Outcome): JournalMessage =>
  message(`answer of ${id}`, { end: endOf(id, outcome) })

/** A message of no run. */
export const note = (id: string): JournalMessage => message(id, {})
