/** What must hold of the files and the events of a gateway: right after a kill, and when everything is quiet. */
import { Array as Arr, Effect, Option } from "effect"
import { basename, join } from "node:path"
import * as Behaviour from "./Behaviour.js"
import type { Client } from "./Client.js"
import * as Files from "./Files.js"
import type { Check, Report } from "./Findings.js"
import type { Ledger, SendRecord } from "./Ledger.js"
import type { Lives } from "./Lives.js"
import { fields } from "./Socket.js"

export interface Subject {
  readonly lives: Lives
  readonly ledger: Ledger
  readonly clients: ReadonlyArray<Client>
  readonly report: Report
}

interface Problem {
  readonly check: Check
  readonly subject: string
  readonly what: string
  readonly details: unknown
}

/** At every moment, so also between a kill and the next start. */
export const whenDead = ({ ledger, lives: { callsFile, stateDir }, report }: Subject): void => {
  if (Files.sessions(stateDir) === undefined)
    report(
      "sessions-json",
      "file",
      "sessions.json can't be parsed",
      Files.readText(join(stateDir, "sessions.json"))
    )
  for (const sha256 of Files.imagesLacking(stateDir))
    report("images", sha256, "a message refers to an image that is not in its file", sha256)
  const seen = new Set<string>()
  for (const key of Files.calls(callsFile)) {
    if (seen.has(key)) report("called-once", key, "the agent was called twice", ledger.records.get(key))
    seen.add(key)
  }
}

/** When all runs are over. Files that are written behind get some time; what is wrong then is reported. */
export const whenQuiet = (subject: Subject, sessions: ReadonlySet<string>): Effect.Effect<void> =>
  Effect.gen(function* () {
    whenDead(subject)
    calls(subject)
    let problems = files(subject, sessions, yield* subject.lives.held)
    for (let wait = 0; problems.length > 0 && wait < 30; wait++) {
      yield* Effect.sleep("100 millis")
      problems = files(subject, sessions, yield* subject.lives.held)
    }
    for (const { check, details, subject: about, what } of problems)
      subject.report(check, about, what, details)
  })

const calls = ({ ledger, lives: { callsFile }, report }: Subject): void => {
  const called = Files.calls(callsFile)
  const places = new Map(called.map((key, place) => [key, place]))
  for (const record of ledger.records.values()) {
    if (record.final?.summary?.includes("could not be read") === true)
      report("images", record.key, "its agent could not have its image", record)
    const place = places.get(record.key)
    if (place === undefined) {
      if (record.final?.status === "ok") report("called-once", record.key, "an answer of nobody", record)
    } else if (ledger.abortBinds(record) && record.aborted?.uncalled === true)
      report("called-after-abort", record.key, "the agent was called after the answer to an abort", record)
  }
  const bySession = Arr.groupBy(
    called.flatMap((key) => ledger.records.get(key) ?? []),
    ({ session }) => session
  )
  for (const records of Object.values(bySession))
    inOrder(records, (later, earlier) =>
      report("called-in-order", later.key, `its agent was called before that of ${earlier.key}`, {
        later,
        earlier
      })
    )
}

/**
 * Reports each record that stands before one that was acknowledged before this one was sent at all. Between two that
 * were under way at once any order is right.
 */
const inOrder = (
  records: ReadonlyArray<SendRecord>,
  report: (later: SendRecord, earlier: SendRecord) => void
): void => {
  let first: SendRecord | undefined
  for (const record of records.toReversed()) {
    if (first?.acked !== undefined && first.acked.at < record.sentAt) report(record, first)
    if (record.acked !== undefined && record.acked.at < (first?.acked?.at ?? Infinity)) first = record
  }
}

/** What is wrong with `sessions.json` and the transcripts. */
const files = (
  { ledger, lives: { stateDir } }: Subject,
  sessions: ReadonlySet<string>,
  held: Files.Held
): ReadonlyArray<Problem> => {
  const problems: Array<Problem> = []
  const wrong = (check: Check, subject: string, what: string, details: unknown) =>
    problems.push({ check, subject, what, details })
  const index = Files.sessions(stateDir) ?? {}
  const concerned = [...ledger.records.values()].filter(({ session }) => sessions.has(session))
  for (const [session, records] of Object.entries(Arr.groupBy(concerned, ({ session }) => session))) {
    if (!records.some(isSaved)) continue
    const file = Files.transcriptFile(stateDir, index[`agent:main:${session}`])
    const transcript = file === undefined ? undefined : Files.transcript(file, held)
    if (file === undefined || transcript === undefined) {
      wrong(
        "sessions-json",
        session,
        "an accepted session is not in sessions.json, or without transcript",
        records
      )
      continue
    }
    const name = basename(file)
    for (const line of transcript.merged)
      wrong("transcript-torn", name, "a line is merged with a torn one", line)
    const said = Arr.groupBy(transcript.lines, ({ key, role }) => `${role} ${key}`)
    for (const record of records) {
      const asked = said[`user ${record.key}`] ?? []
      if (asked.length > 1 || (asked.length === 0 && isSaved(record)))
        wrong("transcript-once", record.key, `${asked.length} times in ${name}`, record)
      const image = Behaviour.imageOf(record.key)?.sha256
      if (asked.some((line) => line.image !== image))
        wrong("images", record.key, `the image is not the one that was sent in ${name}`, { record, asked })
      if (asked.some(({ text }) => text !== record.message))
        wrong("transcript-once", record.key, `not as it was sent in ${name}`, { record, asked })
      const answers = said[`assistant ${record.key}`] ?? []
      const whole = answers.filter(({ text }) => text === Behaviour.of(record.key).text)
      if (answers.length > 1 || (record.final?.status === "ok" && whole.length !== 1))
        wrong("answer-saved", record.key, `${answers.length} answers in ${name}`, { record, answers })
    }
    const inFile = transcript.lines.flatMap(({ key, role }) =>
      role === "user" && key !== undefined ? (ledger.records.get(key) ?? []) : []
    )
    inOrder(inFile, (later, earlier) =>
      wrong("transcript-order", later.key, `stands before ${earlier.key} in ${name}`, { later, earlier })
    )
  }
  return problems
}

/** Must its message be in the transcript? An abort that was answered stands also when the save failed. */
const isSaved = ({ acked }: SendRecord): boolean => acked !== undefined && acked.status !== "aborted"

/** Reads sessions page by page, and compares them with their transcripts. */
export const histories = (
  { lives, report }: Subject,
  reader: Client,
  sessions: Iterable<string>,
  limit: number
): Effect.Effect<void> =>
  Effect.gen(function* () {
    const held = yield* lives.held
    const index = Files.sessions(lives.stateDir) ?? {}
    for (const session of sessions) {
      const pages = yield* history(reader, session, limit)
      if (pages === undefined) {
        report("requests", session, "a history was not answered")
        continue
      }
      const file = Files.transcriptFile(lives.stateDir, index[`agent:main:${session}`])
      const lines = (file === undefined ? undefined : Files.transcript(file, held))?.lines ?? []
      const at = Array.from({ length: Math.max(lines.length, pages.length) }).findIndex(
        (_, at) => pages[at]?.text !== lines[at]?.text || pages[at]?.role !== lines[at]?.role
      )
      if (at >= 0)
        report("history-pages", session, `the history differs from the transcript at message ${at}`, {
          history: pages[at],
          transcript: lines[at],
          lengths: [pages.length, lines.length]
        })
    }
  })

const history = (reader: Client, session: string, limit: number) =>
  Effect.gen(function* () {
    let pages: ReadonlyArray<Files.Line> = []
    let before: unknown
    do {
      const params = { sessionKey: session, limit, ...(before === undefined ? {} : { before }) }
      const reply = yield* reader.request("chat.history", params)
      const { hasMore, messages } = Option.getOrUndefined(reply)?.payload ?? {}
      if (!Array.isArray(messages)) return undefined
      pages = [...messages.map((line) => Files.lineOf(line)), ...pages]
      before = hasMore === true ? fields(messages[0])["id"] : undefined
    } while (before !== undefined)
    return pages
  })

/** Ends that clients did not see. `excused`: they were told that events are gone, and the key has its answer. */
export const unseen = ({ clients }: Subject, records: Iterable<SendRecord>) => {
  const missing: Array<{ readonly client: number; readonly record: SendRecord; readonly excused: boolean }> =
    []
  for (const { index: client, stream } of clients) {
    const { lostAt, position, since } = stream
    for (const record of records) {
      if (record.acked === undefined || since === undefined || record.terminals.has(client)) continue
      // Others than the sender see it as far as the gateway resumes them at all.
      if (record.sentAt < since || (client !== record.client && position === undefined)) continue
      const excused = record.final !== undefined && lostAt !== undefined && lostAt > record.sentAt
      missing.push({ client, record, excused })
    }
  }
  return missing
}
