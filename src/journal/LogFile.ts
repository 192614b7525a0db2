/** LogFile: a log in a file of the state directory. Made with mode 0600. */
import type { FileSystem, Path } from "@effect/platform"
import { Effect, Exit, Option, Scope } from "effect"
import { SessionStoreError } from "../domain/SessionError.js"
import { type Durability, failAs, identityOf, optional, readFully, setAside, syncDirectory } from "./Disk.js"
import type { LogDriver } from "./LogDriver.js"

interface Handle {
  readonly file: FileSystem.File
  readonly scope: Scope.CloseableScope
  readonly identity: string
  /** Up to here the file holds what was committed, in bytes. */
  size: number
  /** May there be more behind it, of a write that failed? */
  frayed: boolean
}

export interface Options {
  readonly fs: FileSystem.FileSystem
  readonly path: Path.Path
  /** The directory, and the file's name in it. */
  readonly directory: string
  readonly name: string
  readonly durability: Durability
}

/** Opens the log, making it when it is missing. It is closed with the scope. */
export const make = (options: Options): Effect.Effect<LogDriver, SessionStoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const { directory, durability, fs, name, path } = options
    const file = path.join(directory, name)
    const staged = `${file}.tmp`
    const writing = failAs("write", name)
    const sync = (handle: FileSystem.File) => (durability === "fsync" ? handle.sync : Effect.void)
    const syncNames = durability === "fsync" ? syncDirectory(fs, directory) : Effect.void

    const open = (name: string) =>
      Effect.uninterruptible(
        Effect.flatMap(Scope.make(), (scope) =>
          Effect.gen(function* () {
            const opened = yield* fs.open(name, { flag: "a+", mode: 0o600 })
            const info = yield* opened.stat
            return { file: opened, scope, identity: identityOf(info), size: Number(info.size), frayed: false }
          }).pipe(
            Scope.extend(scope),
            Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
          )
        )
      )
    const close = (handle: Handle) => Scope.close(handle.scope, Exit.void)

    let current: Handle = yield* Effect.zipLeft(open(file), syncNames).pipe(writing)
    yield* Effect.addFinalizer(() => close(current))

    /** Might the name still mean another file after a power cut? */
    let unnamed = false
    const nameIt = Effect.suspend(() =>
      unnamed
        ? Effect.map(syncNames, () => {
            unnamed = false
          })
        : Effect.void
    )

    /** What a write that failed has left must not run into the next one. */
    const mend = Effect.suspend(() => {
      const handle = current
      if (!handle.frayed) return nameIt
      return Effect.zipRight(handle.file.truncate(handle.size), sync(handle.file)).pipe(
        Effect.flatMap(() => {
          handle.frayed = false
          return nameIt
        })
      )
    })

    const truncate = (size: number) =>
      Effect.suspend(() => {
        current.size = size
        current.frayed = true
        return mend
      })

    return {
      read: Effect.suspend(() => readFully(current.file, 0, current.size)).pipe(failAs("read", name)),
      truncate: (size) => writing(truncate(size)),
      setAside: (bytes) => setAside(fs, `${file}.torn`, bytes).pipe(writing),
      append: (bytes) =>
        Effect.suspend(() => {
          const handle = current
          const write = Effect.zipRight(handle.file.writeAll(bytes), sync(handle.file))
          return Effect.zipRight(
            mend,
            Effect.tapErrorCause(write, () => Effect.ignore(truncate(handle.size)))
          ).pipe(
            Effect.map(() => {
              handle.size += bytes.length
            })
          )
        }).pipe(writing),
      isInPlace: fs
        .stat(file)
        .pipe(
          optional,
          Effect.map(Option.exists((info) => identityOf(info) === current.identity)),
          failAs("read", name)
        ),
      stage: (chunks) =>
        Effect.scoped(
          Effect.flatMap(fs.open(staged, { flag: "w", mode: 0o600 }), (handle) =>
            Effect.zipRight(
              Effect.forEach(chunks, (chunk) => handle.writeAll(chunk), { discard: true }),
              sync(handle)
            )
          )
        ).pipe(writing),
      swap: (rest) =>
        Effect.gen(function* () {
          // Whatever can fail comes before the rename: a log whose file has lost its name would take in what is lost then.
          const next = yield* open(staged)
          yield* Effect.gen(function* () {
            if (rest.length > 0) {
              const bytes = Buffer.concat(rest)
              yield* next.file.writeAll(bytes)
              next.size += bytes.length
              yield* sync(next.file)
            }
            yield* fs.rename(staged, file)
            // Some network file systems say so of a rename that they have lost. Not to be told is no sign of that.
            const info = yield* Effect.option(fs.stat(file))
            if (Option.isSome(info) && identityOf(info.value) !== next.identity)
              return yield* new SessionStoreError({
                operation: "write",
                subject: name,
                reason: "could not be replaced"
              })
          }).pipe(Effect.onError(() => close(next)))
          const old = current
          current = next
          unnamed = true
          yield* close(old)
          yield* nameIt
        }).pipe(Effect.uninterruptible, writing)
    }
  })
