/**
 * Settings: the one table of everything that can be set, and where it is read from.
 *
 * A value comes from the flag, else from the environment, else from the config file, else it is the default. From this
 * table the flags of `colloquy serve`, its help page and `docs/settings.md` are made.
 */
import { type FileSystem, Path } from "@effect/platform"
import { Config, type ConfigError, ConfigProvider, Duration, Effect, Either, Option, Record } from "effect"
import { maxImageBytes } from "../domain/Message.js"
import { defaults, type GatewayConfigShape } from "../GatewayConfig.js"
import * as SameOrigin from "../transport/SameOrigin.js"
import * as TrustedProxies from "../transport/TrustedProxies.js"
import * as AgentCast from "./agents/AgentCast.js"
import * as ConfigFile from "./ConfigFile.js"
import * as HomePath from "./HomePath.js"
import { nearest } from "./Nearest.js"
import * as Setting from "./Setting.js"
import { type SettingProblem, SettingsError } from "./SettingsError.js"

const none = Duration.zero
const some = Duration.millis(1)
const second = Duration.seconds(1)
const kib = 1024
const mib = 1024 * kib

/** What the program itself needs. */
export const program = {
  host: Setting.make("host", {
    kind: Setting.text("host", "an address or a host name of this machine"),
    default: "127.0.0.1",
    description:
      "Where to listen. What other machines can reach, such as 0.0.0.0 (all interfaces), needs `tlsCert` and `tlsKey`, or `allowPlaintext`."
  }),
  port: Setting.make("port", {
    kind: Setting.integer("port", 0, 65_535),
    default: 18_789,
    description: "The port to listen on. 0: any free one."
  }),
  stateDir: Setting.make("stateDir", {
    kind: Setting.path,
    default: "~/.colloquy",
    description:
      "Where sessions, transcripts and the token are kept. Made if it is missing, for its owner only."
  }),
  token: Setting.make("token", {
    kind: Setting.optional(Setting.secret),
    default: Option.none(),
    defaultText: "generated, and kept in the file token of the state directory",
    description:
      "What clients must present. As a flag it can be seen in the list of processes: prefer the variable.",
    secret: true
  }),
  auth: Setting.make("auth", {
    kind: Setting.choice("way", "token", "none"),
    default: "token" as const,
    description:
      "How clients log in. none: not at all, every program of this machine is the owner; only where `host` is a loopback address."
  }),
  principals: Setting.make("principals", {
    kind: Setting.optional(Setting.path),
    default: Option.none(),
    defaultText: "principals.json in the state directory",
    description:
      "The file of those who may log in besides the owner. `colloquy token` writes it; a running gateway sees changes at once."
  }),
  durability: Setting.make("durability", {
    kind: Setting.choice("mode", "fsync", "os"),
    default: "fsync" as const,
    description:
      "When a message counts as saved. fsync: when it is on the disk, and a power cut can't lose it. os: when the operating system has it; it survives the end of the gateway (kill -9 too), but a power cut or a crash of the machine can lose the last seconds."
  }),
  agent: Setting.make("agent", {
    kind: Setting.optional(Setting.text("agent", "an agent's id, or demo, openai, anthropic")),
    default: Option.none(),
    defaultText: "`defaultAgentId` or else the first of `agents` in the config file; without any, demo",
    description:
      "Who answers session keys that name no agent: an agent of the config file by its id, or, without one, demo (streams the message back, needs no key and no network), openai or anthropic (with --model, and the key in OPENAI_API_KEY or ANTHROPIC_API_KEY)."
  }),
  model: Setting.make("model", {
    kind: Setting.optional(Setting.text("model", "a model's name")),
    default: Option.none(),
    defaultText: "none",
    description: "The model of the agent that `--agent openai` or `--agent anthropic` makes."
  }),
  tlsCert: Setting.make("tlsCert", {
    kind: Setting.optional(Setting.path),
    default: Option.none(),
    defaultText: "none: no TLS",
    description:
      "The certificate, a PEM file, and behind it in the same file those that vouch for it. Read again when it changes."
  }),
  tlsKey: Setting.make("tlsKey", {
    kind: Setting.optional(Setting.path),
    default: Option.none(),
    defaultText: "none: no TLS",
    description: "The key of the certificate, a PEM file without a password. Read again when it changes."
  }),
  allowPlaintext: Setting.make("allowPlaintext", {
    kind: Setting.choice("answer", "no", "yes"),
    default: "no" as const,
    description:
      "May the gateway be reached from other machines without TLS? Tokens and messages can be read on the way then."
  }),
  allowedOrigins: Setting.make("allowedOrigins", {
    kind: Setting.listOf(
      "list",
      "origins such as https://chat.example.com, separated by commas",
      (text) => SameOrigin.parseOrigin(text) !== undefined
    ),
    default: [],
    defaultText: "none",
    description: "Web pages of these origins may connect, besides those of the gateway's own origin."
  }),
  allowedHosts: Setting.make("allowedHosts", {
    kind: Setting.listOf("list", "host names without a port, separated by commas", (text) =>
      /^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])$/i.test(text)
    ),
    default: [],
    defaultText: "none",
    description:
      "Names under which the gateway may be reached besides loopback ones: that of the proxy in front of it. Where it does not listen on loopback it may be reached under any name, unless some are listed here."
  }),
  trustedProxies: Setting.make("trustedProxies", {
    kind: Setting.listOf(
      "list",
      "IP addresses and ranges such as 127.0.0.1 or 10.0.0.0/8, separated by commas",
      (text) => Either.isRight(TrustedProxies.parse([text]))
    ),
    default: [],
    defaultText: "none",
    description:
      "Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed. Without them all who come through one count as one address."
  }),
  maxUnauthenticated: Setting.make("maxUnauthenticated", {
    kind: Setting.integer("number", 1, 1_000_000),
    default: 4096,
    description:
      "Connections that have not logged in. When there are more, those go that have said nothing for longest."
  }),
  maxUnauthenticatedPerAddress: Setting.make("maxUnauthenticatedPerAddress", {
    kind: Setting.integer("number", 1, 1_000_000),
    default: 2048,
    description: "The same, of one address. An IPv6 address counts by its first 64 bits."
  }),
  config: Setting.make("config", {
    kind: Setting.optional(Setting.path),
    default: Option.none(),
    defaultText: "config.json in the state directory, if there is one",
    description: "The config file: a JSON object.",
    inFile: false
  }),
  logLevel: Setting.make("logLevel", {
    kind: Setting.choice("level", "all", "trace", "debug", "info", "warning", "error", "fatal", "none"),
    default: "info" as const,
    description: "The least important messages that are logged."
  }),
  logFormat: Setting.make("logFormat", {
    kind: Setting.choice("format", "auto", "pretty", "json"),
    default: "auto" as const,
    description: "How log messages are written (to standard error). auto: pretty on a terminal, else JSON."
  })
}

/** What the gateway's services need. A field of `GatewayConfig` that is missing here does not compile. */
export const gateway: { readonly [K in keyof GatewayConfigShape]: Setting.Setting<GatewayConfigShape[K]> } = {
  defaultAgentId: Setting.make("defaultAgentId", {
    kind: Setting.agentId,
    default: defaults.defaultAgentId,
    description: "The agent of a session key that names none."
  }),
  mainKey: Setting.make("mainKey", {
    kind: Setting.sessionName,
    default: defaults.mainKey,
    description: "The name of the main session; `main` always means it too."
  }),
  handshakeTimeout: Setting.make("handshakeTimeout", {
    kind: Setting.duration(some),
    default: defaults.handshakeTimeout,
    description: "How long a connection may take to say `connect`."
  }),
  maxFailedLogins: Setting.make("maxFailedLogins", {
    kind: Setting.integer("number", 1, 1_000_000),
    default: defaults.maxFailedLogins,
    description:
      "Logins that may fail from one address (of IPv6: one /64) or for one principal; then each further one has to wait, 1 second at first and up to 60. Forgotten after 10 minutes without a failure."
  }),
  tickInterval: Setting.make("tickInterval", {
    kind: Setting.duration(second),
    default: defaults.tickInterval,
    description: "Between two `tick` events. A client that misses two of them reconnects."
  }),
  maxPayload: Setting.make("maxPayload", {
    kind: Setting.size(4 * kib, 100 * mib),
    default: defaults.maxPayload,
    description: "The largest frame that is taken from a client."
  }),
  handshakeMaxPayload: Setting.make("handshakeMaxPayload", {
    kind: Setting.size(4 * kib, 100 * mib),
    default: defaults.handshakeMaxPayload,
    description: "The largest frame that is taken from a client that has not logged in."
  }),
  maxJsonDepth: Setting.make("maxJsonDepth", {
    kind: Setting.integer("number", 8, 1000),
    default: defaults.maxJsonDepth,
    description: "How deep the arrays and objects of a frame may be nested."
  }),
  requestsPerSecond: Setting.make("requestsPerSecond", {
    kind: Setting.integer("number", 1, 10_000_000),
    default: defaults.requestsPerSecond,
    description:
      "Requests of one principal in a second, over all its connections. Those of four seconds may come at once."
  }),
  bytesPerSecond: Setting.make("bytesPerSecond", {
    kind: Setting.size(kib, 16 * 1024 * mib),
    default: defaults.bytesPerSecond,
    description: "What the requests of one principal may hold in a second, in the same way."
  }),
  maxConnectionsPerPrincipal: Setting.make("maxConnectionsPerPrincipal", {
    kind: Setting.integer("number", 1, 10_000_000),
    default: defaults.maxConnectionsPerPrincipal,
    description: "Connections of one principal at once."
  }),
  maxAttachments: Setting.make("maxAttachments", {
    kind: Setting.integer("number", 0, 1000),
    default: defaults.maxAttachments,
    description: "Attachments of one message."
  }),
  maxAttachmentBytes: Setting.make("maxAttachmentBytes", {
    kind: Setting.size(1, maxImageBytes),
    default: defaults.maxAttachmentBytes,
    description: "The largest attachment, decoded. It must fit into a frame, too (`maxPayload`)."
  }),
  maxBufferedBytes: Setting.make("maxBufferedBytes", {
    kind: Setting.size(64 * kib, 1024 * mib),
    default: defaults.maxBufferedBytes,
    description: "What may wait for one slow reader."
  }),
  slowConsumerTimeout: Setting.make("slowConsumerTimeout", {
    kind: Setting.duration(second),
    default: defaults.slowConsumerTimeout,
    description: "A reader that takes nothing for so long, while something waits for it, is closed."
  }),
  replayMaxEvents: Setting.make("replayMaxEvents", {
    kind: Setting.integer("number", 0, 10_000_000),
    default: defaults.replayMaxEvents,
    description:
      "Events that are kept for clients that come back and ask for what they missed; of `sessions.changed`, a quarter as many besides."
  }),
  replayMaxBytes: Setting.make("replayMaxBytes", {
    kind: Setting.size(0, 16 * 1024 * mib),
    default: defaults.replayMaxBytes,
    description: "The memory that these events may take, as far as it can be told."
  }),
  maxInFlightRequests: Setting.make("maxInFlightRequests", {
    kind: Setting.integer("number", 1, 65_536),
    default: defaults.maxInFlightRequests,
    description: "Requests of one connection that may be under way at once; more wait in the socket."
  }),
  historyMaxBytes: Setting.make("historyMaxBytes", {
    kind: Setting.size(kib, 25 * mib),
    default: defaults.historyMaxBytes,
    description: "The largest page of `chat.history`, as JSON."
  }),
  stopCommands: Setting.make("stopCommands", {
    kind: Setting.list("list", "texts separated by commas, or a JSON array of strings"),
    default: defaults.stopCommands,
    description: "Messages that abort the session's runs instead of beginning one."
  }),
  runTimeout: Setting.make("runTimeout", {
    kind: Setting.duration(none),
    default: defaults.runTimeout,
    description: "How long an agent may work on a run that names no timeout. 0: without limit."
  }),
  maxAnswerLength: Setting.make("maxAnswerLength", {
    kind: Setting.integer("characters", 1, 100_000_000),
    default: defaults.maxAnswerLength,
    description: "The longest answer; a longer one ends its run with an error, cut to this length."
  }),
  maxConcurrentRuns: Setting.make("maxConcurrentRuns", {
    kind: Setting.integer("number", 1, 1_000_000),
    default: defaults.maxConcurrentRuns,
    description: "Runs at work at once, over all sessions."
  }),
  maxConcurrentRunsPerPrincipal: Setting.make("maxConcurrentRunsPerPrincipal", {
    kind: Setting.integer("number", 1, 1_000_000),
    default: defaults.maxConcurrentRunsPerPrincipal,
    description: "Runs of one principal at work at once; the others of it wait."
  }),
  maxQueuedPerSession: Setting.make("maxQueuedPerSession", {
    kind: Setting.integer("number", 0, 1_000_000),
    default: defaults.maxQueuedPerSession,
    description: "Runs that may wait in one session."
  }),
  maxQueuedRuns: Setting.make("maxQueuedRuns", {
    kind: Setting.integer("number", 1, 10_000_000),
    default: defaults.maxQueuedRuns,
    description: "Runs that may wait in all."
  }),
  maxQueuedRunsPerPrincipal: Setting.make("maxQueuedRunsPerPrincipal", {
    kind: Setting.integer("number", 1, 10_000_000),
    default: defaults.maxQueuedRunsPerPrincipal,
    description: "Runs of one principal that may wait, over all sessions."
  }),
  interruptGrace: Setting.make("interruptGrace", {
    kind: Setting.duration(none),
    default: defaults.interruptGrace,
    description: "How long an agent may take to stop when it is aborted; then it is cut off."
  }),
  handOffGrace: Setting.make("handOffGrace", {
    kind: Setting.duration(none),
    default: defaults.handOffGrace,
    description: "How long a handed-off run waits for news of its agent; then it ends with the text so far."
  }),
  idempotencyTtl: Setting.make("idempotencyTtl", {
    kind: Setting.duration(second),
    default: defaults.idempotencyTtl,
    description: "How long an idempotency key keeps its answer, also across restarts."
  }),
  drainGrace: Setting.make("drainGrace", {
    kind: Setting.duration(none),
    default: defaults.drainGrace,
    description: "How long a stop lets the runs go on; then it ends them. New sends are refused meanwhile."
  }),
  shutdownGrace: Setting.make("shutdownGrace", {
    kind: Setting.duration(none),
    default: defaults.shutdownGrace,
    description: "How long a stop may take, once it has ended the runs, until what is left is cut off."
  })
}

/** Every setting, as the docs list them. */
export const all: ReadonlyArray<Setting.About> = [...Object.values(program), ...Object.values(gateway)].map(
  ({ about }) => about
)

const config = Config.all({ ...program, gateway: Config.all(gateway) })

/** All settings, decoded. Paths are absolute. */
export type Settings = Config.Config.Success<typeof config>

export interface Loaded {
  readonly settings: Settings
  /** Where a value came from, in words (`--token`, `COLLOQUY_TOKEN`, `token in <file>`), if it is not the default. */
  readonly origin: (key: string) => Option.Option<string>
}

/** Texts given on the command line, by key. */
export type Flags = Readonly<Record<string, string>>

interface Source {
  readonly provider: ConfigProvider.ConfigProvider
  readonly nameOf: (about: Setting.About) => string
}

/**
 * Reads all settings: from `flags`, from the current `ConfigProvider` (the environment), from the config file. Fails
 * with all that is wrong at once. The agents are read by `AgentSettings.load`, for those who need them.
 */
export const load = (flags: Flags): Effect.Effect<Loaded, SettingsError, FileSystem.FileSystem | Path.Path> =>
  Effect.flatMap(read(flags), ({ loaded }) =>
    Either.mapLeft(loaded, (problems) => new SettingsError({ problems }))
  )

type Problems = ReadonlyArray<SettingProblem>

/** What was read, or what is wrong with it. */
export interface Read {
  readonly loaded: Either.Either<Loaded, Problems>
  /** What says which agents there are, also when something else is wrong. None: the config file can't be read. */
  readonly given: Option.Option<AgentCast.Given>
}

export const read = (flags: Flags): Effect.Effect<Read, never, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const path = yield* Path.Path
    const absolute = (value: string): string => path.resolve(HomePath.expand(value))

    const environment = yield* Effect.configProviderWith(Effect.succeed)
    const above: ReadonlyArray<Source> = [
      { provider: fromTexts(flags), nameOf: (about) => about.flag },
      {
        provider: ConfigProvider.mapInputPath(environment, (key) => variables.get(key) ?? key),
        nameOf: (about) => about.variable
      }
    ]

    const named = yield* lookUp(above, "config")
    const stateDir = yield* lookUp(above, "stateDir")
    const file = yield* ConfigFile.read(
      Option.match(named, {
        onSome: ({ value }) => absolute(value),
        onNone: () =>
          path.join(
            absolute(
              Option.match(stateDir, {
                onNone: () => program.stateDir.about.default,
                onSome: ({ value }) => value
              })
            ),
            "config.json"
          )
      })
    )
    const inFile = Record.filterMap(file.values, (value, key) =>
      Option.flatMap(Option.fromNullable(known.get(key)), (about) => textOf(value, about))
    )
    const sources = [
      ...above,
      { provider: fromTexts(inFile), nameOf: (about: Setting.About) => `${about.key} in ${file.path}` }
    ]
    const origin = (key: string, about: Setting.About) =>
      Effect.map(
        lookUp(sources, key),
        Option.map(({ source, value }) => ({ value, where: source.nameOf(about) }))
      )

    const provider = sources
      .map((source) => source.provider)
      .reduce((before, next) => ConfigProvider.orElse(before, () => next))
    const loaded = yield* Effect.either(provider.load(config))
    const wrong = Either.isLeft(loaded)
      ? yield* Effect.forEach(invalidKeys(loaded.left), problemOf(origin))
      : []
    // That the default file is missing is fine; that the named one is, is not.
    const unusable = Option.toArray(
      Option.filter(file.problem, ({ missing }) => !missing || Option.isSome(named))
    )
    const problems = [
      ...wrong,
      ...unusable,
      ...Object.keys(file.values)
        .filter((key) => key !== "agents" && !Record.has(inFile, key))
        .map((key) => misfit(key, file.path))
    ]
    const origins = new Map<string, string>()
    for (const about of all) {
      const found = yield* origin(about.key, about)
      if (Option.isSome(found)) origins.set(about.key, found.value.where)
    }
    const originOf = (key: string) => Option.fromNullable(origins.get(key))
    const readable = <A>(setting: Setting.Setting<A>, otherwise: A) =>
      Effect.orElseSucceed(provider.load(setting), () => otherwise)
    const given: AgentCast.Given = {
      agents: file.values["agents"],
      file: file.path,
      agent: yield* readable(program.agent, Option.none()),
      model: yield* readable(program.model, Option.none()),
      defaultAgentId: yield* readable(gateway.defaultAgentId, defaults.defaultAgentId),
      origin: originOf
    }
    return {
      given: unusable.length > 0 ? Option.none() : Option.some(given),
      loaded:
        Either.isLeft(loaded) || problems.length > 0
          ? Either.left(problems)
          : Either.right({
              settings: {
                ...loaded.right,
                gateway: {
                  ...loaded.right.gateway,
                  defaultAgentId: AgentCast.make(given).defaultAgentId
                },
                stateDir: absolute(loaded.right.stateDir),
                config: Option.map(loaded.right.config, absolute),
                principals: Option.map(loaded.right.principals, absolute),
                tlsCert: Option.map(loaded.right.tlsCert, absolute),
                tlsKey: Option.map(loaded.right.tlsKey, absolute)
              },
              origin: originOf
            })
    }
  })

const variables = new Map(all.map((about) => [about.key, about.variable]))
const known = new Map(all.filter((about) => about.inFile).map((about) => [about.key, about]))

const fromTexts = (texts: Flags): ConfigProvider.ConfigProvider =>
  ConfigProvider.fromMap(new Map(Object.entries(texts)))

/** The text of a setting and the first source that has it. */
const lookUp = (
  sources: ReadonlyArray<Source>,
  key: string
): Effect.Effect<Option.Option<{ readonly source: Source; readonly value: string }>> =>
  Effect.forEach(sources, (source) =>
    Effect.option(source.provider.load(Config.string(key))).pipe(
      Effect.map(Option.map((value) => ({ source, value })))
    )
  ).pipe(Effect.map(Option.firstSomeOf))

/** The settings whose text can't be decoded. */
const invalidKeys = (error: ConfigError.ConfigError): ReadonlyArray<string> => {
  switch (error._op) {
    case "And":
    case "Or":
      return [...invalidKeys(error.left), ...invalidKeys(error.right)]
    default:
      return error.path.slice(-1)
  }
}

const problemOf =
  (
    origin: (
      key: string,
      about: Setting.About
    ) => Effect.Effect<Option.Option<{ readonly value: string; readonly where: string }>>
  ) =>
  (key: string): Effect.Effect<SettingProblem> =>
    Effect.gen(function* () {
      const about = all.find((candidate) => candidate.key === key)
      if (about === undefined) return { where: key, message: "can't be read" }
      const found = yield* origin(key, about)
      return Option.match(found, {
        onNone: () => ({ where: key, message: `expected ${about.expects}` }),
        onSome: ({ value, where }) => ({
          where,
          message: about.secret
            ? `expected ${about.expects} (what was found is not shown)`
            : `expected ${about.expects}; found ${JSON.stringify(value.slice(0, 80))}`
        })
      })
    })

/** A value of the config file as a flag would say it. What no flag could say is no value. */
const textOf = (value: unknown, { unit }: Setting.About): Option.Option<string> =>
  typeof value === "string" || typeof value === "number"
    ? Option.some(String(value))
    : Array.isArray(value) && unit === "list"
      ? Option.some(JSON.stringify(value))
      : Option.none()

/** A key of the config file that there is not, or whose value is of a type that it can't have. */
const misfit = (key: string, file: string): SettingProblem => {
  const about = known.get(key)
  return {
    where: `${key} in ${file}`,
    message:
      about === undefined
        ? Option.match(nearest(key, ["agents", ...known.keys()]), {
            onNone: () => "there is no such setting",
            onSome: (candidate) => `there is no such setting. Did you mean ${candidate}?`
          })
        : `expected ${about.expects}`
  }
}
