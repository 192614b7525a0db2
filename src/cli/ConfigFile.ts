/** The config file: one JSON object, setting's key → value. */
import { FileSystem } from "@effect/platform"
import { Effect, Option, Record } from "effect"
import type { SettingProblem } from "./SettingsError.js"

export interface ConfigFile {
  readonly path: string
  /** Values as texts, as in a flag: strings as they are, everything else as JSON. */
  readonly values: Readonly<Record<string, string>>
  /** Why it can't be used. */
  readonly problem: Option.Option<SettingProblem & { readonly missing: boolean }>
}

export const read = (path: string): Effect.Effect<ConfigFile, never, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    return values(yield* fs.readFileString(path))
  }).pipe(
    Effect.match({
      onSuccess: (found): ConfigFile => ({ path, values: found, problem: Option.none() }),
      onFailure: (error): ConfigFile => ({
        path,
        values: {},
        problem: Option.some(
          typeof error === "string"
            ? { where: path, message: error, missing: false }
            : error._tag === "SystemError" && error.reason === "NotFound"
              ? { where: path, message: "there is no such config file", missing: true }
              : { where: path, message: `the config file can't be read: ${error.message}`, missing: false }
        )
      })
    })
  )
