/** Words: what a chat says beside the answers. */
import type { RunState } from "../../client/RunState.js"
import type { ChatEvent } from "../../protocol/Chat.js"
import type { PermissionQuestion, PermissionResolved } from "../../protocol/Permission.js"
import * as Output from "../Output.js"
import { visible, visibleText } from "../Visible.js"

export const note = (text: string): string => Output.dim(`-- ${text}`)

export const problem = (text: string): string => `! ${visible(text)}`

/** What was typed while another answer grew. */
export const question = (text: string): string => `> ${visibleText(text)}`

export const opening = (welcome: string, messages: string): string =>
  [messages, Output.dim(welcome)].filter((part) => part !== "").join("\n\n")

/** How a run ended, where its text does not say it. */
export const end = (state: RunState, wasStopped: boolean): string => {
  switch (state._tag) {
    case "Aborted":
      return note(wasStopped ? "stopped" : `stopped (${state.reason ?? "it is not known by whom"})`)
    case "Failed":
      return problem(state.errorMessage)
    case "Rejected":
      return problem(`not sent: ${state.error.message}`)
    case "Stopped":
      return note(state.runIds.length === 0 ? "nothing was running" : "stopped")
    default:
      return ""
  }
}

/** The beginning of a tool call. */
export const tool = (data: Readonly<Record<string, unknown>>): string => {
  const name = typeof data["name"] === "string" ? data["name"] : "tool"
  const args = data["args"] === undefined ? "" : ` ${oneLine(JSON.stringify(data["args"]))}`
  return Output.dim(`· ${visible(name)}${args}`)
}

/** The end of an answer to somebody else's message. */
export const elsewhere = (event: ChatEvent): string => {
  const text = event.message?.content.map((part) => part.text).join("") ?? ""
  const ended =
    event.state === "error" ? problem(event.errorMessage) : event.state === "aborted" ? note("stopped") : ""
  return [Output.bold("Agent"), visibleText(text), ended].filter((part) => part !== "").join("\n")
}

export const permission = ({ options, title }: typeof PermissionQuestion.Type): string =>
  [
    `? ${visible(title)}`,
    ...options.map(({ name }, index) => `  ${index + 1}  ${visible(name)}`),
    Output.dim("  /answer N")
  ].join("\n")

export const resolved = ({ optionKind, outcome }: typeof PermissionResolved.Type): string =>
  note(
    outcome === "answered"
      ? optionKind?.startsWith("allow") === true
        ? "allowed"
        : "not allowed"
      : outcome === "expired"
        ? "nobody answered in time"
        : "it is not asked any more"
  )

export const changes = {
  reset: "the session was begun anew",
  delete: "the session was deleted"
} as const

const width = 80
const oneLine = (text: string): string => {
  const line = visible(text.replaceAll(/\s+/g, " "))
  return line.length > width ? `${line.slice(0, width - 1)}…` : line
}
