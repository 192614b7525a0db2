/** DoctorPage: what `colloquy doctor` prints: a page for people, or a JSON document. */
import { Option } from "effect"
import { aboutOf, type Area, type Finding } from "../session/DoctorFinding.js"
import * as Words from "./DoctorWords.js"
import * as HomePath from "./HomePath.js"
import * as Invocation from "./Invocation.js"
import { visible } from "./Visible.js"

export interface Outcome {
  readonly stateDir: string
  readonly findings: ReadonlyArray<Finding>
  /** What a repair has ended; none: it was not asked for. */
  readonly repaired: Option.Option<ReadonlyArray<Finding>>
  /** What it could not do, in words. */
  readonly failures: ReadonlyArray<string>
}

export const problemsIn = (findings: ReadonlyArray<Finding>) =>
  findings.filter((finding) => aboutOf(finding).severity === "problem")

/** One JSON document. */
export const jsonOf = ({ failures, findings, repaired, stateDir }: Outcome, now: number): string => {
  const show = (finding: Finding, done: boolean) => {
    const { _tag, ...fields } = finding
    const { area, severity } = aboutOf(finding)
    const repair = Option.getOrUndefined(Words.repairOf(finding, done))
    return { kind: _tag, area, severity, text: Words.say(finding, now), ...(repair && { repair }), ...fields }
  }
  const document = {
    stateDir,
    problems: problemsIn(findings).length,
    notes: notesIn(findings),
    ...(Option.isSome(repaired) && {
      repaired: repaired.value.map((finding) => show(finding, true)),
      failures
    }),
    findings: findings.map((finding) => show(finding, false))
  }
  return JSON.stringify(document, undefined, 2)
}

const notesIn = (findings: ReadonlyArray<Finding>): number =>
  findings.filter((finding) => aboutOf(finding).severity === "note").length

const areas: ReadonlyArray<Area> = [
  "directory",
  "lock",
  "sessions",
  "journal",
  "transcripts",
  "images",
  "other files"
]
/** How many findings of one kind are printed. */
const atMost = 20

export const pageOf = ({ failures, findings, repaired, stateDir }: Outcome, now: number): string => {
  const paint = process.stdout.isTTY && process.stdout.hasColors() ? painted : plain
  const done = Option.getOrElse(repaired, () => [])
  const line = (label: keyof typeof colours, text: string) =>
    `  ${paint(label, label.padEnd(labelWidth))}${visible(text)}`
  const found = (finding: Finding) => {
    const { mended, severity } = aboutOf(finding)
    const repair = mended ? Option.getOrElse(Words.repairOf(finding), () => "") : ""
    return line(severity, `${Words.say(finding, now)}${repair === "" ? "" : `. --repair ${repair}`}`)
  }
  return [
    `State directory ${visible(HomePath.shorten(stateDir))}`,
    ...section(
      "repaired",
      shortened(done, (finding) =>
        line(
          "repaired",
          `${Words.say(finding, now)}. Now: ${Option.getOrElse(Words.repairOf(finding, true), () => "gone")}`
        )
      )
    ),
    ...section(
      "not repaired",
      failures.map((failure) => line("problem", failure))
    ),
    ...areas.flatMap((area) =>
      section(
        area,
        shortened(
          findings.filter((finding) => aboutOf(finding).area === area),
          found
        )
      )
    ),
    "",
    summary(findings, repaired)
  ].join("\n")
}

const section = (title: string, lines: ReadonlyArray<string>): ReadonlyArray<string> =>
  lines.length === 0 ? [] : ["", title, ...lines]

/** A line for each, and one for all of a kind that are too many. */
const shortened = (
  findings: ReadonlyArray<Finding>,
  line: (finding: Finding) => string
): ReadonlyArray<string> => {
  const seen = new Map<Finding["_tag"], number>()
  const lines: Array<string> = []
  for (const finding of findings) {
    const before = seen.get(finding._tag) ?? 0
    seen.set(finding._tag, before + 1)
    if (before < atMost) lines.push(line(finding))
  }
  for (const [kind, total] of seen) {
    if (total > atMost)
      lines.push(`  ${" ".repeat(labelWidth)}and ${total - atMost} more ${kind} (--json lists all)`)
  }
  return lines
}

const summary = (
  findings: ReadonlyArray<Finding>,
  repaired: Option.Option<ReadonlyArray<Finding>>
): string => {
  const problems = problemsIn(findings)
  const notes = Words.count(notesIn(findings), "note")
  const done = Option.match(repaired, { onNone: () => "", onSome: ({ length }) => `${length} repaired; ` })
  const left = Option.isSome(repaired) ? " left" : ""
  if (problems.length === 0) return `${done}no problems${left}, ${notes}.`
  const mended = Option.isSome(repaired)
    ? 0
    : problems.filter((problem) => Option.isSome(Words.repairOf(problem))).length
  const hint =
    mended === 0
      ? ""
      : ` \`${Invocation.command()} doctor --repair\` mends ${mended === problems.length ? (mended === 1 ? "it" : "them") : mended}.`
  return `${done}${Words.count(problems.length, "problem")}${left}, ${notes}.${hint}`
}

const labelWidth = 10
const colours = { ok: 32, note: 36, problem: 31, repaired: 32 }
const painted = (label: keyof typeof colours, text: string): string =>
  `\u001b[${colours[label]}m${text}\u001b[0m`
const plain = (_label: keyof typeof colours, text: string): string => text
