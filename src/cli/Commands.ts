/** The commands, as `@effect/cli` parses them. */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { Effect, FiberRef, LogLevel, type Option, Record } from "effect"
import * as Flags from "./Flags.js"
import * as Settings from "./Settings.js"

const textOf = ({ description, flag, unit }: Flags.Flag) =>
  Options.text(flag.slice(2)).pipe(Options.withPseudoName(unit), Options.withDescription(description))

const optionOf = (flag: Flags.Flag) => Options.optional(textOf(flag))

const repeatedOf = (flag: Flags.Flag) => Options.repeated(textOf(flag))

const switchOf = ({ description, flag }: Flags.Flag) =>
  Options.boolean(flag.slice(2)).pipe(Options.withDescription(description))

const settingsOf = (settings: ReadonlyArray<(typeof Settings.all)[number]>) => ({
  settings: Record.fromEntries(settings.map((about) => [about.key, optionOf(about)]))
})

/**
 * `@effect/cli` takes a valid `--log-level` for itself and sets the level with it. This copy, set before, tells whether
 * it did: then the flag counts like any other, before environment and file.
 */
export const unsetLogLevel: LogLevel.LogLevel = { ...LogLevel.Info }

type Given = { readonly [key: string]: Option.Option<string> }

const flagsOf = (settings: Given): Effect.Effect<Settings.Flags> =>
  Effect.map(FiberRef.get(FiberRef.currentMinimumLogLevel), (level) => {
    const flags = Record.getSomes(settings)
    return level === unsetLogLevel ? flags : { ...flags, logLevel: level._tag.toLowerCase() }
  })

/**
 * What a command does is read only when it runs: it doesn't pay at its start for what the others need. `go` is given the
 * module, and the settings that were given as flags.
 */
const lazily = <M, A, E, R>(
  load: () => Promise<M>,
  settings: Given,
  go: (module: M, flags: Settings.Flags) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.flatMap(flagsOf(settings), (flags) =>
    Effect.flatMap(Effect.promise(load), (module) => go(module, flags))
  )

const serve = Command.make("serve", settingsOf(Settings.all), ({ settings }) =>
  lazily(
    () => import("./Serve.js"),
    settings,
    ({ serve }, flags) => serve(flags)
  )
)

const remote = settingsOf(Flags.remoteSettings)

const send = Command.make(
  "send",
  {
    text: Args.optional(Args.text({ name: "text" })),
    session: optionOf(Flags.send.session),
    images: repeatedOf(Flags.send.image),
    key: optionOf(Flags.send.key),
    json: switchOf(Flags.send.json),
    url: optionOf(Flags.send.url),
    ...remote
  },
  ({ settings, ...request }) =>
    lazily(
      () => import("./Send.js"),
      settings,
      ({ send }, flags) => send(request, flags)
    )
)

const chat = Command.make(
  "chat",
  { session: optionOf(Flags.chat.session), url: optionOf(Flags.chat.url), ...remote },
  ({ settings, ...request }) =>
    lazily(
      () => import("./chat/Chat.js"),
      settings,
      ({ chat }, flags) => chat(request, flags)
    )
)

const key = Args.text({ name: "key" })
const loadSessions = () => import("./sessions/Sessions.js")

const sessionsList = Command.make(
  "list",
  {
    search: optionOf(Flags.sessions.list.search),
    limit: optionOf(Flags.sessions.list.limit),
    json: switchOf(Flags.sessions.list.json),
    url: optionOf(Flags.sessions.list.url),
    ...remote
  },
  ({ settings, ...request }) => lazily(loadSessions, settings, ({ list }, flags) => list(request, flags))
)

const sessionsShow = Command.make(
  "show",
  {
    key,
    limit: optionOf(Flags.sessions.show.limit),
    json: switchOf(Flags.sessions.show.json),
    url: optionOf(Flags.sessions.show.url),
    ...remote
  },
  ({ settings, ...request }) => lazily(loadSessions, settings, ({ show }, flags) => show(request, flags))
)

const sessionsReset = Command.make(
  "reset",
  { key, yes: switchOf(Flags.sessions.reset.yes), url: optionOf(Flags.sessions.reset.url), ...remote },
  ({ settings, ...request }) => lazily(loadSessions, settings, ({ reset }, flags) => reset(request, flags))
)

const sessionsDelete = Command.make(
  "delete",
  { key, yes: switchOf(Flags.sessions.delete.yes), url: optionOf(Flags.sessions.delete.url), ...remote },
  ({ settings, ...request }) => lazily(loadSessions, settings, ({ remove }, flags) => remove(request, flags))
)

const sessionsExport = Command.make(
  "export",
  {
    key,
    format: optionOf(Flags.sessions.export.format),
    output: optionOf(Flags.sessions.export.output),
    url: optionOf(Flags.sessions.export.url),
    ...remote
  },
  ({ settings, ...request }) =>
    lazily(
      () => import("./sessions/Export.js"),
      settings,
      (module, flags) => module.exportSession(request, flags)
    )
)

const sessions = Command.make("sessions").pipe(
  Command.withSubcommands([sessionsList, sessionsShow, sessionsReset, sessionsDelete, sessionsExport])
)

const abort = Command.make(
  "abort",
  {
    session: optionOf(Flags.abort.session),
    run: optionOf(Flags.abort.run),
    all: switchOf(Flags.abort.all),
    url: optionOf(Flags.abort.url),
    ...remote
  },
  ({ settings, ...request }) =>
    lazily(
      () => import("./Abort.js"),
      settings,
      ({ abort }, flags) => abort(request, flags)
    )
)

const call = Command.make(
  "call",
  {
    method: Args.text({ name: "method" }),
    params: Args.optional(Args.text({ name: "json" })),
    url: optionOf(Flags.call.url),
    ...remote
  },
  ({ settings, ...request }) =>
    lazily(
      () => import("./Call.js"),
      settings,
      ({ call }, flags) => call(request, flags)
    )
)

const watch = Command.make(
  "watch",
  {
    session: optionOf(Flags.watch.session),
    json: switchOf(Flags.watch.json),
    url: optionOf(Flags.watch.url),
    ...remote
  },
  ({ settings, ...request }) =>
    lazily(
      () => import("./Watch.js"),
      settings,
      ({ watch }, flags) => watch(request, flags)
    )
)

const doctor = Command.make(
  "doctor",
  {
    repair: switchOf(Flags.doctor.repair),
    json: switchOf(Flags.doctor.json),
    ...settingsOf(Flags.doctorSettings)
  },
  ({ settings, ...request }) =>
    lazily(
      () => import("./Doctor.js"),
      settings,
      ({ doctor }, flags) => doctor(request, flags)
    )
)

const agents = Command.make(
  "agents",
  {
    check: switchOf(Flags.agents.check),
    json: switchOf(Flags.agents.json),
    ...settingsOf(Flags.agentSettings)
  },
  ({ settings, ...request }) =>
    lazily(
      () => import("./AgentList.js"),
      settings,
      ({ agents }, flags) => agents(request, flags)
    )
)

const tokenSettings = settingsOf(Flags.tokenSettings)
const loadToken = () => import("./token/Token.js")

const tokenCreate = Command.make(
  "create",
  {
    name: Args.text({ name: "name" }),
    scopes: optionOf(Flags.token.create.scopes),
    sessions: optionOf(Flags.token.create.sessions),
    label: optionOf(Flags.token.create.label),
    password: switchOf(Flags.token.create.password),
    ...tokenSettings
  },
  ({ settings, ...request }) => lazily(loadToken, settings, ({ create }, flags) => create(request, flags))
)

const tokenList = Command.make(
  "list",
  { json: switchOf(Flags.token.list.json), ...tokenSettings },
  ({ json, settings }) => lazily(loadToken, settings, ({ list }, flags) => list(json, flags))
)

const tokenRevoke = Command.make(
  "revoke",
  { target: Args.text({ name: "name-or-id" }), ...tokenSettings },
  ({ settings, target }) => lazily(loadToken, settings, ({ revoke }, flags) => revoke(target, flags))
)

const token = Command.make("token").pipe(Command.withSubcommands([tokenCreate, tokenList, tokenRevoke]))

const completions = Command.make("completions", { shell: Args.text({ name: "shell" }) }, ({ shell }) =>
  lazily(
    () => import("./Completions.js"),
    {},
    ({ completions }) => completions(shell)
  )
)

export const colloquy = Command.make("colloquy").pipe(
  Command.withSubcommands([
    serve,
    chat,
    send,
    sessions,
    abort,
    watch,
    call,
    agents,
    token,
    doctor,
    completions
  ])
)
