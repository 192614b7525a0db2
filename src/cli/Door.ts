/** Door: who may log in, by the settings. */
import { type FileSystem, Path } from "@effect/platform"
import { Array, Console, Effect, Either, Layer, Option, type Redacted } from "effect"
import * as Authenticator from "../auth/Authenticator.js"
import * as PrincipalsFile from "../auth/PrincipalsFile.js"
import { type CliError, failed } from "./CliError.js"
import type * as Settings from "./Settings.js"
import { type SettingProblem, SettingsError } from "./SettingsError.js"
import type { TlsFiles } from "../transport/Tls.js"
import { isLoopback } from "../domain/Loopback.js"
import * as TrustedProxies from "../transport/TrustedProxies.js"
import type { ListenOptions } from "../transport/WebSocketTransport.js"

/** The principals file of these settings. */
export const principalsFile = ({
  principals,
  stateDir
}: Pick<Settings.Settings, "principals" | "stateDir">): Effect.Effect<string, never, Path.Path> =>
  Effect.map(Path.Path, (path) => Option.getOrElse(principals, () => path.join(stateDir, "principals.json")))

/** The certificate and its key, if both are set. */
export const tlsOf = ({ tlsCert, tlsKey }: Settings.Settings): Option.Option<TlsFiles> =>
  Option.zipWith(tlsCert, tlsKey, (cert, key) => ({ cert, key }))

/** Where to listen, and whom to let knock. */
export const listenOptions = (settings: Settings.Settings): ListenOptions => ({
  host: settings.host,
  port: settings.port,
  allowedHosts: settings.allowedHosts,
  allowedOrigins: settings.allowedOrigins,
  trustedProxies: Either.getOrElse(TrustedProxies.parse(settings.trustedProxies), () => TrustedProxies.none),
  maxUnauthenticated: settings.maxUnauthenticated,
  maxUnauthenticatedPerAddress: settings.maxUnauthenticatedPerAddress,
  ...Option.match(tlsOf(settings), { onNone: () => ({}), onSome: (tls) => ({ tls }) })
})

/** Refuses what would let in everybody from everywhere, or let everybody listen. Nothing is written before. */
export const check = ({ origin, settings }: Settings.Loaded): Effect.Effect<void, SettingsError> => {
  const { allowPlaintext, auth, host, tlsCert, tlsKey } = settings
  const isOpen = !isLoopback(host)
  const problem = (key: string, message: string): SettingProblem => ({
    where: Option.getOrElse(origin(key), () => key),
    message
  })
  const problems: ReadonlyArray<SettingProblem> = [
    ...(auth === "none" && isOpen
      ? [
          problem(
            "auth",
            `none lets in everybody who can reach ${host}, so it goes only with a loopback address, such as --host 127.0.0.1. For the others, make tokens: colloquy token create NAME`
          )
        ]
      : []),
    ...(Option.isSome(tlsCert) && Option.isNone(tlsKey)
      ? [problem("tlsCert", "expected the key of this certificate, too: --tls-key")]
      : []),
    ...(Option.isSome(tlsKey) && Option.isNone(tlsCert)
      ? [problem("tlsKey", "expected the certificate of this key, too: --tls-cert")]
      : []),
    ...(isOpen && Option.isNone(tlsCert) && Option.isNone(tlsKey) && allowPlaintext !== "yes"
      ? [
          problem(
            "host",
            `${host} can be reached from other machines, and without TLS anybody on the way can read tokens and messages. Give it a certificate (--tls-cert, --tls-key), or listen on 127.0.0.1 behind a proxy that speaks TLS (docs/deployment.md), or, in a network that you trust, say --allow-plaintext yes`
          )
        ]
      : [])
  ]
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
