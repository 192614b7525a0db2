/** HelpPage: how a page of help looks. */
import type * as Flags from "./Flags.js"

/** Flags under their headings. */
export type FlagSections = ReadonlyArray<readonly [heading: string, entries: ReadonlyArray<string>]>

/** What a page says, from top to bottom. */
export interface Page {
  readonly intro: string
  readonly usage: ReadonlyArray<string>
  readonly flags?: FlagSections
  readonly notes?: ReadonlyArray<string>
  readonly exitCodes?: string
  readonly examples: ReadonlyArray<string>
}

export const render = ({ examples, exitCodes, flags = [], intro, notes = [], usage }: Page): string =>
  [
    intro,
    section("Usage", usage),
    ...flags.map(([heading, entries]) => [heading, ...entries].join("\n")),
    ...notes,
    ...(exitCodes === undefined ? [] : [section("Exit codes", [exitCodes])]),
    section("Examples", examples)
  ].join("\n\n") + "\n"

/** Lines under a heading. */
export const section = (heading: string, lines: ReadonlyArray<string>): string =>
  [heading, ...lines.map((line) => `  ${line}`)].join("\n")

const column = 34
const width = 110

/** A flag and what it is for. */
export const entry = ({ description, flag, unit }: Flags.Flag, suffix = ""): string => {
  const name = unit === "" ? `  ${flag}` : `  ${flag} <${unit}>`
  return beside(name, `${description.replaceAll("`", "")}${suffix}`)
}

/** A text in the second column. */
export const beside = (name: string, text: string): string => {
  const lines = wrap(text, width - column)
  const indented = lines.map((line) => " ".repeat(column) + line)
  return name.length + 2 > column
    ? [name, ...indented].join("\n")
    : [name.padEnd(column) + (lines[0] ?? ""), ...indented.slice(1)].join("\n")
}

const wrap = (text: string, size: number): ReadonlyArray<string> =>
  text.split(" ").reduce<Array<string>>((lines, word) => {
    const last = lines.at(-1)
    if (last === undefined || last.length + 1 + word.length > size) lines.push(word)
    else lines[lines.length - 1] = `${last} ${word}`
    return lines
  }, [])
