/** Something that was to be expected went wrong: one message for the user, and how the program ends. */
import { Schema } from "effect"

export class CliError extends Schema.TaggedError<CliError>()("CliError", {
  message: Schema.String,
  exitCode: Schema.Int
}) {}

/** Exit codes. A signal's is 128 and its number. */
export const exitCodes = { failed: 1, usage: 2, readerGone: 141 } as const

/** A failure with exit code 1. */
export const failed = (message: string): CliError => new CliError({ message, exitCode: exitCodes.failed })
