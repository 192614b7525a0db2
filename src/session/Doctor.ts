/**
 * Doctor: looks at a state directory and says what it finds. It changes nothing, takes no lock, and looks also while a
 * gateway is at work there: what that one is just writing is no damage.
 *
 * What is read first is what is written first, so that nothing that comes meanwhile seems to be missing: the names of
 * files, then the journal, then `sessions.json`, then the transcripts, then the images that those refer to.
 */
import type { FileSystem, Path } from "@effect/platform"
import { Effect, Either, Option } from "effect"
import type { SessionStoreError } from "../domain/SessionError.js"
import type { SessionKeyDefaults } from "../domain/SessionKey.js"
import { fileName as journalName } from "../journal/RunJournal.js"
import { Finding } from "./DoctorFinding.js"
import * as DoctorImages from "./DoctorImages.js"
import * as DoctorIndex from "./DoctorIndex.js"
import * as DoctorJournal from "./DoctorJournal.js"
import * as DoctorSite from "./DoctorSite.js"
import * as DoctorTranscripts from "./DoctorTranscripts.js"
import { fileName as indexName } from "./StoreIndex.js"

export interface Options {
  readonly stateDir: string
  /** How keys in `sessions.json` that are not canonical are understood. */
  readonly sessionKeyDefaults: SessionKeyDefaults
  /** Told of each block of a transcript that was read. Default: nobody is. */
  readonly onProgress?: (progress: DoctorTranscripts.Progress) => Effect.Effect<void>
}

export interface Report {
  readonly findings: ReadonlyArray<Finding>
  /** Lines of the journal that this version does not know: a repair keeps them. */
  readonly foreign: ReadonlyArray<string>
}

/** Never fails: what can't be read is a finding. A lock whose holder can't be seen from here is watched for some seconds. */
export const examine = (options: Options): Effect.Effect<Report, never, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const entered = yield* DoctorSite.enter(options.stateDir)
    if (Option.isNone(entered.site)) return { findings: entered.findings, foreign: [] }
    const site = entered.site.value
    const journal = yield* examineJournal(site)
    const index = yield* examineIndex(site, options.sessionKeyDefaults, journal)
    const transcripts = yield* DoctorTranscripts.examine({
      site,
      sessions: index.sessions,
      entries: journal.entries,
      journalFiles: journal.files,
      onProgress: options.onProgress ?? (() => Effect.void)
    })
    const images = yield* DoctorImages.examine(site, [...journal.images, ...transcripts.images])
    const files = yield* DoctorSite.examineFiles(site, transcripts.ours)
    const findings = [
      ...entered.findings,
      ...index.findings,
      ...journal.findings,
      ...transcripts.findings,
      ...images,
      ...files
    ]
    const isUsable = findings.every(({ _tag }) => _tag !== "Unusable" && _tag !== "OpenToOthers")
    return {
      findings: isUsable ? [Finding.DirectorySound({ subject: "." }), ...findings] : findings,
      foreign: journal.foreign
    }
  })

/** The bytes of a file; none when it is not there. */
const read = (site: DoctorSite.Site, name: string) =>
  DoctorSite.readFile(site, name, (file) => site.fs.readFile(file))

const examineJournal = (site: DoctorSite.Site): Effect.Effect<DoctorJournal.Examined> =>
  read(site, journalName).pipe(
    Effect.map(
      Option.match({
        onNone: () => ({
          ...DoctorJournal.nothing,
          findings: site.names.includes(indexName) ? [Finding.JournalMissing({ subject: journalName })] : []
        }),
        onSome: (bytes) => DoctorJournal.examine(bytes, site.isRunning)
      })
    ),
    Effect.catchAll((error) => Effect.succeed({ ...DoctorJournal.nothing, findings: cantRead(error) }))
  )

const cantRead = (error: SessionStoreError): ReadonlyArray<Finding> => [DoctorSite.unusable(error)]

const examineIndex = (site: DoctorSite.Site, defaults: SessionKeyDefaults, journal: DoctorJournal.Examined) =>
  Effect.gen(function* () {
    const backup = yield* Effect.either(examineOne(site, `${indexName}.bak`, defaults))
    const good = Option.filter(Option.flatten(Either.getRight(backup)), ({ damage }) => damage === undefined)
    const backupEntries = Option.getOrUndefined(Option.map(good, ({ entries }) => entries))
    const index = yield* Effect.either(examineOne(site, indexName, defaults))
    const found = Either.match(index, {
      onLeft: (error) => ({ ...DoctorIndex.nothing, findings: cantRead(error) }),
      onRight: Option.getOrElse(() => ({
        ...DoctorIndex.nothing,
        findings: [missing(site, backupEntries)]
      }))
    })
    const damage =
      found.damage === undefined
        ? []
        : [Finding.IndexDamaged({ subject: indexName, reason: found.damage, backupEntries })]
    // The last good version says whose the transcripts are, as long as there is no other.
    const isLost = Either.isLeft(index) || Option.isNone(index.right) || found.damage !== undefined
    const used = isLost ? Option.getOrElse(good, () => found) : found
    const unlisted = site.isRunning || Either.isLeft(index) ? [] : unlistedIn(journal, used)
    return {
      sessions: used.sessions,
      findings: [...found.findings, ...damage, ...ofBackup(backup), ...unlisted]
    }
  })

const examineOne = (site: DoctorSite.Site, name: string, defaults: SessionKeyDefaults) =>
  Effect.map(
    read(site, name),
    Option.map((bytes) => DoctorIndex.examine(bytes, defaults))
  )

const ofBackup = (
  backup: Either.Either<Option.Option<DoctorIndex.Examined>, SessionStoreError>
): ReadonlyArray<Finding> => {
  if (Either.isLeft(backup)) return cantRead(backup.left)
  const damage = Option.getOrUndefined(backup.right)?.damage
  return damage === undefined ? [] : [Finding.BackupDamaged({ subject: `${indexName}.bak`, reason: damage })]
}

const missing = (site: DoctorSite.Site, backupEntries: number | undefined): Finding => {
  const transcripts = site.names.filter((name) => name.endsWith(".jsonl")).length
  return transcripts === 0 && backupEntries === undefined
    ? Finding.IndexNone({ subject: indexName })
    : Finding.IndexMissing({ subject: indexName, transcripts, backupEntries })
}

const unlistedIn = (
  { entries }: DoctorJournal.Examined,
  { lacks }: DoctorIndex.Examined
): ReadonlyArray<Finding> =>
  Array.from(
    new Map(entries.map(({ sessionId, sessionKey }) => [sessionKey, sessionId])),
    ([key, sessionId]) => ({ key, sessionId })
  )
    .filter(({ key }) => lacks(key))
    .map((session) => Finding.SessionUnlisted({ subject: indexName, ...session }))
