/** The command line: `colloquy serve`, `colloquy send`, `colloquy agents`, `colloquy token`, `colloquy doctor`. */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import type * as ValidationError from "@effect/cli/ValidationError"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeTerminal from "@effect/platform-node/NodeTerminal"
import { Array, Cause, Console, Effect, FiberRef, Layer, Logger, LogLevel, Option, Record } from "effect"
import { version } from "../domain/Product.js"
import { CliError, exitCodes } from "./CliError.js"
import * as CryptoRandom from "../auth/CryptoRandom.js"
import * as Flags from "./Flags.js"
import * as Help from "./Help.js"
import * as Settings from "./Settings.js"
import { SettingsError } from "./SettingsError.js"

const optionOf = ({ description, flag, unit }: Flags.Flag) =>
  Options.text(flag.slice(2)).pipe(
    Options.withPseudoName(unit),
    Options.withDescription(description),
    Options.optional
  )

const optionsOf = (settings: ReadonlyArray<(typeof Settings.all)[number]>) =>
  Record.fromEntries(settings.map((about) => [about.key, optionOf(about)]))

// Read only when they run: a command doesn't pay at its start for what the other one needs.
const serve = Command.make("serve", { settings: optionsOf(Settings.all) }, ({ settings }) =>
  Effect.gen(function* () {
    const flags = yield* withLogLevel(Record.getSomes(settings))
    const Serve = yield* Effect.promise(() => import("./Serve.js"))
    yield* Serve.serve(flags)
  })
).pipe(Command.withDescription("Starts the gateway."))

const send = Command.make(
  "send",
  {
    text: Args.text({ name: "text" }),
    session: optionOf(Flags.send.session),
    url: optionOf(Flags.send.url),
    settings: optionsOf(Flags.sendSettings)
  },
  ({ session, settings, text, url }) =>
    Effect.gen(function* () {
      const flags = yield* withLogLevel(Record.getSomes(settings))
      const Send = yield* Effect.promise(() => import("./Send.js"))
      yield* Send.send({ sessionKey: Option.getOrElse(session, () => "main"), message: text, url }, flags)
    })
).pipe(Command.withDescription("Sends a message and prints the answer as it comes."))

const switchOf = ({ description, flag }: Flags.Flag) =>
  Options.boolean(flag.slice(2)).pipe(Options.withDescription(description))

const doctor = Command.make(
  "doctor",
  {
    repair: switchOf(Flags.doctor.repair),
    json: switchOf(Flags.doctor.json),
    settings: optionsOf(Flags.doctorSettings)
  },
  ({ json, repair, settings }) =>
    Effect.gen(function* () {
      const flags = yield* withLogLevel(Record.getSomes(settings))
      const Doctor = yield* Effect.promise(() => import("./Doctor.js"))
      yield* Doctor.doctor({ json, repair }, flags)
    })
).pipe(Command.withDescription("Checks a state directory, and repairs it with --repair."))

const agents = Command.make(
  "agents",
  {
    check: switchOf(Flags.agents.check),
    json: switchOf(Flags.agents.json),
    settings: optionsOf(Flags.agentSettings)
  },
  ({ check, json, settings }) =>
    Effect.gen(function* () {
      const flags = yield* withLogLevel(Record.getSomes(settings))
      const AgentList = yield* Effect.promise(() => import("./AgentList.js"))
      yield* AgentList.agents({ check, json }, flags)
    })
).pipe(Command.withDescription("Lists the configured agents, and tries them with --check."))

const tokenSettings = { settings: optionsOf(Flags.tokenSettings) }
const importToken = Effect.promise(() => import("./token/Token.js"))

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
  ({ settings, ...request }) =>
    Effect.gen(function* () {
      const flags = yield* withLogLevel(Record.getSomes(settings))
      const Token = yield* importToken
      yield* Token.create(request, flags)
    })
).pipe(Command.withDescription("Lets somebody in: makes a token, shown once, or sets a password."))

const tokenList = Command.make(
  "list",
  { json: switchOf(Flags.token.list.json), ...tokenSettings },
  ({ json, settings }) =>
    Effect.gen(function* () {
      const flags = yield* withLogLevel(Record.getSomes(settings))
      const Token = yield* importToken
      yield* Token.list(json, flags)
    })
).pipe(Command.withDescription("Lists who may log in besides the owner."))

const tokenRevoke = Command.make(
  "revoke",
  { target: Args.text({ name: "name-or-id" }), ...tokenSettings },
  ({ settings, target }) =>
    Effect.gen(function* () {
      const flags = yield* withLogLevel(Record.getSomes(settings))
      const Token = yield* importToken
      yield* Token.revoke(target, flags)
    })
).pipe(Command.withDescription("Takes a principal, or one of its tokens, away."))

const token = Command.make("token").pipe(
  Command.withDescription("Makes, lists and revokes the tokens of those who may log in."),
  Command.withSubcommands([tokenCreate, tokenList, tokenRevoke])
)

const colloquy = Command.make("colloquy").pipe(
  Command.withDescription("A gateway between chat clients and AI agents."),
  Command.withSubcommands([serve, send, agents, token, doctor])
)

const parse = Command.run(colloquy, { name: "Colloquy", version, executable: "colloquy" })

/**
 * `@effect/cli` takes a valid `--log-level` for itself and sets the level with it. This copy, set before, tells whether
 * it did: then the flag counts like any other, before environment and file.
 */
const unset: LogLevel.LogLevel = { ...LogLevel.Info }
const withLogLevel = (flags: Settings.Flags): Effect.Effect<Settings.Flags> =>
  Effect.map(FiberRef.get(FiberRef.currentMinimumLogLevel), (level) =>
    level === unset ? flags : { ...flags, logLevel: level._tag.toLowerCase() }
  )

/** Runs a command line (`process.argv`) and says with which code the program ends. Never fails. */
export const run = (argv: ReadonlyArray<string>): Effect.Effect<number> => {
  const args = argv.slice(2)
  return Effect.gen(function* () {
    if (args.length === 0 || wantsHelp(args)) return yield* Console.log(Help.page(args[0]))
    const problems = Flags.check(args)
    if (Array.isNonEmptyReadonlyArray(problems)) return yield* new SettingsError({ problems })
    yield* parse([...argv.slice(0, 2), ...Flags.ordered(args)])
  }).pipe(
    Effect.as(0),
    Effect.catchAllCause((cause) => report(cause, args[0])),
    Logger.withMinimumLogLevel(unset),
    // @effect-diagnostics-next-line strictEffectProvide:off -- the entry point
    Effect.provide(
      Layer.mergeAll(NodeFileSystem.layer, NodePath.layer, NodeTerminal.layer, CryptoRandom.layer)
    )
  )
}

const wantsHelp = (args: ReadonlyArray<string>): boolean => {
  const end = args.indexOf("--")
  return args.slice(0, end < 0 ? args.length : end).some((arg) => arg === "--help" || arg === "-h")
}

/** Tells the user what went wrong. Only a bug is shown with its stack. */
const report = (
  cause: Cause.Cause<CliError | SettingsError | ValidationError.ValidationError>,
  command: string | undefined
): Effect.Effect<number> => {
  const failure = Cause.failureOption(cause)
  if (Option.isNone(failure)) {
    return Effect.as(Console.error(`colloquy: this is a bug.\n${Cause.pretty(cause)}`), exitCodes.failed)
  }
  const error = failure.value
  if (error instanceof CliError) {
    return Effect.as(
      error.message === "" ? Effect.void : Console.error(`colloquy: ${error.message}`),
      error.exitCode
    )
  }
  const hint = `See colloquy ${command !== undefined && Flags.isCommand(command) ? `${command} ` : ""}--help`
  return Effect.as(
    // `@effect/cli` has told its own errors already.
    Console.error(error instanceof SettingsError ? `colloquy: ${error.message}\n${hint}` : hint),
    exitCodes.usage
  )
}
