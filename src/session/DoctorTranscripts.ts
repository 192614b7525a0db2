/** DoctorTranscripts: what is in the transcripts of a state directory, and whether anybody names them. Reads only. */
import { Effect, Either, Option } from "effect"
import type { Entry } from "../journal/JournalRecord.js"
import { Finding } from "./DoctorFinding.js"
import type { Referred } from "./DoctorImages.js"
import type { Named } from "./DoctorIndex.js"
import * as DoctorSite from "./DoctorSite.js"
import * as TranscriptHandles from "./TranscriptHandles.js"
import * as TranscriptPath from "./TranscriptPath.js"
import * as TranscriptScan from "./TranscriptScan.js"

export interface Progress {
  /** Transcripts that were read to their end, and how many there are. */
  readonly files: number
  readonly ofFiles: number
  /** What was read so far. */
  readonly bytes: number
}

export interface Wanted {
  readonly site: DoctorSite.Site
  readonly sessions: ReadonlyArray<Named>
  /** Messages of the journal that may not be in their transcripts, and all transcripts that it names. */
  readonly entries: ReadonlyArray<Entry>
  readonly journalFiles: ReadonlySet<string>
  readonly onProgress: (progress: Progress) => Effect.Effect<void>
}

export interface Examined {
  readonly findings: ReadonlyArray<Finding>
  /** Those that are transcripts of ours: somebody names them, or they begin as ours do. */
  readonly ours: ReadonlyArray<string>
  /** The images that messages in those refer to. */
  readonly images: ReadonlyArray<Referred>
}

/** What is known of one file. */
interface Target {
  readonly subject: string
  readonly named: ReadonlyArray<Named>
  readonly pending: ReadonlyArray<Entry>
  readonly isKnown: boolean
}

interface Result {
  readonly findings: ReadonlyArray<Finding>
  readonly isOurs: boolean
  readonly messages: number
  readonly images: ReadonlyArray<Referred>
}

export const examine = (wanted: Wanted): Effect.Effect<Examined> =>
  Effect.gen(function* () {
    const { onProgress, site } = wanted
    const { findings, targets } = sort(wanted)
    const handles = yield* TranscriptHandles.makeIn(site.fs, site.path, site.root)
    let files = 0
    let bytes = 0
    const results = yield* Effect.forEach(
      targets,
      (target) =>
        examineOne(site, handles, target, (read) =>
          Effect.suspend(() => {
            bytes += read
            return onProgress({ files, ofFiles: targets.length, bytes })
          })
        ).pipe(Effect.tap(() => Effect.sync(() => files++))),
      { concurrency: DoctorSite.filesAtOnce }
    )
    const ours = targets.filter((_, at) => results[at]?.isOurs === true).map(({ subject }) => subject)
    const messages = results.reduce((sum, result) => sum + result.messages, 0)
    const read = Finding.TranscriptsRead({ subject: ".", files: targets.length, messages, bytes })
    return {
      findings: [...findings, read, ...results.flatMap((result) => result.findings)],
      ours,
      images: results.flatMap((result) => result.images)
    }
  }).pipe(Effect.scoped)

/** Which files are to be looked at, and what for. */
const sort = ({ entries, journalFiles, sessions, site }: Wanted) => {
  const { names, path, root } = site
  const resolve = (file: string) => TranscriptPath.resolve(path, root, file)
  const findings: Array<Finding> = []
  const named = new Map<string, Array<Named>>()
  for (const session of sessions) {
    Either.match(resolve(session.file), {
      onLeft: (reason) =>
        findings.push(Finding.TranscriptElsewhere({ subject: session.file, name: session.name, reason })),
      onRight: (subject) => add(named, subject, session)
    })
  }
  const pending = new Map<string, Array<Entry>>()
  for (const entry of entries)
    add(
      pending,
      Either.getOrElse(resolve(entry.file), () => entry.file),
      entry
    )
  const known = new Set(Array.from(journalFiles, (file) => Either.getOrElse(resolve(file), () => file)))
  const listed = names.filter((name) => name.endsWith(".jsonl"))
  const targets = Array.from(new Set([...listed, ...named.keys(), ...pending.keys()]), (subject): Target => ({
    subject,
    named: named.get(subject) ?? [],
    pending: pending.get(subject) ?? [],
    isKnown: known.has(subject)
  }))
  return { findings, targets }
}

const add = <A>(map: Map<string, Array<A>>, key: string, value: A): void => {
  const known = map.get(key)
  if (known === undefined) map.set(key, [value])
  else known.push(value)
}

const examineOne = (
  site: DoctorSite.Site,
  handles: TranscriptHandles.TranscriptHandles,
  target: Target,
  onBlock: (bytes: number) => Effect.Effect<void>
): Effect.Effect<Result> =>
  Effect.gen(function* () {
    const { named, pending, subject } = target
    const wanted = new Set<string>(pending.map(({ id }) => id))
    const scanned = yield* DoctorSite.readFile(site, subject, (file) =>
      Effect.scoped(
        Effect.flatMap(handles.read(file), (open) =>
          TranscriptScan.scan(open.file, open.size, wanted, onBlock)
        )
      )
    ).pipe(Effect.either)
    if (Either.isLeft(scanned)) {
      const { left } = scanned
      const elsewhere = named.map(({ name }) =>
        Finding.TranscriptElsewhere({ subject, name, reason: left.reason })
      )
      const isLink = left.reason === TranscriptHandles.linksOut && elsewhere.length > 0
      return { ...nothing, findings: isLink ? elsewhere : [DoctorSite.unusable(left)] }
    }
    const scan = Option.getOrUndefined(scanned.right)
    const lacking = pending.filter(({ id }) => scan?.found.has(id) !== true).length
    const findings: Array<Finding> = []
    // A gateway puts them there at this moment.
    if (lacking > 0 && !site.isRunning) findings.push(Finding.MessagesPending({ subject, count: lacking }))
    if (scan === undefined) {
      // One that the journal has from its first message on comes back as a whole.
      const comesBack = pending.some(({ tail }) => tail === 0)
      if (!comesBack) findings.push(...named.map(({ name }) => Finding.TranscriptMissing({ subject, name })))
      return { ...nothing, findings }
    }
    const isOurs = named.length > 0 || target.isKnown || scan.header !== undefined
    findings.push(...(yield* orphan(site, target)))
    if (isOurs) findings.push(...judge(site, target, scan))
    const images = isOurs ? scan.images.map((reference) => ({ reference, from: subject })) : []
    return { findings, isOurs, messages: scan.messages, images }
  }).pipe(Effect.catchAll((error) => Effect.succeed({ ...nothing, findings: [DoctorSite.unusable(error)] })))

const nothing: Result = { findings: [], isOurs: false, messages: 0, images: [] }

const orphan = (site: DoctorSite.Site, { isKnown, named, subject }: Target) =>
  Effect.map(DoctorSite.statOf(site, subject), (info) =>
    named.length > 0 || isKnown || Option.isNone(info)
      ? []
      : [Finding.Orphan({ subject, ...DoctorSite.sizeOf(info.value) })]
  )

const judge = (
  { isRunning }: DoctorSite.Site,
  { named, subject }: Target,
  { broken, header, long, repeated, size, torn }: TranscriptScan.Scan
): ReadonlyArray<Finding> => {
  const findings: Array<Finding> = []
  const expected = named.map(({ sessionId }) => sessionId)
  // What is broken or cut off is said below.
  const lacksHeader = header === undefined && size > 0 && broken.line !== 1 && torn < size
  if (lacksHeader) findings.push(Finding.HeaderMissing({ subject }))
  if (header !== undefined && expected[0] !== undefined && !expected.includes(header))
    findings.push(Finding.HeaderOther({ subject, expected: expected[0], found: header }))
  if (broken.count > 0)
    findings.push(Finding.LinesBroken({ subject, lines: broken.count, line: broken.line }))
  if (long.count > 0) findings.push(Finding.LinesLong({ subject, lines: long.count, line: long.line }))
  if (torn > 0)
    findings.push(
      isRunning
        ? Finding.BeingWritten({ subject, bytes: torn })
        : Finding.TranscriptTorn({ subject, bytes: torn })
    )
  if (repeated.ids > 0) findings.push(Finding.MessageTwice({ subject, ...repeated }))
  return findings
}
