/**
 * PrincipalsFile: the principals of a file, which may change at any moment: `colloquy token` writes it while a gateway runs,
 * and so may people. It is looked at every 250 ms and at each login.
 */
import { type Error as PlatformErrors, FileSystem } from "@effect/platform"
import { Clock, Duration, Effect, Either, Layer, Option, Schema } from "effect"
import { PrincipalDirectory, make, type Source } from "./PrincipalDirectory.js"
import * as Principals from "./Principals.js"
import * as PrincipalsDocument from "./PrincipalsDocument.js"

/** The file can't be read, or holds no principals. `reason`: what is wrong and where, nothing of what is in it. */
export class PrincipalsUnusable extends Schema.TaggedError<PrincipalsUnusable>()("PrincipalsUnusable", {
  file: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `the principals file ${this.file} can't be used: ${this.reason}`
  }
}

/** The file's document; none: there is no such file. */
export const read = (
  file: string
): Effect.Effect<
  Option.Option<PrincipalsDocument.PrincipalsDocument>,
  PrincipalsUnusable,
  FileSystem.FileSystem
> => Effect.flatMap(FileSystem.FileSystem, (fs) => contentOf(fs, file)).pipe(Effect.flatMap(parse(file)))

const parse = (file: string) => (text: Option.Option<string>) =>
  Either.mapLeft(
    Either.transposeMapOption(text, PrincipalsDocument.parse),
    (error) => new PrincipalsUnusable({ file, reason: error.message })
  )

/** Between two looks at the file. */
const lookEvery = Duration.millis(250)

/**
 * Fails when the file can't be used at the start. Later a file that can't be used changes nothing, and a warning says so: what
 * was in force stays, nobody is let in by it and nobody is put out. A file that is removed puts all of them out.
 */
export const layer = (
  file: string
): Layer.Layer<PrincipalDirectory, PrincipalsUnusable, FileSystem.FileSystem> =>
  Layer.scoped(
    PrincipalDirectory,
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      yield* tighten(fs, file)
      const watched = watch(fs, file)
      // What is noted of the file before it is read is what the next look compares with.
      yield* watched.note
      const first = Option.getOrElse(yield* read(file), () => PrincipalsDocument.empty)
      const directory = yield* make(Principals.make(first), watched.source(Principals.make(first)))
      yield* Effect.forkScoped(Effect.forever(Effect.delay(directory.refresh, lookEvery)))
      return directory
    })
  )

/** A file that was written so shortly before it was read may be written again without another time, in milliseconds. */
const sameTimeMs = 50

/** Looks whether the file is another one, and reads it only then. */
const watch = (fs: FileSystem.FileSystem, file: string) => {
  let stamp: string | undefined
  let content: string | undefined

  const stampOf = Effect.zipWith(fs.stat(file), Clock.currentTimeMillis, (info, now) => {
    const time = Option.getOrUndefined(info.mtime)?.getTime()
    return time === undefined || time > now - sameTimeMs
      ? undefined
      : [time, info.size, info.dev, Option.getOrUndefined(info.ino)].join(" ")
  }).pipe(Effect.catchAll((error) => Effect.succeed(isNotFound(error) ? "missing" : undefined)))

  const contentNow = Effect.either(contentOf(fs, file))

  const source = (first: Principals.Principals): Source => {
    let current = first
    return Effect.gen(function* () {
      const at = yield* stampOf
      if (at !== undefined && at === stamp) return Option.none()
      stamp = at
      const now = yield* contentNow
      if (keyOf(now) === content) return Option.none()
      content = keyOf(now)
      const found = Either.flatMap(now, parse(file))
      if (Either.isLeft(found)) {
        yield* Effect.logWarning(
          `${found.left.message}. Nothing of it is in force: who could log in before still can, and nobody else.`
        )
        return Option.none()
      }
      current = Principals.make(
        Option.getOrElse(found.right, () => PrincipalsDocument.empty),
        current
      )
      yield* Option.isNone(found.right)
        ? Effect.logWarning(`the principals file ${file} was removed: all of its principals are revoked`)
        : Effect.logInfo("the principals file has changed").pipe(
            Effect.annotateLogs({
              file,
              principals: current.byName.size,
              credentials: current.byCredential.size
            })
          )
      return Option.some(current)
    })
  }
  return {
    note: Effect.gen(function* () {
      stamp = yield* stampOf
      content = keyOf(yield* contentNow)
    }),
    source
  }
}

type Content = Either.Either<Option.Option<string>, PrincipalsUnusable>

/** Equal for what is to be taken, and told, once. */
const keyOf = (content: Content): string =>
  Either.match(content, {
    onLeft: ({ message }) => message,
    onRight: Option.match({ onNone: () => "", onSome: (text) => `text ${text}` })
  })

/** The text; none when there is no such file. */
const contentOf = (
  fs: FileSystem.FileSystem,
  file: string
): Effect.Effect<Option.Option<string>, PrincipalsUnusable> =>
  Effect.asSome(fs.readFileString(file)).pipe(
    Effect.catchIf(isNotFound, () => Effect.succeedNone),
    Effect.mapError(
      (error) => new PrincipalsUnusable({ file, reason: `it can't be read (${codeOf(error)})` })
    )
  )

/** Other users could read the hashes of passwords, or write their own: they shall not any more. */
const tighten = (fs: FileSystem.FileSystem, file: string): Effect.Effect<void> =>
  Effect.gen(function* () {
    const mode = Option.map(yield* Effect.option(fs.stat(file)), (info) => info.mode & 0o777)
    if (Option.isNone(mode) || (mode.value & 0o077) === 0) return
    const closed = yield* Effect.isSuccess(fs.chmod(file, 0o600))
    yield* Effect.logWarning(
      `Other users could use the principals file ${file} (mode ${mode.value.toString(8)}); ${closed ? "now only its owner can" : "and its mode can't be changed"}.`
    )
  })

const isNotFound = (error: PlatformErrors.PlatformError): boolean =>
  error._tag === "SystemError" && error.reason === "NotFound"
const codeOf = (error: PlatformErrors.PlatformError): string =>
  error._tag === "SystemError" ? error.reason : error.message
