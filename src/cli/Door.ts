/** Door: who may log in, by the settings. */
import { type FileSystem, Path } from "@effect/platform"
import { Array, Console, Effect, Layer, Option, type Redacted } from "effect"
import * as Authenticator from "../auth/Authenticator.js"
import * as PrincipalsFile from "../auth/PrincipalsFile.js"
import { type CliError, failed } from "./CliError.js"
import type * as Settings from "./Settings.js"
import { type SettingProblem, SettingsError } from "./SettingsError.js"
import * as Urls from "./Urls.js"

/** The principals file of these settings. */
export const principalsFile = ({
  principals,
  stateDir
}: Pick<Settings.Settings, "principals" | "stateDir">): Effect.Effect<string, never, Path.Path> =>
  Effect.map(Path.Path, (path) => Option.getOrElse(principals, () => path.join(stateDir, "principals.json")))

/** Refuses what would let in everybody from everywhere. Nothing is written before. */
export const check = ({ origin, settings }: Settings.Loaded): Effect.Effect<void, SettingsError> => {
  const problems: ReadonlyArray<SettingProblem> =
    settings.auth === "none" && !Urls.isLoopback(settings.host)
      ? [
          {
            where: Option.getOrElse(origin("auth"), () => "auth"),
            message: `none lets in everybody who can reach ${settings.host}, so it goes only with a loopback address, such as --host 127.0.0.1. For the others, make tokens: colloquy token create NAME`
          }
        ]
      : []
  return Array.isNonEmptyReadonlyArray(problems) ? new SettingsError({ problems }) : Effect.void
}

/** `token`: the owner's; none: nobody is asked for one. */
export const layer = (
  settings: Settings.Settings,
  token: Option.Option<Redacted.Redacted>
): Layer.Layer<Authenticator.Authenticator, CliError, FileSystem.FileSystem | Path.Path> =>
  Option.isNone(token)
    ? Authenticator.layerNone
    : Authenticator.layer({ owner: token, maxFailedLogins: settings.gateway.maxFailedLogins }).pipe(
        Layer.provide(
          Layer.unwrapEffect(
            Effect.map(principalsFile(settings), (file) =>
              Layer.mapError(PrincipalsFile.layer(file), (error) => failed(`${error.message}.`))
            )
          )
        )
      )

/** Says that there is no door, on standard error whatever is logged, and in the log. */
export const warn = (settings: Settings.Settings): Effect.Effect<void> =>
  settings.auth === "none"
    ? Effect.zipRight(
        Console.error(`WARNING: ${warning}`),
        Effect.logWarning(warning).pipe(Effect.annotateLogs({ host: settings.host }))
      )
    : Effect.void

const warning =
  "no token is asked for (auth: none). Every program and every user of this machine can read and write all sessions, and use the agents."
