/** `colloquy serve`: the gateway as a program. */
import { fileURLToPath } from "node:url"
import { FileSystem, type Path, Terminal } from "@effect/platform"
import { Context, Duration, Effect, Fiber, Layer, LogLevel, Option, Redacted } from "effect"
import type { SessionStoreError, StateDirLocked } from "../domain/SessionError.js"
import * as LoginLink from "../auth/LoginLink.js"
import * as Gateway from "../Gateway.js"
import * as GatewayConfig from "../GatewayConfig.js"
import * as SessionStoreFile from "../session/SessionStoreFile.js"
import { StateLock } from "../session/StateLock.js"
import * as WebSocketTransport from "../transport/WebSocketTransport.js"
import type * as AgentSettings from "./agents/AgentSettings.js"
import { describe } from "./agents/AgentDefinition.js"
import { type CliError, failed } from "./CliError.js"
import * as Door from "./Door.js"
import * as HomePath from "./HomePath.js"
import * as Invocation from "./Invocation.js"
import { isLoopback } from "../domain/Loopback.js"
import * as Logging from "./Logging.js"
import * as Settings from "./Settings.js"
import type { SettingsError } from "./SettingsError.js"
import * as Signals from "./Signals.js"
import { codeOf } from "./SystemCode.js"
import * as TokenFile from "./TokenFile.js"
import * as Urls from "./Urls.js"

/** What closing may take beyond the graces for runs: sockets say goodbye, writes that have begun are finished. */
const closeGrace = Duration.seconds(2)

/** Serves until the first signal, then stops in order. */
export const serve = (
  flags: Settings.Flags
): Effect.Effect<void, CliError | SettingsError, FileSystem.FileSystem | Path.Path | Terminal.Terminal> =>
  Effect.scoped(
    Effect.gen(function* () {
      const signal = yield* Signals.listen
      const { load } = yield* Effect.promise(() => import("./agents/AgentSettings.js"))
      const loaded = yield* load(flags)
      yield* Door.check(loaded)
      // @effect-diagnostics-next-line strictEffectProvide:off -- how to log is known only when the settings are read
      yield* Effect.provide(run(loaded, signal), Logging.layer(loaded.settings))
    })
  )

const run = (loaded: AgentSettings.Loaded, signal: Effect.Effect<Signals.Signal>) =>
  Effect.gen(function* () {
    const { drainGrace, shutdownGrace } = loaded.settings.gateway
    const grace = Duration.sum(Duration.sum(drainGrace, shutdownGrace), closeGrace)
    const gateway = yield* Effect.fork(Effect.scoped(serveUntilLost(loaded)))
    const received = yield* Effect.raceFirst(Fiber.join(gateway), signal)
    yield* Effect.logInfo("stopping").pipe(Effect.annotateLogs({ signal: received }))
    const stopped = yield* Effect.timeoutOption(Effect.disconnect(Fiber.interrupt(gateway)), grace)
    if (Option.isNone(stopped)) {
      return yield* failed(
        `the gateway did not stop within ${Duration.format(grace)}; what was left was cut off.`
      )
    }
    yield* Effect.logInfo("stopped")
  })

/** Ends only by failing. */
const serveUntilLost = (loaded: AgentSettings.Loaded) =>
  Effect.gen(function* () {
    const lock = yield* start(loaded)
    yield* lock.lost
    return yield* lockLost(loaded.settings.stateDir)
  })

/** Starts the gateway; gives the lock that it holds. */
const start = (loaded: AgentSettings.Loaded) =>
  Effect.gen(function* () {
    const { agents, settings } = loaded
    yield* makeStateDir(settings.stateDir)
    const token =
      settings.auth === "none"
        ? Option.none()
        : Option.some(
            Option.isSome(settings.token) ? settings.token.value : yield* TokenFile.ensure(settings.stateDir)
          )
    yield* Door.warn(settings)
    const link = Option.isNone(token) ? undefined : yield* LoginLink.make(token.value)
    const services = yield* Layer.build(gatewayLayer(settings, agents, token, link))
    const address = Context.get(services, WebSocketTransport.Address)
    const agent = nameOf(agents)
    yield* announce(loaded, agent, token, link, address)
    // People have just read that on standard output.
    const startedLevel = Logging.isPretty(settings) ? LogLevel.Debug : LogLevel.Info
    yield* Effect.logWithLevel(startedLevel, "started").pipe(
      Effect.annotateLogs({
        url: address.url,
        agent,
        agents: [...agents.definitions.keys()].join(", "),
        stateDir: settings.stateDir,
        pid: process.pid
      })
    )
    if (!isLoopback(settings.host) && Option.isNone(Door.tlsOf(settings))) {
      yield* Effect.logWarning(
        `The gateway can be reached from other machines (${settings.host}), and what is said is not encrypted: tokens and messages can be read on the way.`
      )
    }
    return Context.get(services, StateLock)
  })

/** Made for its owner only. One that is there stays as it is. */
const makeStateDir = (stateDir: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    yield* fs.makeDirectory(stateDir, { recursive: true, mode: 0o700 }).pipe(
      Effect.zipRight(fs.access(stateDir, { readable: true, writable: true })),
      Effect.mapError((error) =>
        failed(
          `the state directory ${stateDir} can't be used (${codeOf(error)}). Choose another: --state-dir`
        )
      )
    )
  })

/** The default agent in words, and how many there are besides. */
const nameOf = ({ defaultAgentId, definitions }: AgentSettings.Agents): string => {
  const definition = definitions.get(defaultAgentId)
  const kind = definition === undefined ? "" : describe(definition)
  const name = kind === "demo" && definitions.size === 1 ? kind : `${defaultAgentId}, ${kind}`
  return definitions.size === 1 ? name : `${name}; ${definitions.size - 1} more`
}

/** Where the build puts the page, seen from where it puts this. */
const pageDirectory = fileURLToPath(new URL("../web", import.meta.url))

const gatewayLayer = (
  settings: Settings.Settings,
  agents: AgentSettings.Agents,
  token: Option.Option<Redacted.Redacted>,
  link: LoginLink.LoginLink | undefined
) => {
  const { durability, gateway, stateDir } = settings
  return WebSocketTransport.layer({
    ...Door.listenOptions(settings),
    page: pageDirectory,
    ...(link === undefined ? {} : { loginLink: link })
  }).pipe(
    Layer.mapError((error) => explain(error, settings)),
    Layer.provide(Gateway.layer),
    Layer.provide(agentLayer(agents)),
    Layer.provide(Door.layer(settings, token)),
    Layer.provideMerge(
      Layer.mapError(
        SessionStoreFile.layer({ stateDir, durability, sessionKeyDefaults: gateway, cwd: process.cwd() }),
        explainStore(stateDir)
      )
    ),
    Layer.provide(GatewayConfig.layer(gateway))
  )
}

const agentLayer = (agents: AgentSettings.Agents) =>
  Layer.unwrapEffect(
    Effect.map(
      Effect.promise(() => import("./agents/AgentKinds.js")),
      ({ layer }) => Layer.mapError(layer(agents), (error) => failed(error.message))
    )
  )

/** Why the state directory can't be used, and what to do. */
const explainStore =
  (stateDir: string) =>
  (error: SessionStoreError | StateDirLocked): CliError =>
    error._tag === "StateDirLocked"
      ? failed(
          `the state directory ${stateDir} is in use by another gateway: process ${error.pid} on ${error.host}, since ${error.since}. Stop that one, or choose another: --state-dir`
        )
      : failed(
          `the session store in ${stateDir} can't ${error.operation} ${error.subject} (${error.reason}).`
        )

const lockLost = (stateDir: string): CliError =>
  failed(
    `the lock of the state directory ${stateDir} is lost: its file was removed, or another gateway has taken it over. Stopped, so that no two write there.`
  )

/** Why an address can't be listened on, and what to do. */
const explain = (
  error: WebSocketTransport.ListenError | WebSocketTransport.TlsError,
  settings: Settings.Settings
): CliError => {
  if (error._tag === "TlsError") {
    return failed(`TLS can't be spoken with ${error.file}: ${error.reason}. See --tls-cert and --tls-key`)
  }
  const { code, host, port } = error
  switch (code) {
    case "EADDRINUSE":
      return failed(
        `port ${port} on ${host} is taken: another gateway or another program listens there. Stop it, or choose another port: --port ${port === 65_535 ? port - 1 : port + 1} (0: any free one)`
      )
    case "EACCES":
      return failed(
        `port ${port} on ${host} is not for this user (EACCES). Choose one above 1023: --port ${Settings.program.port.about.default}`
      )
    case "EADDRNOTAVAIL":
      return failed(
        `${host} is no address of this machine. Choose another: --host ${Settings.program.host.about.default}`
      )
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return failed(
        `the host name ${settings.host} is not known. Choose another: --host ${Settings.program.host.about.default}`
      )
    default:
      return failed(`port ${port} on ${host} can't be listened on (${code}). Choose others: --host, --port`)
  }
}

/** Two or three lines that say where to connect. */
const announce = (
  { origin, settings }: Settings.Loaded,
  agent: string,
  token: Option.Option<Redacted.Redacted>,
  link: LoginLink.LoginLink | undefined,
  address: WebSocketTransport.AddressShape
) =>
  Effect.gen(function* () {
    const terminal = yield* Terminal.Terminal
    const given = origin("token")
    const url = Urls.gateway(settings.host, address.port, Option.isSome(Door.tlsOf(settings)))
    const lines = [
      `Colloquy listens on ${url} (agent: ${agent}, state: ${HomePath.shorten(settings.stateDir)})`,
      Option.match(token, {
        onNone: () => "Token: none is asked for",
        onSome: (secret) =>
          Option.match(given, {
            onNone: () => `Token: ${Redacted.value(secret)}`,
            // Whoever has set it knows it, and a log may be read by others.
            onSome: (where) => `Token: as set by ${where}`
          })
      }),
      `Open: ${pageOf(url, link, given)}`,
      `Try: ${Invocation.command()} send${sendFlags(settings, origin, url)} "hello"`
    ]
    // That nobody reads this is no reason to stop.
    yield* Effect.ignore(terminal.display(`${lines.join("\n")}\n`))
  })

/**
 * The address of the page. A link that logs in once is shown where the token would be shown, too, and on a terminal: what is
 * written there is in no log.
 */
const pageOf = (url: string, link: LoginLink.LoginLink | undefined, given: Option.Option<string>): string => {
  const page = `${url.replace(/^ws/, "http")}/`
  return link === undefined || (Option.isSome(given) && !process.stdout.isTTY)
    ? page
    : `${page}#code=${Redacted.value(link.code)}`
}

/** The flags without which `colloquy send` in another terminal would look elsewhere. */
const sendFlags = (settings: Settings.Settings, origin: Settings.Loaded["origin"], url: string): string => {
  const { about: stateDir } = Settings.program.stateDir
  const isFlag = (key: string, flag: string) => Option.contains(origin(key), flag)
  return [
    url ===
    Urls.gateway(Settings.program.host.about.default, Number(Settings.program.port.about.default), false)
      ? ""
      : ` --url ${url}`,
    isFlag("stateDir", stateDir.flag) ? ` --state-dir ${Invocation.quote(settings.stateDir)}` : "",
    isFlag("token", Settings.program.token.about.flag) ? " --token ..." : ""
  ].join("")
}
