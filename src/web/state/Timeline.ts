/** Timeline: the rows of a conversation, from its history and from the runs that the page watches. */
import type { LiveRun, Phase } from "./LiveRun.js"
import { type Entry, textOfEntry } from "../../client/Transcript.js"

export type Row =
  | { readonly kind: "day"; readonly key: string; readonly timestamp: number }
  | { readonly kind: "entry"; readonly key: string; readonly entry: Entry; readonly run: LiveRun | undefined }
  /** A message that the history does not have yet. */
  | { readonly kind: "sent"; readonly key: string; readonly run: LiveRun }
  /** An answer that the history does not have. */
  | { readonly kind: "answer"; readonly key: string; readonly run: LiveRun; readonly isQueued: boolean }

/** What the rows depend on of a run: not its text. */
export interface RunInView {
  readonly run: LiveRun
  readonly phase: Phase["_tag"]
}

/** The day of a time, in the reader's zone. */
export const dayOf = (timestamp: number): string => new Date(timestamp).toDateString()

const keyOf = (entry: Entry): string =>
  entry.runId === undefined ? `m:${entry.id}` : `${entry.role === "user" ? "u" : "a"}:${entry.runId}`

export const rowsOf = (entries: ReadonlyArray<Entry>, runs: ReadonlyArray<RunInView>): ReadonlyArray<Row> => {
  const asked = new Set<string>()
  const answered = new Set<string>()
  for (const { role, runId } of entries)
    if (runId !== undefined) (role === "user" ? asked : answered).add(runId)
  const byId = new Map(runs.map(({ run }) => [run.id, run]))
  const isOpen = ({ phase }: RunInView) => phase === "Accepted"
  const first = runs.find((one) => isOpen(one) && !answered.has(one.run.id))

  /** Ended without an answer that the history keeps: it says so beneath its message. */
  const lost = new Map(
    runs
      .filter(
        ({ phase, run }) =>
          (phase === "Aborted" || phase === "Failed") && !answered.has(run.id) && asked.has(run.id)
      )
      .map(({ run }) => [run.id, run])
  )

  const rows: Array<Row> = []
  const keys = new Set<string>()
  let day = ""
  const push = (row: Row): void => {
    // Two messages of one run and role: the second goes by its own id.
    const key = keys.has(row.key) ? `${row.key}:${rows.length}` : row.key
    keys.add(key)
    rows.push({ ...row, key })
  }
  const at = (timestamp: number): void => {
    if (timestamp === 0 || dayOf(timestamp) === day) return
    day = dayOf(timestamp)
    push({ kind: "day", key: `d:${day}`, timestamp })
  }
  const answer = (run: LiveRun, isQueued: boolean): void =>
    push({ kind: "answer", key: `a:${run.id}`, run, isQueued })

  for (const entry of entries) {
    at(entry.timestamp)
    const run = entry.runId === undefined ? undefined : byId.get(entry.runId)
    push({ kind: "entry", key: keyOf(entry), entry, run })
    const ended = entry.role === "user" && entry.runId !== undefined ? lost.get(entry.runId) : undefined
    if (ended !== undefined) answer(ended, false)
  }
  for (const { phase, run } of runs) {
    if (run.sent !== undefined && !asked.has(run.id)) {
      at(run.since)
      push({ kind: "sent", key: `u:${run.id}`, run })
    }
    const isShown = phase !== "Sending" && phase !== "Rejected"
    if (isShown && !answered.has(run.id) && !lost.has(run.id)) {
      answer(run, phase === "Accepted" && run.id !== first?.run.id)
    }
  }
  return rows
}

/** Runs that need not be watched any more: their answers are in the history. */
export const isSettled = ({ phase, run }: RunInView, entries: ReadonlyArray<Entry>): boolean =>
  phase === "Final" &&
  run.tools.peek().length === 0 &&
  entries.some(({ role, runId }) => role !== "user" && runId === run.id)

/** The text of a user's message that can be asked again. */
export const questionOf = (entries: ReadonlyArray<Entry>, runId: string): string | undefined => {
  const entry = entries.find((one) => one.role === "user" && one.runId === runId)
  return entry === undefined ? undefined : textOfEntry(entry)
}
