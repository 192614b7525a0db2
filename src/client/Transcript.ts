/** Transcript: the messages of a history, to be shown. A history may hold whatever other programs have written. */

export interface TextPart {
  readonly kind: "text"
  readonly text: string
}
export interface ImagePart {
  readonly kind: "image"
  readonly mimeType: string
  /** Its bytes are had from `chat.image`. */
  readonly sha256?: string
  /** Or they are here: a data URL. */
  readonly url?: string
  readonly fileName?: string
}
export interface ToolPart {
  readonly kind: "tool"
  readonly id: string
  readonly name: string
  readonly args?: unknown
  readonly result?: unknown
  readonly isError: boolean
  readonly isDone: boolean
}
export interface ThinkingPart {
  readonly kind: "thinking"
  readonly text: string
}
export type Part = TextPart | ImagePart | ToolPart | ThinkingPart

/** A message of the history. */
export interface Entry {
  readonly id: string
  readonly role: "user" | "assistant" | "system"
  readonly parts: ReadonlyArray<Part>
  /** Milliseconds since the Unix epoch; 0: it is not known. */
  readonly timestamp: number
  /** The run that it began or answers. */
  readonly runId?: string
  /** `aborted`, `error`, or the agent's own word. */
  readonly stopReason?: string
  readonly errorMessage?: string
}

type Fields = Readonly<Record<string, unknown>>

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)
const textOf = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined)

/** Text, wherever a content keeps it. */
export const plain = (content: unknown): string => {
  if (typeof content === "string") return content
  if (Array.isArray(content))
    return content
      .map(plain)
      .filter((text) => text !== "")
      .join("\n")
  return isFields(content) ? (textOf(content["text"]) ?? "") : ""
}

const imageOf = (block: Fields): ImagePart => {
  const source = isFields(block["source"]) ? block["source"] : block
  const mimeType = textOf(source["mimeType"]) ?? textOf(source["media_type"]) ?? "image/png"
  const data = textOf(source["data"])
  const sha256 = textOf(block["sha256"])
  const fileName = textOf(block["fileName"])
  return {
    kind: "image",
    mimeType,
    ...(data === undefined || data === "" ? {} : { url: `data:${mimeType};base64,${data}` }),
    ...(sha256 === undefined ? {} : { sha256 }),
    ...(fileName === undefined ? {} : { fileName })
  }
}

const partOf = (block: unknown, index: number): ReadonlyArray<Part> => {
  if (typeof block === "string") return block === "" ? [] : [{ kind: "text", text: block }]
  if (!isFields(block)) return []
  const id =
    textOf(block["id"]) ?? textOf(block["toolCallId"]) ?? textOf(block["tool_use_id"]) ?? String(index)
  switch (textOf(block["type"])?.toLowerCase()) {
    case "image":
      return [imageOf(block)]
    case "thinking":
      return [{ kind: "thinking", text: textOf(block["thinking"]) ?? plain(block) }]
    case "tool_use":
    case "tool_call":
    case "toolcall":
      return [
        {
          kind: "tool",
          id,
          name: textOf(block["name"]) ?? "tool",
          args: block["input"] ?? block["arguments"] ?? block["args"],
          isError: false,
          isDone: true
        }
      ]
    case "tool_result":
    case "toolresult":
      return [
        {
          kind: "tool",
          id,
          name: textOf(block["name"]) ?? textOf(block["toolName"]) ?? "result",
          result: block["content"] ?? block["result"],
          isError: block["is_error"] === true || block["isError"] === true,
          isDone: true
        }
      ]
    default: {
      const text = plain(block)
      return text === "" ? [] : [{ kind: "text", text }]
    }
  }
}

const isToolRole = (role: string | undefined): boolean =>
  role !== undefined && role.toLowerCase().includes("tool")

const partsOf = (message: Fields): ReadonlyArray<Part> => {
  const content = message["content"]
  if (isToolRole(textOf(message["role"]))) {
    return [
      {
        kind: "tool",
        id: textOf(message["toolCallId"]) ?? textOf(message["id"]) ?? "",
        name: textOf(message["toolName"]) ?? textOf(message["name"]) ?? "result",
        result: plain(content),
        isError: message["isError"] === true,
        isDone: true
      }
    ]
  }
  const blocks = Array.isArray(content) ? content : [content ?? message["text"]]
  return blocks.flatMap(partOf)
}

const roleOf = (role: string | undefined): Entry["role"] =>
  role === "user" || role === "system" ? role : "assistant"

/** A message of `chat.history`; `index` stands in for the id of one that has none. */
export const read = (message: Fields, index: number): Entry => {
  const timestamp = message["timestamp"]
  const at = typeof timestamp === "number" && Number.isFinite(timestamp) ? timestamp : 0
  const runId = textOf(message["runId"])
  const stopReason = textOf(message["stopReason"])
  const errorMessage = textOf(message["errorMessage"])
  return {
    id: textOf(message["id"]) ?? `at-${at}-${index}`,
    role: roleOf(textOf(message["role"])),
    parts: partsOf(message),
    timestamp: at,
    ...(runId === undefined ? {} : { runId }),
    ...(stopReason === undefined ? {} : { stopReason }),
    ...(errorMessage === undefined ? {} : { errorMessage })
  }
}

/** The text of a message, without what else is in it. */
export const textOfEntry = ({ parts }: Pick<Entry, "parts">): string =>
  parts.flatMap((part) => (part.kind === "text" ? [part.text] : [])).join("\n\n")

/**
 * What is shown behind a newer reading of the newest page. `page` is that page, oldest first. Where it does not touch what was
 * shown there may be messages in between: then only the page is kept, and the older ones are had again by scrolling.
 */
export const mergeNewest = (
  shown: { readonly entries: ReadonlyArray<Entry>; readonly hasMore: boolean },
  page: { readonly entries: ReadonlyArray<Entry>; readonly hasMore: boolean }
): { readonly entries: ReadonlyArray<Entry>; readonly hasMore: boolean } => {
  const [first] = page.entries
  if (first === undefined || !page.hasMore) return page
  const at = shown.entries.findIndex(({ id }) => id === first.id)
  if (at < 0) return page
  const known = new Map(shown.entries.map((entry) => [entry.id, entry]))
  return {
    // The same object for the same message: what has not changed is not drawn again.
    entries: [...shown.entries.slice(0, at), ...page.entries.map((entry) => known.get(entry.id) ?? entry)],
    hasMore: shown.hasMore
  }
}
