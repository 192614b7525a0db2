/**
 * ToolView: how much of an agent's tool calls the clients of a session see. A session's entry says it (`verboseLevel`), as
 * clients of the family set it.
 */
import type { AgentEvent } from "./AgentEvent.js"

/** `off`: nothing. `on`: every call, large arguments and results as a preview. `full`: the same with far larger bounds. */
export type VerboseLevel = "off" | "on" | "full"

/** For a session whose entry says nothing. */
export const defaultLevel: VerboseLevel = "on"

/** What an entry says; anything that is not a level counts as not said. */
export const levelOf = (value: string | undefined): VerboseLevel =>
  value === "off" || value === "full" ? value : defaultLevel

/** The largest argument or result that is shown whole, as the length of its JSON. */
export const bounds = { on: 8 * 1024, full: 256 * 1024 } as const

/** The data of the event, or nothing when the session's clients are not to see it. */
export const make = (
  { _tag, ...data }: Extract<AgentEvent, { readonly _tag: "Tool" }>,
  level: VerboseLevel
): { readonly [field: string]: unknown } | undefined => {
  if (level === "off") return undefined
  const bound = bounds[level]
  return {
    ...data,
    ...("args" in data ? { args: within(data.args, bound) } : {}),
    ...("result" in data ? { result: within(data.result, bound) } : {})
  }
}

const within = (value: unknown, bound: number): unknown => {
  const json = encode(value)
  if (json === undefined || json.length <= bound) return value
  return typeof value === "string"
    ? `${value.slice(0, bound)}…`
    : { truncated: true, length: json.length, preview: json.slice(0, bound) }
}

/** None for what JSON can't hold: the encoder of events deals with that. */
const encode = (value: unknown): string | undefined => {
  try {
    return JSON.stringify(value)
  } catch {
    return undefined
  }
}
