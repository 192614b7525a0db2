/**
 * LockFiles: the lock file of a state directory, and those beside it while the lock of a gateway that is gone is taken
 * over. `StateLock` says what they are for.
 */
import { FileSystem, Path } from "@effect/platform"
import { DateTime, Effect, Option, Schema } from "effect"
import type { SessionStoreError } from "../domain/SessionError.js"
import { failAs, optional } from "../journal/Disk.js"
import { LockOwner } from "./LockOwner.js"

/** The name of the lock file in the state directory. */
export const lockName = "lock"

/** A lock file as it was at one moment. */
export interface Seen {
  /** None: it is empty, half-written, or no lock of ours. */
  readonly owner: Option.Option<LockOwner>
  /** Tells this lock from any other that ever stands under the same name. For use in a file's name. */
  readonly token: string
  /** Milliseconds of whatever clock the file system goes by: only good for telling that it has changed. */
  readonly renewedAt: number | undefined
}

export interface LockFiles {
  readonly look: (name: string) => Effect.Effect<Option.Option<Seen>, SessionStoreError>
  /** Puts our lock under that name, atomically. False: there is one already. */
  readonly create: (name: string) => Effect.Effect<boolean, SessionStoreError>
  /** Puts our lock in the place of `lock`, atomically. Once, behind a `create` that gave true. */
  readonly replace: Effect.Effect<void, SessionStoreError>
  /** A lock that is not there is removed. */
  readonly remove: (name: string) => Effect.Effect<void, SessionStoreError>
  /** Gives `lock` a new time. */
  readonly renew: Effect.Effect<void, SessionStoreError>
  /** Forgets what `create` has put down for itself. */
  readonly clear: Effect.Effect<void, SessionStoreError>
  /** Is the state directory there? */
  readonly isThere: Effect.Effect<boolean>
}

/** More than any lock of ours. */
const longest = 4096

const reading = failAs("read", lockName)
const writing = failAs("write", lockName)
const decode = Schema.decodeOption(Schema.parseJson(LockOwner))

/** Makes the state directory when it is missing. */
export const make = (
  directory: string,
  me: LockOwner
): Effect.Effect<LockFiles, SessionStoreError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    yield* fs
      .makeDirectory(directory, { recursive: true, mode: 0o700 })
      .pipe(failAs("write", path.basename(directory)))
    const at = (name: string): string => path.join(directory, name)
    const staged = at(`${lockName}.${me.id}.tmp`)
    const text = `${JSON.stringify(me)}\n`
    const write = (file: string) => fs.writeFileString(file, text, { flag: "wx", mode: 0o600 })

    // A link to a file that is there is whole from its first moment. Where the file system has no links, the lock is
    // empty for a moment, and that is how whoever finds it so takes it.
    const link = (file: string) =>
      Effect.catchIf(
        fs.link(staged, file),
        (error) => error._tag !== "SystemError" || error.reason !== "AlreadyExists",
        () => write(file)
      )

    return {
      look: (name) => look(fs, at(name)),
      create: (name) => ifNew(write(staged)).pipe(Effect.zipRight(ifNew(link(at(name)))), writing),
      replace: fs.rename(staged, at(lockName)).pipe(writing),
      remove: (name) => fs.remove(at(name), { force: true }).pipe(writing),
      renew: Effect.flatMap(Effect.map(DateTime.now, DateTime.toDateUtc), (now) =>
        fs.utimes(at(lockName), now, now)
      ).pipe(writing),
      clear: fs.remove(staged, { force: true }).pipe(writing),
      isThere: Effect.orElseSucceed(fs.exists(directory), () => false)
    }
  })

/** A lock file as it is now; none when there is none. */
export const look = (
  fs: FileSystem.FileSystem,
  file: string
): Effect.Effect<Option.Option<Seen>, SessionStoreError> =>
  // Opened each time: on a network's file system that is when what others have done is asked for.
  Effect.scoped(
    Effect.gen(function* () {
      const handle = yield* fs.open(file, { flag: "r" })
      const { ino, mtime, size } = yield* handle.stat
      const bytes = Option.getOrElse(yield* handle.readAlloc(longest), () => new Uint8Array())
      const owner = decode(Buffer.from(bytes).toString("utf8"))
      const renewedAt = Option.getOrUndefined(mtime)?.getTime()
      return {
        owner,
        token: Option.match(owner, {
          onNone: () => `${Option.getOrElse(ino, () => 0)}-${size}-${renewedAt}`,
          onSome: ({ id }) => id
        }),
        renewedAt
      }
    })
  ).pipe(optional, reading)

type Attempt = ReturnType<FileSystem.FileSystem["link"]>

/** False when the file is there already. */
const ifNew = (attempt: Attempt) =>
  Effect.catchIf(
    Effect.as(attempt, true),
    (error) => error._tag === "SystemError" && error.reason === "AlreadyExists",
    () => Effect.succeed(false)
  )
