/** InputHistory: the lines that were typed in chats, in the state directory, for their owner's eyes only. */
import { FileSystem, Path } from "@effect/platform"
import { Effect, Either, Schema } from "effect"

const fileName = "chat-history"
/** Lines that are kept. */
const max = 1000

/** A line of the file: a JSON string, since what was typed may have several lines. */
const Line = Schema.parseJson(Schema.String)
const decode = Schema.decodeUnknownEither(Line)

export interface InputHistory {
  /** The newest first. */
  readonly lines: ReadonlyArray<string>
  readonly add: (line: string) => Effect.Effect<void>
}

/** What can't be read or written is no reason not to talk: it is logged, at level debug. */
export const open = (
  stateDir: string
): Effect.Effect<InputHistory, never, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const file = (yield* Path.Path).join(stateDir, fileName)
    const text = yield* fs.readFileString(file).pipe(Effect.orElseSucceed(() => ""))
    const rows = text.split("\n").filter((row) => row !== "")
    const kept = rows.slice(-max)
    const lines = kept.flatMap((row) =>
      Either.match(decode(row), { onLeft: () => [], onRight: (line) => [line] })
    )
    const told = Effect.catchAll((error: unknown) =>
      Effect.logDebug("the chat's history can't be kept", error)
    )
    // Twice as long as it is kept before it is cut: not with each start.
    if (rows.length > 2 * max) {
      yield* fs.writeFileString(file, kept.map((row) => `${row}\n`).join(""), { mode: 0o600 }).pipe(told)
    }
    return {
      lines: lines.toReversed(),
      add: (line) =>
        fs
          .makeDirectory(stateDir, { recursive: true, mode: 0o700 })
          .pipe(
            Effect.zipRight(
              fs.writeFileString(file, `${JSON.stringify(line)}\n`, { flag: "a", mode: 0o600 })
            ),
            told
          )
    }
  })
