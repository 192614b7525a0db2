/** Input: what commands read from standard input and from files. */
import { FileSystem, Path } from "@effect/platform"
import { Effect, Encoding } from "effect"
import type { AttachmentParam } from "../protocol/Chat.js"
import { type CliError, failed } from "./CliError.js"
import { codeOf } from "./SystemCode.js"
import { visible } from "./Visible.js"

/** No gateway takes as much in one frame. */
const longest = 64 * 1024 * 1024

/** Is there somebody at the keyboard? */
// Of a pipe it is undefined, whatever the types say.
export const isTerminal = (): boolean => Boolean(process.stdin.isTTY)

/** Standard input, to its end. */
export const all: Effect.Effect<string, CliError> = Effect.async((resume) => {
  const { stdin } = process
  const pieces: Array<Buffer> = []
  let bytes = 0
  const onData = (piece: Buffer): void => {
    pieces.push(piece)
    bytes += piece.length
    if (bytes <= longest) return
    stop()
    resume(failed(`standard input has more than ${longest} bytes; no gateway takes as much.`))
  }
  const onEnd = (): void => {
    stop()
    resume(Effect.succeed(Buffer.concat(pieces).toString("utf8")))
  }
  const onError = (error: Error): void => {
    stop()
    resume(failed(`standard input can't be read (${error.message}).`))
  }
  const stop = (): void => {
    stdin.off("data", onData).off("end", onEnd).off("error", onError).pause()
  }
  stdin.on("data", onData).on("end", onEnd).on("error", onError)
  return Effect.sync(stop)
})

/** An image that goes with a message. What it is and whether it is one, the gateway says. */
export const image = (
  file: string
): Effect.Effect<AttachmentParam, CliError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const bytes = yield* fs
      .readFile(file)
      .pipe(
        Effect.mapError((error) => failed(`the image ${visible(file)} can't be read (${codeOf(error)}).`))
      )
    return { type: "image", fileName: path.basename(file), content: Encoding.encodeBase64(bytes) }
  })
