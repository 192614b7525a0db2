/** Count: a flag that takes a whole number. */
import { Effect, Option } from "effect"
import { CliError, exitCodes } from "./CliError.js"

/** At least 1. */
export const parse = (
  flag: string,
  value: Option.Option<string>,
  absent: number
): Effect.Effect<number, CliError> => {
  if (Option.isNone(value)) return Effect.succeed(absent)
  const text = value.value
  return /^[1-9]\d{0,8}$/.test(text)
    ? Effect.succeed(Number(text))
    : new CliError({
        message: `${flag}: expected a whole number of at least 1; found ${JSON.stringify(text.slice(0, 80))}`,
        exitCode: exitCodes.usage
      })
}
