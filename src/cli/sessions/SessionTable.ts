/** SessionTable: sessions as rows, for people. */
import type { Schema } from "effect"
import type * as Sessions from "../../protocol/Sessions.js"
import * as Output from "../Output.js"
import { visible } from "../Visible.js"

type List = Schema.Schema.Type<typeof Sessions.ListResult>

/** `columns`: how wide the terminal is; undefined: there is none, and nothing is cut. */
export const table = ({ hasMore, sessions, ts }: List, columns: number | undefined): string => {
  if (sessions.length === 0) return Output.dim("-- no sessions")
  const keyWidth = Math.min(40, Math.max(...sessions.map(({ key }) => visible(key).length)))
  const rows = sessions.map((row) => {
    const fixed = `${visible(row.key).padEnd(keyWidth)}  ${age(ts - row.updatedAt).padStart(4)}  `
    const words = oneLine(titleOf(row))
    const room = columns === undefined ? words.length : Math.max(10, columns - fixed.length)
    return fixed + (words.length > room ? `${words.slice(0, room - 1)}…` : words)
  })
  return [...rows, ...(hasMore ? [Output.dim("-- there are more: --limit")] : [])].join("\n")
}

/** What a session is called; else what was said in it first, or last. */
export const titleOf = (row: Sessions.SessionRow): string =>
  row.label ?? row.displayName ?? row.derivedTitle ?? row.lastMessagePreview ?? ""

const oneLine = (text: string): string => visible(text.replaceAll(/\s+/g, " ").trim())

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

/** A time span in one number and a letter: `now`, `5m`, `3h`, `12d`. */
export const age = (millis: number): string => {
  if (millis < minute) return "now"
  if (millis < hour) return `${Math.floor(millis / minute)}m`
  return millis < day ? `${Math.floor(millis / hour)}h` : `${Math.floor(millis / day)}d`
}
