/** Tls: a certificate and its key, read from files, and read again when these change. */
import { createSecureContext, type SecureContextOptions } from "node:tls"
import { FileSystem } from "@effect/platform"
import { Duration, Effect, Either, Option, Schema } from "effect"

/** Paths of PEM files. */
export interface TlsFiles {
  /** The certificate, and behind it those that vouch for it. */
  readonly cert: string
  readonly key: string
}

/** The pair can't be used. `file` is which of the two, or both where they don't fit. */
export class TlsError extends Schema.TaggedError<TlsError>()("TlsError", {
  file: Schema.String,
  reason: Schema.String
}) {}

/** What a server is given. */
export interface Pair {
  readonly cert: string
  readonly key: string
  readonly minVersion: "TLSv1.2"
}

/** How often it is looked whether the files have changed. */
const interval = Duration.seconds(2)

const read = (file: string): Effect.Effect<string, TlsError, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) =>
    Effect.mapError(
      fs.readFileString(file),
      (error) => new TlsError({ file, reason: error._tag === "SystemError" ? error.reason : error.message })
    )
  )

/**
 * Reads the pair, and tries each file alone and then whether they fit. An empty file has to be told apart: one that is just being
 * written is empty, and for OpenSSL it is no certificate instead of a wrong one, with which nobody could connect. The error says
 * nothing of what is in the key.
 */
const load = (files: TlsFiles): Effect.Effect<Pair, TlsError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const cert = yield* read(files.cert)
    const key = yield* read(files.key)
    yield* attempt({ cert }, cert, files.cert, "it is no certificate in PEM form that can be used")
    yield* attempt(
      { key },
      key,
      files.key,
      "it is no key in PEM form and without a password that can be used"
    )
    const pair: Pair = { cert, key, minVersion: "TLSv1.2" }
    yield* attempt(pair, cert, `${files.cert} and ${files.key}`, "they do not belong together")
    return pair
  })

/** Whether OpenSSL takes it. Of its error only the code is told: a name such as ERR_SSL_EE_KEY_TOO_SMALL. */
const attempt = (
  options: SecureContextOptions,
  text: string,
  file: string,
  reason: string
): Effect.Effect<void, TlsError> =>
  text.trim() === ""
    ? Effect.fail(new TlsError({ file, reason: "it is empty" }))
    : Effect.try({
        try: () => void createSecureContext(options),
        catch: (error) => new TlsError({ file, reason: `${reason} (${codeOf(error)})` })
      })

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error ? String(error.code) : "no code"

/** Changes whenever one of the files does; a file that is not there is different from any that is. */
const stamp = (files: TlsFiles): Effect.Effect<string, never, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) =>
    Effect.map(
      Effect.forEach([files.cert, files.key], (file) => Effect.option(fs.stat(file))),
      (found) =>
        found
          .map(
            Option.match({
              onNone: () => "none",
              onSome: ({ ino, mtime, size }) =>
                `${Option.getOrElse(ino, () => 0)} ${Option.match(mtime, { onNone: () => 0, onSome: (at) => at.getTime() })} ${size}`
            })
          )
          .join("; ")
    )
  )

/** A pair that is in use. */
export interface Certificate {
  readonly pair: Pair
  /** Gives each new pair to `use`, for ever. */
  readonly watch: (use: (pair: Pair) => void) => Effect.Effect<never, never, FileSystem.FileSystem>
}

export const open = (files: TlsFiles): Effect.Effect<Certificate, TlsError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    // Before the files are read: what changes while they are being read is seen later.
    const seen = yield* stamp(files)
    const pair = yield* load(files)
    return { pair, watch: (use) => watch(files, seen, use) }
  })

/**
 * A pair that can't be used is told in the log, once, and the one before stays in use: the two files are seldom replaced in the
 * same moment. It is tried again until it can be used, since not all that mends it (rights, say) shows in what is looked at.
 */
const watch = (
  files: TlsFiles,
  first: string,
  use: (pair: Pair) => void
): Effect.Effect<never, never, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    let inUse = first
    let told = ""
    while (true) {
      yield* Effect.sleep(interval)
      const now = yield* stamp(files)
      if (now === inUse) continue
      const loaded = yield* Effect.either(load(files))
      if (Either.isRight(loaded)) {
        use(loaded.right)
        inUse = now
        yield* Effect.logInfo("the TLS certificate was read again")
        continue
      }
      const { file, reason } = loaded.left
      const problem = `${now} ${file} ${reason}`
      if (problem === told) continue
      told = problem
      yield* Effect.logWarning(
        `the new TLS certificate can't be used (${file}: ${reason}); the one before stays`
      )
    }
  })
