/** Excerpt: the text of a message as a line, cut to what a list has room for. */
import type { StoredMessage } from "../domain/Message.js"

/** Text that is looked at for a line: spaces that are taken out don't make it empty. */
const slack = 4

/** The text of a message as one line of at most `maxLength` UTF-16 code units; undefined when it has none. */
export const make = (message: StoredMessage, maxLength: number): string | undefined => {
  const line = textOf(message["content"], maxLength * slack)
    .replaceAll(/\s+/g, " ")
    .trim()
  if (line === "") return undefined
  return line.length <= maxLength ? line : `${cut(line, maxLength - 1).trimEnd()}…`
}

/** What there is of text in a message's content, up to a length. Transcripts of other programs may hold anything there. */
const textOf = (content: unknown, maxLength: number): string => {
  if (typeof content === "string") return content.slice(0, maxLength)
  if (!Array.isArray(content)) return ""
  let text = ""
  for (const block of content) {
    if (text.length >= maxLength) break
    const part = blockText(block)
    if (part !== "") text += `${text === "" ? "" : " "}${part.slice(0, maxLength)}`
  }
  return text
}

const blockText = (block: unknown): string =>
  typeof block === "object" &&
  block !== null &&
  "type" in block &&
  block.type === "text" &&
  "text" in block &&
  typeof block.text === "string"
    ? block.text
    : ""

/** Half of a pair of surrogates is no character. */
const cut = (text: string, length: number): string => {
  const last = text.charCodeAt(length - 1)
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? length - 1 : length)
}

/** Who speaks, in the words of a preview. */
export const roleOf = (message: StoredMessage): "user" | "assistant" | "tool" | "system" | "other" => {
  switch (message["role"]) {
    case "user":
    case "assistant":
    case "tool":
    case "system":
      return message["role"]
    case "toolResult":
      return "tool"
    default:
      return "other"
  }
}
