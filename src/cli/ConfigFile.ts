/** The config file: one JSON object, setting's key → value. */
import { FileSystem } from "@effect/platform"
import { Effect, Either, Option, Predicate } from "effect"
import type { SettingProblem } from "./SettingsError.js"
import { codeOf } from "./SystemCode.js"

export interface ConfigFile {
  readonly path: string
  readonly values: Readonly<Record<string, unknown>>
  /** Why it can't be used. */
  readonly problem: Option.Option<SettingProblem & { readonly missing: boolean }>
}

export const read = (path: string): Effect.Effect<ConfigFile, never, FileSystem.FileSystem> => {
  const unusable = (message: string, missing = false): ConfigFile => ({
    path,
    values: {},
    problem: Option.some({ where: path, message, missing })
  })
  return Effect.flatMap(FileSystem.FileSystem, (fs) => fs.readFileString(path)).pipe(
    Effect.match({
      onFailure: (error) =>
        ["ENOENT", "ENOTDIR"].includes(codeOf(error))
          ? unusable("there is no such config file", true)
          : unusable(`the config file can't be read (${codeOf(error)})`),
      onSuccess: (text) =>
        Either.match(parse(text), {
          onLeft: (message) => unusable(message),
          onRight: (values): ConfigFile => ({ path, values, problem: Option.none() })
        })
    })
  )
}

// What the parser says is not passed on: it quotes the file, and the token may be in it.
const parse = (text: string): Either.Either<Readonly<Record<string, unknown>>, string> =>
  Either.try({
    try: (): unknown => JSON.parse(text.replace(/^\uFEFF/, "")),
    catch: (error) => `the config file must be JSON${placeOf(error, text)}`
  }).pipe(Either.filterOrLeft(Predicate.isReadonlyRecord, () => "the config file must hold one JSON object"))

const placeOf = (error: unknown, text: string): string => {
  const position = /at position (\d+)/.exec(error instanceof Error ? error.message : "")?.[1]
  return position === undefined ? "" : ` (line ${text.slice(0, Number(position)).split("\n").length})`
}
