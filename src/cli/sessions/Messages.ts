/** Messages: those of a history as text, for people. */
import * as Transcript from "../../client/Transcript.js"
import * as Output from "../Output.js"
import { visible, visibleText } from "../Visible.js"

type Message = Readonly<Record<string, unknown>>

/** Messages one below the other, a blank line between them. */
export const page = (messages: ReadonlyArray<Message>): string =>
  messages.map((message, index) => shown(Transcript.read(message, index))).join("\n\n")

/** One message, with who said it. */
const shown = (entry: Transcript.Entry): string => {
  const ended = entry.errorMessage ?? (entry.stopReason === "aborted" ? "aborted" : undefined)
  const head = [Output.bold(who[entry.role]), entry.timestamp === 0 ? "" : Output.dim(time(entry.timestamp))]
  const lines = [
    head.filter((part) => part !== "").join("  "),
    ...entry.parts.map(partOf).filter((text) => text !== ""),
    ...(ended === undefined ? [] : [Output.dim(`-- ${visible(ended)}`)])
  ]
  return lines.join("\n")
}

const who = { user: "You", assistant: "Agent", system: "Note" } as const

const partOf = (part: Transcript.Part): string => {
  switch (part.kind) {
    case "text":
      return visibleText(part.text)
    case "image":
      return Output.dim(`[image${part.fileName === undefined ? "" : ` ${visible(part.fileName)}`}]`)
    case "tool":
      return Output.dim(`[${visible(part.name)}${part.isError ? ", failed" : ""}]`)
    case "thinking":
      return ""
  }
}

/** In local time, to the minute. */
const time = (millis: number): string => {
  const at = new Date(millis)
  const two = (value: number): string => String(value).padStart(2, "0")
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`
}
