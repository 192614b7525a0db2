/** `colloquy call METHOD JSON`: any method of the gateway. */
import type { FileSystem, Path, Terminal } from "@effect/platform"
import { Effect, Either, Option, Schema } from "effect"
import { allScopes } from "../auth/Principal.js"
import { CliError, exitCodes, failed } from "./CliError.js"
import * as Input from "./Input.js"
import { nearest } from "./Nearest.js"
import * as Output from "./Output.js"
import * as Remote from "./Remote.js"
import type * as Settings from "./Settings.js"
import type { SettingsError } from "./SettingsError.js"

export interface Request {
  readonly method: string
  /** JSON; `-`: standard input has it. Absent: `{}`. */
  readonly params: Option.Option<string>
  readonly url: Option.Option<string>
}

const parse = Schema.decodeUnknownEither(Schema.parseJson())

/** Prints the answer as JSON. An error of the gateway goes to standard error, with its code. */
export const call = (
  { method, params, url }: Request,
  flags: Settings.Flags
): Effect.Effect<void, CliError | SettingsError, FileSystem.FileSystem | Path.Path | Terminal.Terminal> =>
  Effect.gen(function* () {
    const text = Option.contains(params, "-") ? yield* Input.all : Option.getOrElse(params, () => "{}")
    const value = parse(text)
    if (Either.isLeft(value)) {
      return yield* new CliError({
        message: `the parameters: expected JSON, such as '{"sessionKey":"main"}'; found ${JSON.stringify(text.slice(0, 80))}`,
        exitCode: exitCodes.usage
      })
    }
    return yield* Remote.ask(url, flags, allScopes, (client) =>
      Effect.gen(function* () {
        const answer = yield* client
          .request(method, value.right)
          .pipe(
            Effect.catchTag("RequestFailed", ({ error }) =>
              Effect.flatMap(hint(client, method), (more) => failed(`${error.code}: ${error.message}${more}`))
            )
          )
        yield* Output.printJson(answer)
      })
    )
  })

/** What may have been meant by a method that there is not. */
const hint = (client: Parameters<Parameters<typeof Remote.ask>[3]>[0], method: string) =>
  Effect.map(client.open, ({ features: { methods } }) =>
    methods.includes(method)
      ? ""
      : Option.match(nearest(method, methods), {
          onNone: () => `. There are: ${methods.join(", ")}`,
          onSome: (candidate) => `. Did you mean ${candidate}?`
        })
  )
