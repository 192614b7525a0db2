/** Confirm: asks before something is done that can't be undone. */
import * as Prompt from "@effect/cli/Prompt"
import type { Terminal } from "@effect/platform"
import { Effect } from "effect"
import { CliError, exitCodes, failed } from "./CliError.js"
import * as Input from "./Input.js"

/** Goes on with a yes, or with `--yes`. */
export const confirm = (
  question: string,
  isSure: boolean
): Effect.Effect<void, CliError, Terminal.Terminal> =>
  isSure
    ? Effect.void
    : Input.isTerminal()
      ? Prompt.confirm({ message: question, initial: false }).pipe(
          Effect.catchTag("QuitException", () => new CliError({ message: "", exitCode: 130 })),
          Effect.flatMap((yes) => (yes ? Effect.void : failed("nothing was changed.")))
        )
      : new CliError({
          message: `${question} There is nobody to ask: say --yes.`,
          exitCode: exitCodes.usage
        })
