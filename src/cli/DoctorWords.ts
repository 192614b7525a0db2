/** DoctorWords: what the findings about a state directory are called, and what a repair does about them. */
import { keyOf } from "../domain/Ids.js"
import { DateTime, Option } from "effect"
import { type Finding, ownersMode } from "../session/DoctorFinding.js"
import { isRemoved } from "../session/DoctorSite.js"

/** One line. `now`: milliseconds since the epoch. */
export const say = (finding: Finding, now: number): string => {
  switch (finding._tag) {
    case "DirectorySound":
      return "can be read and written, and only by its owner"
    case "DirectoryMissing":
      return "there is no such directory: `colloquy serve` makes it. Was another one meant? --state-dir"
    case "NotADirectory":
      return "is not a directory"
    case "Unusable":
      return `${finding.subject} can't be ${finding.access === "read" ? "read" : "written"} (${finding.reason})`
    case "OpenToOthers":
      return `${finding.subject === "." ? "the directory" : finding.subject} is open to other users (mode ${finding.mode.toString(8).padStart(4, "0")})${
        finding.reachable ? "" : ", though the directory does not let them in"
      }`
    case "LockFree":
      return "no gateway is running here"
    case "GatewayRunning":
      return `a gateway is running here: process ${finding.pid} on ${finding.host}, since ${finding.since}. What it is just writing is no damage`
    case "LockStale":
      return finding.pid === undefined
        ? `${finding.subject} does not say whose it is, and nobody renews it. The next start takes it over`
        : `${finding.subject} is of a gateway that is gone: process ${finding.pid} on ${finding.host}, since ${finding.since}. The next start takes it over`
    case "LockLeftover":
      return `${finding.subject} was left by a gateway that is gone`
    case "IndexSound":
      return `${finding.subject}: ${count(finding.sessions, "session")} in ${count(finding.entries, "entry", "entries")}, ${size(finding.bytes)}`
    case "IndexNone":
      return "no session has begun here"
    case "IndexMissing":
      return `${finding.subject} is missing: ${count(finding.transcripts, "transcript")} ${finding.transcripts === 1 ? "has" : "have"} no entry. ${ofBackup(finding.backupEntries)}`
    case "IndexDamaged":
      return `${finding.subject} ${finding.reason}. ${ofBackup(finding.backupEntries)}`
    case "BackupDamaged":
      return `${finding.subject} ${finding.reason}: there is no last good version until the next one is written`
    case "EntryUnusable":
      return `${finding.subject}: the entry ${JSON.stringify(finding.name)} can't be used: ${finding.reason}`
    case "NameUnusable":
      return `${finding.subject}: ${JSON.stringify(finding.name)} is no entry of a session: ${finding.reason}`
    case "NameTwice":
      return `${finding.subject}: ${JSON.stringify(finding.name)} and ${JSON.stringify(finding.counts)} name one session; only ${JSON.stringify(finding.counts)} counts`
    case "TranscriptMissing":
      return `${finding.subject}, the transcript of ${JSON.stringify(finding.name)}, is missing: its history is empty. Put the file back, or remove the entry`
    case "TranscriptElsewhere":
      return `${finding.subject}, the transcript of ${JSON.stringify(finding.name)}, can't be used: ${finding.reason}`
    case "SessionUnlisted":
      return `${finding.subject} lacks the session ${finding.key}, which the journal knows`
    case "JournalSound":
      return `${finding.subject}: ${count(finding.records, "record")}, ${size(finding.bytes)}; ${count(finding.keys, "key")} with an answer, ${count(finding.openRuns, "run")} not over`
    case "JournalMissing":
      return `${finding.subject} is missing: nothing is known of runs and idempotency keys. The next start makes it`
    case "JournalTorn":
      return `${finding.subject}: the end was not written whole (${size(finding.bytes)} from byte ${finding.at} on)`
    case "JournalDamaged":
      return `${finding.subject}: ${count(finding.lines, "line")} damaged (${size(finding.bytes)}), the first is line ${finding.line}, at byte ${finding.at}`
    case "JournalForeign":
      return `${finding.subject}: ${count(finding.lines, "line")} of a version that this one does not know, the first is line ${finding.line}. Use the newer version here: this one may drop them`
    case "RunOpen":
      return `run ${JSON.stringify(keyOf(finding.runId))} of ${finding.sessionKey}, accepted ${ago(finding.acceptedAt, now)}: ${
        finding.underWay
          ? "under way"
          : finding.startedAt === undefined
            ? "its agent was not called; the next start runs it"
            : "its agent was called; the next start ends it with an error (interrupted by restart)"
      }`
    case "MessagesPending":
      return `${finding.subject} lacks ${count(finding.count, "message")} that the journal has`
    case "MessageConflict":
      return `${finding.subject} has two messages under the id ${finding.id}`
    case "TranscriptsRead":
      return `${count(finding.files, "transcript")} read: ${count(finding.messages, "message")}, ${size(finding.bytes)}`
    case "HeaderMissing":
      return `${finding.subject} does not begin with the line of a session`
    case "HeaderOther":
      return `${finding.subject} says that it is of the session ${JSON.stringify(finding.found)}, and its entry ${JSON.stringify(finding.expected)}`
    case "LinesBroken":
      return `${finding.subject}: ${count(finding.lines, "line")} broken, the first is line ${finding.line}. Readers skip them`
    case "LinesLong":
      return `${finding.subject}: ${count(finding.lines, "line")} too long to be looked into, the first is line ${finding.line}`
    case "TranscriptTorn":
      return `${finding.subject}: the last line was not written whole (${size(finding.bytes)})`
    case "MessageTwice":
      return `${finding.subject}: ${count(finding.ids, "message id")} more than once; ${JSON.stringify(finding.id)} comes again in line ${finding.line}`
    case "BeingWritten":
      return `${finding.subject} is being written`
    case "ImagesRead":
      return `${count(finding.files, "image")} in ${finding.subject} that messages refer to, ${size(finding.bytes)}`
    case "ImageMissing":
      return `${finding.subject}, an image in ${finding.from}, is missing: agents and clients can't have it. Put the file back`
    case "ImageDamaged":
      return `${finding.subject}, an image in ${finding.from}, is not what was stored: agents and clients can't have it. Put the file back`
    case "ImagesUnused":
      return `${count(finding.files, "image")} in ${finding.subject} that no message refers to (${size(finding.bytes)}). Kept`
    case "Orphan":
      return `${finding.subject} is a transcript that no entry names (${size(finding.bytes)}${changed(finding.modifiedAt, now)}). It is kept`
    case "Kept":
      return `${finding.subject} holds ${isRemoved(finding.subject) ? "the messages of a session that was deleted" : "damage that was put aside"} (${size(finding.bytes)}${changed(finding.modifiedAt, now)})`
    case "Leftover":
      return `${finding.subject} was left by a write that was cut off (${size(finding.bytes)})`
  }
}

/** What a repair does about it, for what it can mend. `done`: it has. */
export const repairOf = (finding: Finding, done = false): Option.Option<string> => {
  const words = (will: string, has: string) => Option.some(done ? has : will)
  switch (finding._tag) {
    case "OpenToOthers": {
      const mode = ownersMode(finding.subject).toString(8).padStart(4, "0")
      return words(`gives it the mode ${mode}`, `it has the mode ${mode}`)
    }
    case "LockStale":
    case "LockLeftover":
    case "Leftover":
      return words("removes it", "removed")
    case "IndexMissing":
      return finding.backupEntries === undefined
        ? Option.none()
        : words("puts the last good version in its place", "the last good version is in its place")
    case "IndexDamaged":
      return finding.backupEntries === undefined
        ? words(
            `keeps it as ${finding.subject}.damaged-*, and begins anew with the sessions that the journal knows`,
            `kept as ${finding.subject}.damaged-*; only the sessions that the journal knows are left`
          )
        : words(
            `keeps it as ${finding.subject}.damaged-*, and puts the last good version in its place`,
            `kept as ${finding.subject}.damaged-*; the last good version is in its place`
          )
    case "SessionUnlisted":
      return words("adds its entry", "its entry was added")
    case "JournalTorn":
    case "TranscriptTorn":
      return words(
        `cuts it off, and keeps it in ${finding.subject}.torn`,
        `cut off, and kept in ${finding.subject}.torn`
      )
    case "JournalDamaged":
      return words(
        `cuts them out, and keeps them in ${finding.subject}.torn`,
        `cut out, and kept in ${finding.subject}.torn`
      )
    case "MessagesPending":
      return words("puts them there", "they are there")
    default:
      return done ? Option.some("gone") : Option.none()
  }
}

export const count = (n: number, one: string, many = `${one}s`): string => `${n} ${n === 1 ? one : many}`

const ofBackup = (entries: number | undefined): string =>
  entries === undefined
    ? "There is no good version of it"
    : `The last good version (sessions.json.bak) has ${count(entries, "entry", "entries")}`

/** Bytes for people. */
export const size = (bytes: number): string => {
  const power = bytes < 1024 ? 0 : Math.min(units.length, Math.floor(Math.log2(bytes) / 10))
  return power === 0 ? count(bytes, "byte") : `${(bytes / 1024 ** power).toFixed(1)} ${units[power - 1]}`
}

const units = ["KiB", "MiB", "GiB", "TiB"]

const changed = (at: number | undefined, now: number): string =>
  at === undefined ? "" : `, changed ${ago(at, now)}`

const ago = (at: number, now: number): string => {
  const minutes = Math.floor((now - at) / 60_000)
  if (minutes < 1) return "just now"
  if (minutes < 60) return `${count(minutes, "minute")} ago`
  if (minutes < 48 * 60) return `${count(Math.floor(minutes / 60), "hour")} ago`
  return Option.match(DateTime.make(at), {
    onNone: () => "at an unknown time",
    onSome: (time) => `on ${DateTime.formatIsoDateUtc(time)}`
  })
}
