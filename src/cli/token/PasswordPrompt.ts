/** PasswordPrompt: a password from whoever sits at the terminal, without echo, or from standard input. */
import * as Prompt from "@effect/cli/Prompt"
import type { Terminal } from "@effect/platform"
import { Effect, Redacted } from "effect"
import * as PasswordHash from "../../auth/PasswordHash.js"
import { CliError, failed } from "../CliError.js"

/** Ctrl-C: 128 and the number of SIGINT. */
const interrupted = new CliError({ message: "", exitCode: 130 })

/** Asks twice. Standard input: its first line, of at most 64 KiB. */
export const ask = (name: string): Effect.Effect<Redacted.Redacted, CliError, Terminal.Terminal> =>
  Effect.flatMap(process.stdin.isTTY ? askTwice(name) : firstLine, (password) => {
    const { length } = Redacted.value(password)
    return length < PasswordHash.minLength || length > PasswordHash.maxLength
      ? failed(
          `a password has from ${PasswordHash.minLength} to ${PasswordHash.maxLength} characters; this one has ${length}. Nothing was changed.`
        )
      : Effect.succeed(password)
  })

const askTwice = (name: string) =>
  Effect.gen(function* () {
    const first = yield* Prompt.hidden({ message: `Password for ${name}` })
    const second = yield* Prompt.hidden({ message: "Once more" })
    if (Redacted.value(first) === Redacted.value(second)) return first
    return yield* failed("the two passwords are not the same. Nothing was changed.")
  }).pipe(Effect.catchTag("QuitException", () => interrupted))

const longestInput = 65_536

const firstLine: Effect.Effect<Redacted.Redacted, CliError> = Effect.async((resume) => {
  let text = ""
  const { stdin } = process
  const finish = (): void => {
    stdin.removeAllListeners()
    stdin.destroy()
    resume(Effect.succeed(Redacted.make(text.split(/\r?\n/, 1)[0] ?? "")))
  }
  stdin.setEncoding("utf8")
  stdin.on("data", (chunk) => {
    text += chunk
    if (text.includes("\n") || text.length > longestInput) finish()
  })
  stdin.once("end", finish)
  stdin.once("error", () => resume(failed("the password can't be read from standard input.")))
})
