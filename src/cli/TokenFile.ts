/**
 * The token file: the token of a gateway for which none was set, in its state directory, for its owner's eyes only.
 * `serve` makes it, `send` reads it.
 */
import { type Error as PlatformErrors, FileSystem, Path } from "@effect/platform"
import { Effect, Option, Redacted } from "effect"
import { type CliError, failed } from "./CliError.js"
import { codeOf } from "./SystemCode.js"
import * as CryptoRandom from "../auth/CryptoRandom.js"

type PlatformError = PlatformErrors.PlatformError

const fileName = "token"

/** Where it is. */
export const pathIn = (stateDir: string): Effect.Effect<string, never, Path.Path> =>
  Effect.map(Path.Path, (path) => path.join(stateDir, fileName))

/** Reads the token, if there is one. */
export const read = (
  stateDir: string
): Effect.Effect<Option.Option<Redacted.Redacted>, CliError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const file = yield* pathIn(stateDir)
    const text = yield* Effect.asSome(fs.readFileString(file)).pipe(
      Effect.catchIf(isNotFound, () => Effect.succeedNone),
      Effect.mapError((error) => failed(`the token file ${file} can't be read (${codeOf(error)}).`))
    )
    const token = Option.map(text, (found) => found.trim())
    if (Option.exists(token, (found) => !/^\S+$/.test(found))) {
      return yield* failed(`the token file ${file} holds no token. Remove it, and a new one is made.`)
    }
    return Option.map(token, (found) => Redacted.make(found))
  })

/** Reads the token of a state directory that exists, or makes one. */
export const ensure = (
  stateDir: string
): Effect.Effect<Redacted.Redacted, CliError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    yield* tighten(stateDir)
    const found = yield* read(stateDir)
    if (Option.isSome(found)) return found.value
    yield* create(stateDir)
    // Another gateway may have been quicker: what is in the file counts.
    return yield* Effect.flatMap(read(stateDir), (made) =>
      Effect.mapError(made, () => failed(`the token file in ${stateDir} was removed by another program.`))
    )
  })

/** Others could read it: they shall not any more. */
const tighten = (stateDir: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const file = yield* pathIn(stateDir)
    const { mode } = yield* fs.stat(file)
    if ((mode & 0o077) === 0) return
    yield* fs.chmod(file, 0o600)
    yield* Effect.logWarning(
      `Other users could read ${file} (mode ${(mode & 0o777).toString(8)}); now only its owner can. To have a new token made, remove it.`
    )
  }).pipe(
    Effect.catchAll((error) =>
      isNotFound(error)
        ? Effect.void
        : Effect.flatMap(pathIn(stateDir), (file) =>
            Effect.fail(
              failed(
                `other users can read the token file ${file}, and its mode can't be changed (${codeOf(error)}).`
              )
            )
          )
    )
  )

/** Makes the file as a whole or not at all, and never over one that is there. */
const create = (stateDir: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const file = yield* pathIn(stateDir)
    const staged = `${file}.${(yield* CryptoRandom.makeToken).slice(0, 8)}.tmp`
    const token = yield* CryptoRandom.makeToken
    const write = Effect.scoped(
      Effect.gen(function* () {
        const handle = yield* fs.open(staged, { flag: "wx", mode: 0o600 })
        yield* handle.writeAll(new TextEncoder().encode(`${token}\n`))
        yield* handle.sync
      })
    )
    // A link never replaces a file, as a rename would; some file systems have no links.
    const publish = Effect.catchAll(fs.link(staged, file), (error) =>
      isAlreadyThere(error) ? Effect.void : fs.rename(staged, file)
    )
    yield* Effect.zipRight(write, publish).pipe(
      Effect.ensuring(Effect.ignore(fs.remove(staged, { force: true }))),
      Effect.mapError((error) => failed(`the token file ${file} can't be made (${codeOf(error)}).`))
    )
  })

const isNotFound = (error: PlatformError): boolean =>
  error._tag === "SystemError" && error.reason === "NotFound"
const isAlreadyThere = (error: PlatformError): boolean =>
  error._tag === "SystemError" && error.reason === "AlreadyExists"
