/**
 * PrincipalsEdit: changes the principals file, one change at a time, whoever else does so on this machine or a shared disk.
 * The file is whole at any moment: a change is staged beside it, made durable and put in its place.
 */
import { FileSystem, Path } from "@effect/platform"
import { Duration, Effect, Option, Schedule } from "effect"
import * as CryptoRandom from "../../auth/CryptoRandom.js"
import * as PrincipalsDocument from "../../auth/PrincipalsDocument.js"
import * as PrincipalsFile from "../../auth/PrincipalsFile.js"
import * as Disk from "../../journal/Disk.js"
import * as StateLock from "../../session/StateLock.js"
import { type CliError, failed } from "../CliError.js"
import { codeOf } from "../SystemCode.js"

type Document = PrincipalsDocument.PrincipalsDocument

/** How long another change may take that is under way. */
const patience = Duration.seconds(15)
const askEvery = Duration.millis(60)

/** The document; an empty one when there is no file. */
export const read = (file: string): Effect.Effect<Document, CliError, FileSystem.FileSystem> =>
  PrincipalsFile.read(file).pipe(
    Effect.map(Option.getOrElse(() => PrincipalsDocument.empty)),
    Effect.mapError((error) => failed(`${error.message}.`))
  )

/** Changes the document and gives what the change gave. When it fails, the file is as it was. */
export const edit = <A>(
  file: string,
  change: (document: Document) => Effect.Effect<{ readonly document: Document; readonly result: A }, CliError>
): Effect.Effect<A, CliError, FileSystem.FileSystem | Path.Path> =>
  Effect.scoped(
    Effect.gen(function* () {
      yield* lock(file)
      const { document, result } = yield* Effect.flatMap(read(file), change)
      yield* write(file, PrincipalsDocument.render(document))
      return result
    })
  )

/**
 * A lock of the same make as that of a state directory, in a hidden directory beside the file: one whose holder is gone is
 * taken over, and never by two.
 */
const lock = (file: string) =>
  Effect.gen(function* () {
    const path = yield* Path.Path
    const directory = path.join(path.dirname(file), `.${path.basename(file)}.lock`)
    yield* StateLock.acquire(directory).pipe(
      Effect.retry({
        schedule: Schedule.intersect(
          Schedule.jittered(Schedule.spaced(askEvery)),
          Schedule.recurUpTo(patience)
        ),
        while: (error) => error._tag === "StateDirLocked"
      }),
      Effect.mapError((error) =>
        error._tag === "StateDirLocked"
          ? failed(
              `the principals file ${file} is being changed by process ${error.pid} on ${error.host}, since ${error.since}. Nothing was changed.`
            )
          : failed(`the principals file ${file} can't be changed (${error.reason}).`)
      )
    )
  })

const write = (file: string, text: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    // A link stays one: what it leads to is replaced.
    const target = yield* Effect.orElseSucceed(fs.realPath(file), () => file)
    const staged = `${target}.${(yield* CryptoRandom.makeToken).slice(0, 8)}.tmp`
    yield* Effect.scoped(
      Effect.gen(function* () {
        const handle = yield* fs.open(staged, { flag: "wx", mode: 0o600 })
        yield* handle.writeAll(new TextEncoder().encode(text))
        yield* handle.sync
      })
    ).pipe(
      Effect.zipRight(fs.rename(staged, target)),
      Effect.ensuring(Effect.ignore(fs.remove(staged, { force: true }))),
      Effect.zipRight(Disk.syncDirectory(fs, path.dirname(target))),
      Effect.mapError((error) => failed(`the principals file ${file} can't be written (${codeOf(error)}).`))
    )
  })
