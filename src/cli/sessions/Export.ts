/** `colloquy sessions export`: a session's whole history, oldest first. */
import { FileSystem } from "@effect/platform"
import { Chunk, Effect, Option, Stream } from "effect"
import type * as Client from "../../client/Client.js"
import * as Transcript from "../../client/Transcript.js"
import { CliError, exitCodes, failed } from "../CliError.js"
import * as Output from "../Output.js"
import * as Progress from "../Progress.js"
import * as Remote from "../Remote.js"
import type * as Settings from "../Settings.js"
import { codeOf } from "../SystemCode.js"
import { visible } from "../Visible.js"

export interface Request {
  readonly key: string
  readonly format: Option.Option<string>
  readonly output: Option.Option<string>
  readonly url: Option.Option<string>
}

type Message = Readonly<Record<string, unknown>>

const formats: Readonly<
  Record<string, ((key: string, messages: ReadonlyArray<Message>) => string) | undefined>
> = {
  jsonl: (_key, messages) => messages.map((message) => `${JSON.stringify(message)}\n`).join(""),
  markdown: (key, messages) =>
    [`# ${key}\n`, ...messages.map((message, index) => markdownOf(Transcript.read(message, index)))].join(
      "\n"
    )
}

export const exportSession = (request: Request, flags: Settings.Flags) =>
  Effect.gen(function* () {
    const name = Option.getOrElse(request.format, () => "markdown")
    const format = Object.hasOwn(formats, name) ? formats[name] : undefined
    if (format === undefined) {
      return yield* new CliError({
        message: `--format: expected markdown or jsonl; found ${JSON.stringify(name.slice(0, 80))}`,
        exitCode: exitCodes.usage
      })
    }
    return yield* Remote.ask(request.url, flags, ["operator.read"], (client) =>
      Effect.gen(function* () {
        const messages = yield* Progress.during("Reading the history", history(client, request.key))
        const text = format(request.key, messages)
        if (Option.isNone(request.output)) return yield* Output.print(text)
        yield* write(request.output.value, text)
        yield* Output.printLine(
          `${messages.length} message${messages.length === 1 ? "" : "s"} in ${visible(request.output.value)}.`
        )
      })
    )
  })

const pageSize = 500

/** From the newest page back to the first; a session that ends meanwhile leaves what was read. */
const history = (
  client: Client.ClientShape,
  sessionKey: string
): Effect.Effect<ReadonlyArray<Message>, CliError | Client.CallError> =>
  Stream.paginateEffect(Option.none<string>(), (before) =>
    Effect.gen(function* () {
      const { hasMore, messages, sessionId } = yield* client.call("chat.history", {
        sessionKey,
        limit: pageSize,
        ...(Option.isSome(before) ? { before: before.value } : {})
      })
      if (sessionId === undefined) return yield* failed(`there is no session ${visible(sessionKey)}.`)
      // A line that another program has written may have no id: the next page ends before one that has, and has those, too.
      const start = hasMore ? messages.findIndex(({ id }) => typeof id === "string") : -1
      const oldest = messages[start]?.["id"]
      return typeof oldest === "string"
        ? ([messages.slice(start), Option.some(Option.some(oldest))] as const)
        : ([messages, Option.none()] as const)
    })
  ).pipe(
    Stream.runCollect,
    Effect.map((pages) => Chunk.toReadonlyArray(pages).toReversed().flat())
  )

/** Never over a file that is there. */
const write = (file: string, text: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fs) =>
    fs
      .writeFileString(file, text, { flag: "wx", mode: 0o600 })
      .pipe(
        Effect.mapError((error) =>
          failed(
            error._tag === "SystemError" && error.reason === "AlreadyExists"
              ? `${visible(file)} is there already; nothing was written.`
              : `${visible(file)} can't be written (${codeOf(error)}).`
          )
        )
      )
  )

const headings = { user: "User", assistant: "Assistant", system: "Note" } as const

const markdownOf = (entry: Transcript.Entry): string => {
  const at = entry.timestamp === 0 ? "" : ` (${new Date(entry.timestamp).toISOString()})`
  const ended = entry.errorMessage ?? (entry.stopReason === "aborted" ? "aborted" : undefined)
  const parts = entry.parts.map(partOf).filter((text) => text !== "")
  return [`## ${headings[entry.role]}${at}`, ...parts, ...(ended === undefined ? [] : [`_${ended}_`])]
    .map((block) => `${block}\n`)
    .join("\n")
}

const partOf = (part: Transcript.Part): string => {
  switch (part.kind) {
    case "text":
      return part.text
    case "image":
      return `_image${part.fileName === undefined ? "" : ` ${part.fileName}`}, ${part.mimeType}${part.sha256 === undefined ? "" : `, sha256 ${part.sha256}`}_`
    case "tool":
      return `_tool: ${part.name}_`
    case "thinking":
      return part.text === "" ? "" : `> ${part.text.replaceAll("\n", "\n> ")}`
  }
}
