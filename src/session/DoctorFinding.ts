/** DoctorFinding: what can be said about a state directory. Data only: the command line has the words. */
import { Data } from "effect"
import type { MessageId, RunId, SessionId } from "../domain/Ids.js"
import type { SessionKey } from "../domain/SessionKey.js"
import * as ImageFile from "./ImageFile.js"

/** `subject` is a file, from the state directory (`.`: the directory itself). Sizes are bytes, times milliseconds. */
export type Finding = Data.TaggedEnum<{
  DirectorySound: { readonly subject: string }
  DirectoryMissing: { readonly subject: string }
  NotADirectory: { readonly subject: string }
  /** `reason`: the system's code, or ours. */
  Unusable: { readonly subject: string; readonly access: "read" | "write"; readonly reason: string }
  /** Other users may get at it. `reachable`: the directory lets them in, too. */
  OpenToOthers: { readonly subject: string; readonly mode: number; readonly reachable: boolean }

  LockFree: { readonly subject: string }
  /** A gateway, or a repair, is at work in the directory. */
  GatewayRunning: {
    readonly subject: string
    readonly pid: number
    readonly host: string
    /** ISO 8601. */
    readonly since: string
  }
  /** Its holder is gone. Without `pid`: it does not say who that was. */
  LockStale: {
    readonly subject: string
    readonly pid?: number | undefined
    readonly host?: string | undefined
    readonly since?: string | undefined
  }
  LockLeftover: { readonly subject: string }

  /** `sessions`: entries of sessions that have begun. */
  IndexSound: {
    readonly subject: string
    readonly entries: number
    readonly sessions: number
    readonly bytes: number
  }
  /** No session has begun here. */
  IndexNone: { readonly subject: string }
  /** `backupEntries`: those of the last good version, if that can be read. */
  IndexMissing: {
    readonly subject: string
    readonly transcripts: number
    readonly backupEntries?: number | undefined
  }
  IndexDamaged: {
    readonly subject: string
    readonly reason: string
    readonly backupEntries?: number | undefined
  }
  BackupDamaged: { readonly subject: string; readonly reason: string }
  EntryUnusable: { readonly subject: string; readonly name: string; readonly reason: string }
  /** It stands among the entries and is none: nobody can ask for it. */
  NameUnusable: { readonly subject: string; readonly name: string; readonly reason: string }
  /** The entry under `name` is hidden by the one under `counts`: both name the same session. */
  NameTwice: { readonly subject: string; readonly name: string; readonly counts: string }
  TranscriptMissing: { readonly subject: string; readonly name: string }
  TranscriptElsewhere: { readonly subject: string; readonly name: string; readonly reason: string }
  /** The journal knows a session that the index lacks. */
  SessionUnlisted: { readonly subject: string; readonly key: SessionKey; readonly sessionId: SessionId }

  JournalSound: {
    readonly subject: string
    readonly bytes: number
    readonly records: number
    /** Idempotency keys that have their answers. */
    readonly keys: number
    readonly openRuns: number
  }
  JournalMissing: { readonly subject: string }
  /** `at`: where the end begins that was not written whole. */
  JournalTorn: { readonly subject: string; readonly bytes: number; readonly at: number }
  /** `line`: the first of them, from 1; `at`: where it begins. */
  JournalDamaged: {
    readonly subject: string
    readonly lines: number
    readonly bytes: number
    readonly line: number
    readonly at: number
  }
  /** Whole lines that this version does not know. */
  JournalForeign: { readonly subject: string; readonly lines: number; readonly line: number }
  /** A run that is not over. `startedAt` is there when its agent was called. */
  RunOpen: {
    readonly subject: string
    readonly runId: RunId
    readonly sessionKey: SessionKey
    readonly acceptedAt: number
    readonly startedAt?: number | undefined
    /** A gateway is working on it. */
    readonly underWay: boolean
  }
  /** Messages that the journal has and their transcript lacks. */
  MessagesPending: { readonly subject: string; readonly count: number }
  /** The journal has two messages under one id. */
  MessageConflict: { readonly subject: string; readonly id: MessageId }

  /** All that were read. */
  TranscriptsRead: {
    readonly subject: string
    readonly files: number
    readonly messages: number
    readonly bytes: number
  }
  HeaderMissing: { readonly subject: string }
  HeaderOther: { readonly subject: string; readonly expected: string; readonly found: string }
  /** `line`: the first of them, from 1. */
  LinesBroken: { readonly subject: string; readonly lines: number; readonly line: number }
  /** Longer than what is looked into. */
  LinesLong: { readonly subject: string; readonly lines: number; readonly line: number }
  /** The last line was not written whole. */
  TranscriptTorn: { readonly subject: string; readonly bytes: number }
  /** `ids`: how many stand there more than once; `line`: where the first one comes again. */
  MessageTwice: {
    readonly subject: string
    readonly ids: number
    readonly id: string
    readonly line: number
  }
  /** An end that is no whole line, while a gateway writes. */
  BeingWritten: { readonly subject: string; readonly bytes: number }

  /** All that messages refer to; `bytes`: as the references say. */
  ImagesRead: { readonly subject: string; readonly files: number; readonly bytes: number }
  /** `from`: a file in which a message refers to it. */
  ImageMissing: { readonly subject: string; readonly from: string }
  /** It is not what was stored. */
  ImageDamaged: { readonly subject: string; readonly from: string }
  /** Those that no message refers to: of sends that were not accepted, or of transcripts that are gone. */
  ImagesUnused: { readonly subject: string; readonly files: number; readonly bytes: number }

  /** A transcript that no entry names. */
  Orphan: { readonly subject: string; readonly bytes: number; readonly modifiedAt?: number | undefined }
  /** Damage that was put aside. */
  Kept: { readonly subject: string; readonly bytes: number; readonly modifiedAt?: number | undefined }
  /** Of a write that was cut off. */
  Leftover: { readonly subject: string; readonly bytes: number }
}>

export const Finding = Data.taggedEnum<Finding>()

export type Area = "directory" | "lock" | "sessions" | "journal" | "transcripts" | "images" | "other files"

/** `note`: good to know. `problem`: something is damaged, missing or open to others, or a session can't be used. */
export type Severity = "ok" | "note" | "problem"

interface About {
  readonly area: Area
  readonly severity: Severity
  /** Does a repair end it? */
  readonly mended: boolean
}

const about: { readonly [K in Finding["_tag"]]: readonly [Area, Severity, mended?: true] } = {
  DirectorySound: ["directory", "ok"],
  DirectoryMissing: ["directory", "problem"],
  NotADirectory: ["directory", "problem"],
  Unusable: ["directory", "problem"],
  OpenToOthers: ["directory", "problem", true],
  LockFree: ["lock", "ok"],
  GatewayRunning: ["lock", "note"],
  LockStale: ["lock", "note", true],
  LockLeftover: ["lock", "note", true],
  IndexSound: ["sessions", "ok"],
  IndexNone: ["sessions", "ok"],
  IndexMissing: ["sessions", "problem", true],
  IndexDamaged: ["sessions", "problem", true],
  BackupDamaged: ["sessions", "note"],
  EntryUnusable: ["sessions", "problem"],
  NameUnusable: ["sessions", "note"],
  NameTwice: ["sessions", "note"],
  TranscriptMissing: ["sessions", "problem"],
  TranscriptElsewhere: ["sessions", "problem"],
  SessionUnlisted: ["sessions", "problem", true],
  JournalSound: ["journal", "ok"],
  JournalMissing: ["journal", "note"],
  JournalTorn: ["journal", "problem", true],
  JournalDamaged: ["journal", "problem", true],
  JournalForeign: ["journal", "problem"],
  RunOpen: ["journal", "note"],
  MessagesPending: ["journal", "problem", true],
  MessageConflict: ["journal", "problem"],
  TranscriptsRead: ["transcripts", "ok"],
  HeaderMissing: ["transcripts", "note"],
  HeaderOther: ["transcripts", "note"],
  LinesBroken: ["transcripts", "problem"],
  LinesLong: ["transcripts", "note"],
  TranscriptTorn: ["transcripts", "problem", true],
  MessageTwice: ["transcripts", "problem"],
  BeingWritten: ["transcripts", "note"],
  ImagesRead: ["images", "ok"],
  ImageMissing: ["images", "problem"],
  ImageDamaged: ["images", "problem"],
  ImagesUnused: ["images", "note"],
  Orphan: ["other files", "note"],
  Kept: ["other files", "note"],
  Leftover: ["other files", "note", true]
}

export const aboutOf = (finding: Finding): About => {
  const [area, severity, mended = false] = about[finding._tag]
  switch (finding._tag) {
    case "OpenToOthers":
      // Nobody gets at a file in a directory that is closed.
      return { area, severity: finding.reachable ? severity : "note", mended }
    case "IndexMissing":
      return { area, severity, mended: finding.backupEntries !== undefined }
    default:
      return { area, severity, mended }
  }
}

/** The mode that keeps others out of a file, or of a directory. */
export const ownersMode = (subject: string): number =>
  subject === "." || subject === ImageFile.directory ? 0o700 : 0o600

/** Is it the same thing, seen again? */
export const isSame = (a: Finding, b: Finding): boolean =>
  a._tag === b._tag &&
  a.subject === b.subject &&
  ("name" in a ? a.name : "") === ("name" in b ? b.name : "") &&
  ("key" in a ? a.key : "") === ("key" in b ? b.key : "")
