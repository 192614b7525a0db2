/** Remote: the gateway that a command talks to: where it is, how one logs in, and what went wrong, in words. */
import { Effect, Option, type Redacted, type Scope, Stream } from "effect"
import type { FileSystem, Path, Socket } from "@effect/platform"
import * as Client from "../client/Client.js"
import type { ClientClosed, Refused, Unreachable } from "../client/ClientError.js"
import { isLoopback } from "../domain/Loopback.js"
import { version } from "../domain/Product.js"
import type { Scope as GatewayScope } from "../protocol/Connect.js"
import type { WireError } from "../protocol/Frame.js"
import { CliError, exitCodes, failed } from "./CliError.js"
import * as WebSocketClient from "../transport/WebSocketClient.js"
import * as Invocation from "./Invocation.js"
import * as Logging from "./Logging.js"
import * as Progress from "./Progress.js"
import * as Settings from "./Settings.js"
import type { SettingsError } from "./SettingsError.js"
import * as Signals from "./Signals.js"
import * as TokenFile from "./TokenFile.js"
import * as Urls from "./Urls.js"

export interface Target {
  readonly url: string
  readonly token: Redacted.Redacted | undefined
}

/** `url`: where the gateway is; absent: where `colloquy serve` with these settings listens. */
export const target = (url: Option.Option<string>, { settings }: Settings.Loaded) =>
  Effect.gen(function* () {
    const isTls = Option.isSome(settings.tlsCert) && Option.isSome(settings.tlsKey)
    const own = Urls.gateway(settings.host, settings.port, isTls)
    const wanted = Option.getOrElse(url, () => own)
    const parsed = Urls.parse(wanted)
    if (Option.isNone(parsed)) {
      return yield* new CliError({
        message: `--url: expected the address of a gateway, such as ${own}; found ${Urls.shown(wanted)}`,
        exitCode: exitCodes.usage
      })
    }
    if (Urls.hasSecret(parsed.value)) {
      return yield* new CliError({
        message:
          "--url: expected an address without a token or password in it, since addresses end up in logs and lists of processes. Set the token with COLLOQUY_TOKEN",
        exitCode: exitCodes.usage
      })
    }
    if (Option.isSome(settings.token)) return { url: wanted, token: settings.token.value }
    // The token of the gateway here is not for one elsewhere.
    const local = wanted === own || isLoopback(parsed.value.hostname)
    const token = local ? yield* TokenFile.read(settings.stateDir) : Option.none()
    return { url: wanted, token: Option.getOrUndefined(token) }
  })

/** What a command has that talks to a gateway. */
export interface Talk {
  readonly client: Client.ClientShape
  readonly target: Target
  readonly settings: Settings.Loaded["settings"]
  /** The first SIGINT or SIGTERM; behind it a second one ends the program at once. */
  readonly signal: Effect.Effect<Signals.Signal>
}

/** Logs in, and has `use` talk until it ends. A signal before that ends the program. */
export const talk = <A, E, R>(
  url: Option.Option<string>,
  flags: Settings.Flags,
  scopes: ReadonlyArray<GatewayScope>,
  use: (talk: Talk) => Effect.Effect<A, E, R>
): Effect.Effect<
  A,
  E | CliError | SettingsError,
  FileSystem.FileSystem | Path.Path | Exclude<Exclude<R, Socket.WebSocketConstructor>, Scope.Scope>
> =>
  Effect.scoped(
    Effect.gen(function* () {
      const signal = yield* Signals.listen
      const loaded = yield* Settings.load(flags)
      return yield* Effect.provide(
        Effect.gen(function* () {
          const where = yield* target(url, loaded)
          const client = yield* Effect.raceFirst(
            Progress.during(`Connecting to ${where.url}`, connect(where, scopes)),
            Effect.flatMap(signal, Signals.interrupted)
          )
          return yield* use({ client, target: where, settings: loaded.settings, signal })
        }),
        [Logging.layer(loaded.settings), WebSocketClient.layer]
      )
    })
  )

/** The same, for what is soon done: a signal breaks it off, and a connection that is lost is an error. */
export const ask = <A, R>(
  url: Option.Option<string>,
  flags: Settings.Flags,
  scopes: ReadonlyArray<GatewayScope>,
  use: (client: Client.ClientShape) => Effect.Effect<A, CliError | Client.CallError, R>
) =>
  talk(url, flags, scopes, ({ client, signal, target: where }) =>
    use(client).pipe(
      Effect.mapError((error) => (error instanceof CliError ? error : explain(where)(error))),
      Effect.raceFirst(Effect.flatMap(signal, Signals.interrupted)),
      Effect.raceFirst(lost(client, where))
    )
  )

/** Waits until the connection is lost. */
const lost = (client: Client.ClientShape, { url }: Target): Effect.Effect<never, CliError> =>
  client.statuses.pipe(
    Stream.filterMap((status) => (status._tag === "Waiting" ? Option.some(status.reason) : Option.none())),
    Stream.runHead,
    Effect.flatMap(
      Option.match({
        onNone: () => Effect.never,
        onSome: (reason) => failed(`the connection to ${url} is lost (${reason}).`)
      })
    )
  )

/** Logs in. A gateway that is not there is an error; one that goes away later is waited for. */
export const connect = (
  { token, url }: Target,
  scopes: ReadonlyArray<GatewayScope>
): Effect.Effect<Client.ClientShape, CliError, Scope.Scope | Socket.WebSocketConstructor> =>
  Effect.gen(function* () {
    const client = yield* Client.make({
      url,
      token,
      client: { id: "cli", version, platform: process.platform, mode: "cli" },
      scopes
    })
    const first = yield* client.statuses.pipe(
      Stream.filter(({ _tag }) => _tag !== "Connecting"),
      Stream.runHead,
      Effect.timeoutFail({
        duration: "10 seconds",
        onTimeout: () => failed(`${url} does not answer. Is it a Colloquy gateway?`)
      })
    )
    const status = Option.getOrUndefined(first)
    if (status?._tag === "Refused") return yield* refused(url, status.error)
    if (status?._tag === "Waiting") {
      return yield* failed(
        `no gateway at ${url} (${status.reason}). Start one: ${Invocation.command()} serve. Or name another: --url`
      )
    }
    return client
  })

/** A gateway that does not let us in, in words. */
export const refused = (url: string, error: WireError): CliError =>
  error.message.startsWith("unauthorized")
    ? failed(
        `${url} refuses the token (${error.message}). Pass the one that the gateway shows when it starts: --token or COLLOQUY_TOKEN`
      )
    : failed(`${url} refuses the connection: ${error.message}`)

/** What a request or a run ended with, in words. */
export const explain =
  ({ url }: Target) =>
  (error: Client.CallError | Unreachable | Refused | ClientClosed): CliError => {
    switch (error._tag) {
      case "RequestFailed":
        return failed(error.message)
      case "Refused":
        return refused(url, error.error)
      case "Unreachable":
      case "ConnectionLost":
        return failed(
          `the connection to ${url} is lost (${error.reason === "" ? "no goodbye" : error.reason}); what was asked may have happened.`
        )
      case "ClientClosed":
        return failed(`the connection to ${url} was closed.`)
      case "ProtocolViolation":
        return failed(
          `${url} sent a ${error.subject} that can't be understood (expected ${error.expected}). Is it a Colloquy gateway?`
        )
    }
  }
