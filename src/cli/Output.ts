/** Output: what commands print. What others have written is shown, and does nothing to a terminal. */
import { Terminal } from "@effect/platform"
import { Effect } from "effect"
import { CliError, exitCodes } from "./CliError.js"

/** Writes to standard output, at once. */
export const print = (text: string): Effect.Effect<void, CliError, Terminal.Terminal> =>
  text === ""
    ? Effect.void
    : Effect.flatMap(Terminal.Terminal, (terminal) => terminal.display(text)).pipe(
        // Whoever read it (`| head`) has gone: nothing more to do here, and nobody to tell.
        Effect.mapError(() => new CliError({ message: "", exitCode: exitCodes.readerGone }))
      )

export const printLine = (text: string): Effect.Effect<void, CliError, Terminal.Terminal> =>
  print(`${text}\n`)

export const printJson = (value: unknown): Effect.Effect<void, CliError, Terminal.Terminal> =>
  printLine(JSON.stringify(value, null, 2))

/** Is standard output a terminal? */
// Of a pipe it is undefined, whatever the types say.
export const isTerminal = (): boolean => Boolean(process.stdout.isTTY)

/** May output be coloured? Node heeds NO_COLOR (https://no-color.org), FORCE_COLOR and TERM. */
export const hasColour = (): boolean => isTerminal() && process.stdout.hasColors()

/** Less important. */
export const dim = (text: string): string => (hasColour() ? `\u001b[2m${text}\u001b[22m` : text)
export const bold = (text: string): string => (hasColour() ? `\u001b[1m${text}\u001b[22m` : text)
