/** SessionRow: what of a session's entry goes to clients. Only what is named here: entries hold what other programs need. */
import type { SessionKey } from "../domain/SessionKey.js"
import type { SessionEntry as WireEntry, SessionRow } from "../protocol/Sessions.js"
import type { SessionEntry } from "../session/SessionStore.js"

const texts = [
  "label",
  "displayName",
  "thinkingLevel",
  "verboseLevel",
  "reasoningLevel",
  "responseUsage",
  "sendPolicy",
  "groupActivation",
  "model",
  "modelProvider",
  "lastChannel",
  "lastTo"
] as const
const numbers = ["contextTokens", "inputTokens", "outputTokens", "totalTokens"] as const

/** A session's entry as clients are told of it. A field that is not what it should be is not there. */
export const entryOf = ({ raw, sessionId, updatedAt }: SessionEntry): WireEntry => {
  const fields: { [field: string]: string | number | boolean } = {}
  for (const name of texts) {
    const value = raw[name]
    if (typeof value === "string") fields[name] = value
  }
  for (const name of numbers) {
    const value = raw[name]
    if (typeof value === "number" && Number.isFinite(value)) fields[name] = value
  }
  if (typeof raw["abortedLastRun"] === "boolean") fields["abortedLastRun"] = raw["abortedLastRun"]
  return { sessionId, updatedAt: Number.isFinite(updatedAt) ? updatedAt : 0, ...fields }
}

export const make = (key: SessionKey, entry: SessionEntry): SessionRow => ({
  key,
  kind: kindOf(key, entry),
  ...entryOf(entry)
})

const kindOf = (key: SessionKey, { raw }: SessionEntry): SessionRow["kind"] => {
  if (key === "global") return "global"
  if (key === "unknown") return "unknown"
  const isGroup =
    raw["chatType"] === "group" ||
    raw["chatType"] === "channel" ||
    key.includes(":group:") ||
    key.includes(":channel:")
  return isGroup ? "group" : "direct"
}
