/**
 * DoctorRepair: mends what a start of the gateway would mend, by the same code, and what it leaves alone: the ends of all
 * transcripts, modes, and files that were left behind. What is cut off is kept beside, in a `.torn` file. Runs that are
 * not over stay as they are: they are the next gateway's to end.
 */
import { FileSystem, Path } from "@effect/platform"
import { Array, Effect, Either, Option, Scope } from "effect"
import { type SessionStoreError, StateDirLocked } from "../domain/SessionError.js"
import { failAs, setAside } from "../journal/Disk.js"
import * as LogLine from "../journal/LogLine.js"
import { fileName as journalName } from "../journal/RunJournal.js"
import * as Doctor from "./Doctor.js"
import { aboutOf, type Finding, isSame, ownersMode } from "./DoctorFinding.js"
import * as FileDriver from "./FileDriver.js"
import * as StateLock from "./StateLock.js"
import * as StoreEngine from "./StoreEngine.js"
import type { StoreDriver } from "./StoreDriver.js"
import * as TranscriptRepair from "./TranscriptRepair.js"

export interface Options extends Doctor.Options {
  /** For the first line of a transcript that must be made anew: where the agents work. */
  readonly cwd: string
}

export interface Repaired {
  /** What was found before and is not any more. */
  readonly gone: ReadonlyArray<Finding>
  /** What is there now. */
  readonly left: Doctor.Report
  /** What could not be done. */
  readonly failures: ReadonlyArray<SessionStoreError>
}

/** Examines, mends what can be mended, and examines again. A directory in which nothing is to be mended is not touched. */
export const repair = (
  options: Options
): Effect.Effect<Repaired, StateDirLocked, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const before = yield* Doctor.examine(options)
    const running = before.findings.find((finding) => finding._tag === "GatewayRunning")
    if (running !== undefined) {
      const { host, pid, since } = running
      return yield* new StateDirLocked({ directory: options.stateDir, pid, host, since })
    }
    if (!before.findings.some((finding) => aboutOf(finding).mended))
      return { gone: [], left: before, failures: [] }
    const failures = yield* Effect.scoped(mend(options, before))
    const left = yield* Doctor.examine(options)
    return {
      gone: before.findings.filter(
        (finding) => isBad(finding) && !left.findings.some((now) => isSame(finding, now))
      ),
      left,
      failures
    }
  })

const isBad = (finding: Finding): boolean => {
  const { mended, severity } = aboutOf(finding)
  return mended || severity === "problem"
}

type Step = Effect.Effect<void, SessionStoreError>

/** Gives what failed. Nothing keeps the steps behind it from being tried. */
const mend = (options: Options, { findings, foreign }: Doctor.Report) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const root = yield* fs.realPath(options.stateDir).pipe(failAs("read", "."))
    yield* StateLock.acquire(root)
    // Opened by the first step that needs it: it opens the journal, which modes may keep it from.
    const driver = yield* Effect.cached(FileDriver.make(root, "fsync"))
    const scope = yield* Effect.scope
    const withDriver = (use: (driver: StoreDriver) => Step) =>
      Effect.flatMap(driver, use).pipe(Scope.extend(scope))

    const ofFiles = findings.flatMap((finding) => {
      const { subject } = finding
      const file = path.join(root, subject)
      switch (finding._tag) {
        case "OpenToOthers":
          return [fs.chmod(file, ownersMode(subject)).pipe(failAs("write", subject))]
        case "Leftover":
        case "LockLeftover":
          return [fs.remove(file, { force: true }).pipe(failAs("write", subject))]
        case "JournalDamaged":
          // The journal is written anew, from what is understood.
          return foreign.length === 0 ? [] : [keep(fs, `${path.join(root, journalName)}.torn`, foreign)]
        default:
          return []
      }
    })
    const ofStore = findings.some(({ _tag }) => startMends.has(_tag))
      ? [withDriver((opened) => recover(opened, options))]
      : []
    const others = findings.flatMap(({ _tag, subject }) =>
      _tag === "IndexMissing"
        ? [withDriver(bringBack)]
        : _tag === "TranscriptTorn"
          ? [withDriver((opened) => cutTail(opened, subject))]
          : []
    )
    // `sessions.json` first: the store begins with it.
    const results = yield* Effect.forEach([...ofFiles, ...others, ...ofStore], Effect.either)
    const failures = results.filter(Either.isLeft).map(({ left }) => left)
    // What keeps the journal from being opened comes once for each step that needs it.
    return Array.dedupeWith(failures, (a, b) => a.subject === b.subject && a.reason === b.reason)
  }).pipe(Effect.catchTag("SessionStoreError", (error) => Effect.succeed([error])))

const keep = (fs: FileSystem.FileSystem, file: string, lines: ReadonlyArray<string>): Step =>
  setAside(fs, file, Buffer.from(lines.map(LogLine.encode).join(""))).pipe(
    failAs("write", `${journalName}.torn`)
  )

/** What the start of a store mends. */
const startMends: ReadonlySet<Finding["_tag"]> = new Set<Finding["_tag"]>([
  "IndexDamaged",
  "SessionUnlisted",
  "JournalTorn",
  "JournalDamaged",
  "MessagesPending"
])

/** Opens the store and closes it again. */
const recover = (driver: StoreDriver, { cwd, sessionKeyDefaults }: Options): Step =>
  // Compacting would drop lines of a newer version.
  Effect.scoped(
    StoreEngine.make(driver, { cwd, sessionKeyDefaults, compactJournalAbove: Number.POSITIVE_INFINITY })
  )

const cutTail = ({ transcripts }: StoreDriver, subject: string): Step =>
  Effect.flatMap(transcripts.locate(subject), (file) =>
    Effect.zipRight(TranscriptRepair.cutTail(transcripts, file), transcripts.sync(file))
  )

/** The last good version of `sessions.json` takes its place. */
const bringBack = ({ index }: StoreDriver): Step =>
  Effect.flatMap(
    index.backup,
    Option.match({
      onNone: () => Effect.void,
      onSome: (bytes) =>
        Effect.all([index.stage([bytes]), index.publish(false), index.secure], { discard: true })
    })
  )
