/** Transcript: what the lines of a session's `.jsonl` file mean, and how ours are written. */
import { Option } from "effect"
import type { MessageId, SessionId } from "../domain/Ids.js"
import type { StoredMessage } from "../domain/Message.js"
import { isRecord, parse, split } from "./JsonFields.js"

/** The first line of a new transcript. `timestamp` is ISO 8601; `cwd` is where the agent works. */
export const headerLine = (id: SessionId, timestamp: string, cwd: string): string =>
  `${JSON.stringify({ type: "session", version: 1, id, timestamp, cwd })}\n`

/** The line of one message, given as its JSON text. */
export const messageLine = (id: MessageId, timestamp: string, messageJson: string): string =>
  `{"type":"message","id":${JSON.stringify(id)},"timestamp":${JSON.stringify(timestamp)},"message":${messageJson}}\n`

/**
 * The message of a line, with the line's `id` unless it has its own. None when the line is blank, broken or holds no
 * `message` object; whatever else the line holds does not matter.
 */
export const decodeLine = (line: string): Option.Option<StoredMessage> => {
  const value = Option.getOrUndefined(parse(line))
  if (!isRecord(value) || !isRecord(value["message"])) return Option.none()
  return Option.some(withId(value["message"], value["id"]))
}

const withId = (message: { readonly [field: string]: unknown }, lineId: unknown): StoredMessage => {
  const { id, ...rest } = message
  if (typeof id === "string") return { ...message, id }
  return typeof lineId === "string" ? { ...rest, id: lineId } : rest
}

/** How many bytes of a line's beginning `decodeHead` looks at. */
export const headBytes = 4096

/**
 * A placeholder for the message of a line that is too long to be parsed, from the line's first bytes. None when no
 * `message` object begins in them.
 */
export const decodeHead = (head: string, lineBytes: number): Option.Option<StoredMessage> => {
  const line = split(head)
  const message = line.findLast((field) => field.name === "message")?.text
  if (message === undefined || !message.startsWith("{")) return Option.none()
  const inner = split(message)
  const read = (fields: typeof line, name: string): unknown =>
    Option.getOrUndefined(parse(fields.findLast((field) => field.name === name)?.text ?? ""))
  const written = read(line, "timestamp")
  const at = read(inner, "timestamp") ?? (typeof written === "string" ? Date.parse(written) : undefined)
  return Option.some(
    placeholder(
      withId({ id: read(inner, "id"), role: read(inner, "role"), timestamp: at }, read(line, "id")),
      lineBytes,
      "over the history limit"
    )
  )
}

/** What stands in a page for a message that can't be shown whole: same id, role and timestamp, and a line of text. */
export const placeholder = (message: StoredMessage, bytes: number, why: string): StoredMessage => ({
  ...short("role", message["role"]),
  content: [{ type: "text", text: `[message of ${grouped(bytes)} bytes omitted: ${why}]` }],
  ...(typeof message["timestamp"] === "number" &&
    Number.isFinite(message["timestamp"]) && { timestamp: message["timestamp"] }),
  ...short("id", message.id)
})

// A foreign transcript may hold anything there; a placeholder must stay small.
const short = (name: string, value: unknown) =>
  typeof value === "string" && value.length <= 256 ? { [name]: value } : {}

const grouped = (n: number): string => String(n).replace(/\B(?=(\d{3})+$)/g, ",")
