/** DoctorJournal: what the run journal says, and whether it can be read. Reads only. */
import { Option } from "effect"
import type { MessageId } from "../domain/Ids.js"
import * as Record from "../journal/JournalRecord.js"
import { JournalState } from "../journal/JournalState.js"
import * as LogLine from "../journal/LogLine.js"
import { fileName } from "../journal/RunJournal.js"
import { Finding } from "./DoctorFinding.js"
import type { Referred } from "./DoctorImages.js"
import * as ImageFile from "./ImageFile.js"

export interface Examined {
  readonly findings: ReadonlyArray<Finding>
  /** Messages that may not be in their transcripts. */
  readonly entries: ReadonlyArray<Record.Entry>
  /** All transcripts that it names, as they stand there. */
  readonly files: ReadonlySet<string>
  /** The images of those messages, and of runs that are not over. */
  readonly images: ReadonlyArray<Referred>
  /** Whole lines that this version does not know. */
  readonly foreign: ReadonlyArray<string>
  /** Are there lines that are not what was written? */
  readonly isDamaged: boolean
}

/** `isRunning`: a gateway is writing it. */
export const examine = (bytes: Uint8Array, isRunning: boolean): Examined => {
  const { end, lines, sound } = LogLine.read(bytes)
  const findings: Array<Finding> = []
  const state = new JournalState()
  const files = new Set<string>()
  const foreign: Array<string> = []
  const texts = new Map<MessageId, string>()
  const conflicts = new Set<MessageId>()
  for (const json of lines) {
    const record = Option.getOrUndefined(Record.decode(json))
    if (record === undefined) {
      foreign.push(json)
      continue
    }
    state.apply(record)
    const entry = entryOf(record)
    if (entry === undefined) continue
    files.add(entry.file)
    const text = `${entry.file} ${JSON.stringify(entry.message)}`
    const known = texts.get(entry.id)
    // A compacted journal may say the same again.
    if (known !== undefined && known !== text) conflicts.add(entry.id)
    texts.set(entry.id, text)
  }

  findings.push(
    Finding.JournalSound({
      subject: fileName,
      bytes: bytes.length,
      records: lines.length - foreign.length,
      keys: state.settled.size,
      openRuns: state.open.size
    })
  )
  if (end < bytes.length) {
    findings.push(
      isRunning
        ? Finding.BeingWritten({ subject: fileName, bytes: bytes.length - end })
        : Finding.JournalTorn({ subject: fileName, bytes: bytes.length - end, at: end })
    )
  }
  if (!sound || foreign.length > 0) findings.push(...badLines(bytes))
  for (const id of conflicts) findings.push(Finding.MessageConflict({ subject: fileName, id }))
  for (const { run, startedAt } of state.open.values()) {
    const { acceptedAt, runId, sessionKey } = run
    findings.push(
      Finding.RunOpen({ subject: fileName, runId, sessionKey, acceptedAt, startedAt, underWay: isRunning })
    )
  }
  const entries = Array.from(state.entries.values())
  const waiting = Array.from(state.open.values(), ({ entry }) => entry)
  const images = [...entries, ...waiting].flatMap(({ message }) =>
    ImageFile.referencesIn(message["content"]).map((reference) => ({ reference, from: fileName }))
  )
  return { findings, entries, images, files, foreign, isDamaged: !sound }
}

export const nothing: Examined = {
  findings: [],
  entries: [],
  images: [],
  files: new Set(),
  foreign: [],
  isDamaged: false
}

const entryOf = (record: Record.JournalRecord): Record.Entry | undefined =>
  record.type === "accepted" || record.type === "message" || record.type === "ended"
    ? record.entry
    : undefined

/** Where the lines are that can't be used. */
const badLines = (bytes: Uint8Array): ReadonlyArray<Finding> => {
  const log = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const damaged = { lines: 0, bytes: 0, line: 0, at: 0 }
  const foreign = { lines: 0, line: 0 }
  let at = 0
  for (let line = 1; ; line++) {
    const newline = log.indexOf(lineFeed, at)
    if (newline < 0) break
    const json = LogLine.decode(log.subarray(at, newline))
    if (Option.isNone(json)) {
      if (damaged.lines++ === 0) Object.assign(damaged, { line, at })
      damaged.bytes += newline + 1 - at
    } else if (Option.isNone(Record.decode(json.value)) && foreign.lines++ === 0) foreign.line = line
    at = newline + 1
  }
  return [
    ...(damaged.lines > 0 ? [Finding.JournalDamaged({ subject: fileName, ...damaged })] : []),
    ...(foreign.lines > 0 ? [Finding.JournalForeign({ subject: fileName, ...foreign })] : [])
  ]
}

const lineFeed = 0x0a
