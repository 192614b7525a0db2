/** The program: a command line, and what it ends with. */
import * as Command from "@effect/cli/Command"
import type * as ValidationError from "@effect/cli/ValidationError"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeTerminal from "@effect/platform-node/NodeTerminal"
import { Array, Cause, Console, Effect, Layer, Logger, Option } from "effect"
import { version } from "../domain/Product.js"
import { CliError, exitCodes } from "./CliError.js"
import * as CryptoRandom from "../auth/CryptoRandom.js"
import * as CommandLine from "./CommandLine.js"
import * as Commands from "./Commands.js"
import * as Help from "./Help.js"
import { SettingsError } from "./SettingsError.js"

const parse = Command.run(Commands.colloquy, { name: "Colloquy", version, executable: "colloquy" })

/** Runs a command line (`process.argv`) and says with which code the program ends. Never fails. */
export const run = (argv: ReadonlyArray<string>): Effect.Effect<number> => {
  const args = argv.slice(2)
  return Effect.gen(function* () {
    if (args.length === 0 || wantsHelp(args)) return yield* Console.log(Help.page(args).trimEnd())
    const problems = CommandLine.check(args)
    if (Array.isNonEmptyReadonlyArray(problems)) return yield* new SettingsError({ problems })
    yield* parse([...argv.slice(0, 2), ...CommandLine.ordered(args)])
  }).pipe(
    Effect.as(0),
    Effect.catchAllCause((cause) => report(cause, args[0])),
    Logger.withMinimumLogLevel(Commands.unsetLogLevel),
    // @effect-diagnostics-next-line strictEffectProvide:off -- the entry point
    Effect.provide(
      Layer.mergeAll(NodeFileSystem.layer, NodePath.layer, NodeTerminal.layer, CryptoRandom.layer)
    )
  )
}

const wantsHelp = (args: ReadonlyArray<string>): boolean => {
  const end = args.indexOf("--")
  return args.slice(0, end < 0 ? args.length : end).some((arg) => arg === "--help" || arg === "-h")
}

/** Tells the user what went wrong. Only a bug is shown with its stack. */
const report = (
  cause: Cause.Cause<CliError | SettingsError | ValidationError.ValidationError>,
  command: string | undefined
): Effect.Effect<number> => {
  const failure = Cause.failureOption(cause)
  if (Option.isNone(failure)) {
    return Effect.as(Console.error(`colloquy: this is a bug.\n${Cause.pretty(cause)}`), exitCodes.failed)
  }
  const error = failure.value
  if (error instanceof CliError) {
    return Effect.as(
      error.message === "" ? Effect.void : Console.error(`colloquy: ${error.message}`),
      error.exitCode
    )
  }
  const hint = `See colloquy ${command !== undefined && CommandLine.isCommand(command) ? `${command} ` : ""}--help`
  return Effect.as(
    // `@effect/cli` has told its own errors already.
    Console.error(error instanceof SettingsError ? `colloquy: ${error.message}\n${hint}` : hint),
    exitCodes.usage
  )
}
