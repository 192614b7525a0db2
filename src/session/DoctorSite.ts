/** DoctorSite: the files of a state directory that is examined: which there are, whose, and who may read them. Reads only. */
import { FileSystem, Path } from "@effect/platform"
import { Clock, DateTime, Duration, Effect, Option } from "effect"
import { SessionStoreError } from "../domain/SessionError.js"
import { type Failure, failAs, optional } from "../journal/Disk.js"
import { fileName as journalName } from "../journal/RunJournal.js"
import { Finding } from "./DoctorFinding.js"
import * as ImageFile from "./ImageFile.js"
import * as LockFiles from "./LockFiles.js"
import * as LockOwner from "./LockOwner.js"
import * as LockWatch from "./LockWatch.js"
import { fileName as indexName } from "./StoreIndex.js"

export interface Site {
  readonly fs: FileSystem.FileSystem
  readonly path: Path.Path
  /** The directory's real path. */
  readonly root: string
  /** May other users enter it? */
  readonly isOpen: boolean
  /** Is a gateway at work in it? */
  readonly isRunning: boolean
  /** Everything in it, from there, without what is hidden. */
  readonly names: ReadonlyArray<string>
}

/** What the doctor says of the directory itself. Without a site: there is nothing else that could be looked at. */
export interface Entered {
  readonly site: Option.Option<Site>
  readonly findings: ReadonlyArray<Finding>
}

const here = "."
const othersMode = 0o077

export const enter = (directory: string): Effect.Effect<Entered, never, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const info = yield* fs.stat(directory).pipe(optional, failAs("read", here))
    if (Option.isNone(info)) return only(Finding.DirectoryMissing({ subject: here }))
    if (info.value.type !== "Directory") return only(Finding.NotADirectory({ subject: here }))
    yield* fs.access(directory, { readable: true }).pipe(failAs("read", here))
    const root = yield* fs.realPath(directory).pipe(failAs("read", here))
    const access = yield* Effect.either(fs.access(root, { writable: true }).pipe(failAs("write", here)))
    const isOpen = hasModes && (info.value.mode & othersMode) !== 0
    const lock = yield* examineLock(fs, path, root)
    const listed = yield* list(fs, path, root)
    const findings: ReadonlyArray<Finding> = [
      ...(access._tag === "Left" ? [unusable(access.left)] : []),
      ...(isOpen
        ? [Finding.OpenToOthers({ subject: here, mode: info.value.mode & 0o777, reachable: true })]
        : []),
      ...lock.findings,
      ...listed.findings
    ]
    const { isRunning } = lock
    const site: Site = { fs, path, root, isOpen, isRunning, names: listed.names }
    return { site: Option.some(site), findings: [...findings, ...(yield* lockLeftovers(site))] }
  }).pipe(Effect.catchAll((error) => Effect.succeed(only(unusable(error)))))

const only = (finding: Finding): Entered => ({ site: Option.none(), findings: [finding] })

/** Windows has no such modes. */
const hasModes = process.platform !== "win32"

/** A file could not be read or written. */
export const unusable = ({ operation, reason, subject }: SessionStoreError): Finding =>
  Finding.Unusable({ subject, access: operation, reason })

/** Who holds the directory. One that can't be seen from here is watched for some seconds. */
const examineLock = (fs: FileSystem.FileSystem, path: Path.Path, root: string) =>
  Effect.gen(function* () {
    const subject = LockFiles.lockName
    const { judge } = yield* LockOwner.local
    const look = LockFiles.look(fs, path.join(root, subject))
    for (;;) {
      const seen = Option.getOrUndefined(yield* look)
      if (seen === undefined) return { isRunning: false, findings: [Finding.LockFree({ subject })] }
      const pause = Effect.sleep(LockWatch.lookEvery)
      const verdict = yield* LockWatch.watch({ look, seen, judge, pause, onWait: Effect.void })
      if (verdict === "changed") continue
      const { host, pid, since } = Option.getOrElse(seen.owner, () => nobody)
      return pid !== undefined && host !== undefined && since !== undefined && verdict === "alive"
        ? { isRunning: true, findings: [Finding.GatewayRunning({ subject, pid, host, since })] }
        : { isRunning: false, findings: [Finding.LockStale({ subject, pid, host, since })] }
    }
  })

const nobody: Partial<LockOwner.LockOwner> = {}

/** Nobody takes so long to take a lock, or to make a token, whatever the clocks say. */
const longAgo = Duration.hours(1)

/** Files of takeovers of the lock whose makers are gone. */
const lockLeftovers = ({ fs, names, path, root }: Site) =>
  Effect.gen(function* () {
    const { judge } = yield* LockOwner.local
    const now = yield* Clock.currentTimeMillis
    const found = yield* Effect.forEach(names.filter(isLockFile), (subject) =>
      Effect.gen(function* () {
        const seen = Option.getOrUndefined(yield* LockFiles.look(fs, path.join(root, subject)))
        if (seen === undefined) return []
        const owner = Option.getOrUndefined(seen.owner)
        const verdict = owner === undefined ? "unknown" : yield* judge(owner)
        const age = now - (seen.renewedAt ?? now)
        return verdict === "dead" || (verdict === "unknown" && age > Duration.toMillis(longAgo))
          ? [Finding.LockLeftover({ subject })]
          : []
      }).pipe(Effect.catchAll((error) => Effect.succeed([unusable(error)])))
    )
    return found.flat()
  })

const list = (fs: FileSystem.FileSystem, path: Path.Path, root: string) => {
  const read = (recursive: boolean) => fs.readDirectory(root, { recursive }).pipe(failAs("read", here))
  return read(true).pipe(
    Effect.map((names) => ({ names, findings: new Array<Finding>() })),
    // A directory in it that can't be read, perhaps: what lies above is looked at all the same.
    Effect.catchAll((error) => Effect.map(read(false), (names) => ({ names, findings: [unusable(error)] }))),
    Effect.map(({ findings, names }) => ({
      findings,
      names: names.filter((name) => !name.split(path.sep).some((part) => part.startsWith("."))).toSorted()
    }))
  )
}

const isLockFile = (name: string): boolean => /^lock\.[\w-]+\.(?:tmp|next)$/.test(name)
const isLeftover = (name: string): boolean =>
  name === `${indexName}.tmp` ||
  name === `${indexName}.bak.tmp` ||
  name === `${journalName}.tmp` ||
  ImageFile.isStagedName(name)
const isTokenLeftover = (name: string): boolean => /^(?:token|principals\.json)\.[\w-]{8}\.tmp$/.test(name)
const isKept = (name: string): boolean =>
  name === `${journalName}.torn` ||
  name.endsWith(".jsonl.torn") ||
  isRemoved(name) ||
  name.startsWith(`${indexName}.damaged-`)

/** The transcript of a session that was deleted: kept, and nobody's business any more. */
export const isRemoved = (name: string): boolean => /\.jsonl\.deleted\.[\w.-]+$/.test(name)

/** Files whose names alone say that they are ours. */
const isOurs = (name: string): boolean =>
  [indexName, `${indexName}.bak`, journalName, "token", "principals.json", ImageFile.directory].includes(
    name
  ) ||
  ImageFile.isName(name) ||
  isKept(name) ||
  isLeftover(name) ||
  isTokenLeftover(name)

/** Modes, what was put aside, and what was left behind. `transcripts`: those that are ours. */
export const examineFiles = (
  site: Site,
  transcripts: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<Finding>> =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const names = [...site.names.filter(isOurs), ...transcripts]
    const found = yield* Effect.forEach(names, (name) => examineFile(site, name, now), {
      concurrency: filesAtOnce
    })
    return found.flat()
  })

export const filesAtOnce = 8

const examineFile = (site: Site, subject: string, now: number) =>
  Effect.gen(function* () {
    const file = site.path.join(site.root, subject)
    const info = Option.getOrUndefined(yield* statOf(site, subject))
    const type = subject === ImageFile.directory ? "Directory" : "File"
    if (info?.type !== type) return []
    const { bytes, modifiedAt } = sizeOf(info)
    // Not that of a gateway that is at work, or just starts.
    const isStale = isTokenLeftover(subject)
      ? now - (modifiedAt ?? now) > Duration.toMillis(longAgo)
      : isLeftover(subject) && !site.isRunning
    const findings: Array<Finding> = []
    const access = yield* Effect.either(fsAccess(site.fs, file, subject))
    if (access._tag === "Left") findings.push(unusable(access.left))
    if (hasModes && (info.mode & othersMode) !== 0 && !isStale)
      findings.push(Finding.OpenToOthers({ subject, mode: info.mode & 0o777, reachable: site.isOpen }))
    if (isKept(subject)) findings.push(Finding.Kept({ subject, bytes, modifiedAt }))
    if (isStale) findings.push(Finding.Leftover({ subject, bytes }))
    return findings
  }).pipe(Effect.catchAll((error) => Effect.succeed([unusable(error)])))

const fsAccess = (fs: FileSystem.FileSystem, file: string, subject: string) =>
  fs.access(file, { writable: true }).pipe(optional, failAs("write", subject))

/** None when it is gone by now, and for a link: its modes are those of something else. */
export const statOf = ({ fs, path, root }: Site, subject: string) => {
  const file = path.join(root, subject)
  return Effect.flatMap(Effect.option(fs.readLink(file)), (link) =>
    Option.isSome(link) ? Effect.succeedNone : fs.stat(file).pipe(optional, failAs("read", subject))
  )
}

/** Reads a file, after a look at what it is: a pipe would be waited for. None when there is none. */
export const readFile = <A>(
  { fs, path, root }: Site,
  subject: string,
  use: (file: string) => Effect.Effect<A, Failure>
): Effect.Effect<Option.Option<A>, SessionStoreError> => {
  const file = path.join(root, subject)
  return fs.stat(file).pipe(
    Effect.filterOrFail(
      ({ type }) => type === "File",
      () => new SessionStoreError({ operation: "read", subject, reason: "is not a file" })
    ),
    Effect.zipRight(use(file)),
    optional,
    failAs("read", subject)
  )
}

/** Bytes, and milliseconds since the epoch. */
export const sizeOf = (info: FileSystem.File.Info) => {
  const modified = Option.map(info.mtime, (time) => DateTime.toEpochMillis(DateTime.unsafeMake(time)))
  return { bytes: Number(info.size), modifiedAt: Option.getOrUndefined(modified) }
}
