/** `colloquy agents`: which agents are configured, and with --check, whether they answer. */
import type { FileSystem, Path } from "@effect/platform"
import { Console, Duration, Effect, Either, Option } from "effect"
import { type Agent, AgentError } from "../agent/AgentRunner.js"
import * as AgentDefinition from "./agents/AgentDefinition.js"
import * as AgentKinds from "./agents/AgentKinds.js"
import * as AgentSettings from "./agents/AgentSettings.js"
import { CliError, exitCodes } from "./CliError.js"
import * as Logging from "./Logging.js"
import type * as Settings from "./Settings.js"
import type { SettingsError } from "./SettingsError.js"
import * as Signals from "./Signals.js"
import { visible } from "./Visible.js"

export interface Request {
  readonly check: boolean
  readonly json: boolean
}

/** How long one agent may take to be tried. */
const checkTimeout = Duration.seconds(30)

/** One agent, as it is listed. */
interface Row {
  readonly id: string
  readonly isDefault: boolean
  readonly about: Agent["about"]
  readonly program: Option.Option<string>
  /** What trying it has shown; absent: it was not tried. */
  readonly checked?: Either.Either<string, AgentError>
}

/**
 * Prints to standard output. Fails, silently, with exit code 1 when an agent that was tried does not answer. What was
 * started to try them is gone before it ends, also when a signal ends it: a Ctrl-C reaches this process alone, and not the
 * groups of the others.
 */
export const agents = (
  request: Request,
  flags: Settings.Flags
): Effect.Effect<void, CliError | SettingsError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const signal = yield* Signals.listen
    const loaded = yield* AgentSettings.load(flags)
    const rows = yield* Effect.raceFirst(
      rowsOf(loaded.agents, request.check),
      Effect.flatMap(signal, Signals.interrupted)
    ).pipe(
      // @effect-diagnostics-next-line strictEffectProvide:off -- how to log is known only when the settings are read
      Effect.provide(Logging.layer(loaded.settings))
    )
    yield* Console.log(request.json ? jsonOf(rows) : pageOf(rows))
    if (rows.some(({ checked }) => checked !== undefined && Either.isLeft(checked))) {
      return yield* new CliError({ message: "", exitCode: exitCodes.failed })
    }
  }).pipe(Effect.scoped)

const rowsOf = (configured: AgentSettings.Agents, check: boolean) =>
  Effect.scoped(
    Effect.gen(function* () {
      const make = yield* AgentKinds.make
      return yield* Effect.forEach(
        configured.definitions,
        ([id, definition]) =>
          Effect.gen(function* () {
            const agent = yield* make(definition)
            const row: Row = {
              id,
              isDefault: id === configured.defaultAgentId,
              about: agent.about,
              program: AgentDefinition.programOf(definition)
            }
            return check ? { ...row, checked: yield* tried(agent) } : row
          }),
        { concurrency: "unbounded" }
      )
    })
  )

const tried = (agent: Agent): Effect.Effect<Either.Either<string, AgentError>> =>
  agent.check.pipe(
    Effect.timeoutFail({
      duration: checkTimeout,
      onTimeout: () => new AgentError({ message: `did not answer within ${Duration.format(checkTimeout)}` })
    }),
    // One that dies must not hide what the others say.
    Effect.catchAllDefect((defect) =>
      Effect.zipRight(
        Effect.logError("trying an agent failed", defect),
        new AgentError({ message: "could not be tried: see the log" })
      )
    ),
    Effect.either
  )

const jsonOf = (rows: ReadonlyArray<Row>): string =>
  JSON.stringify(
    {
      agents: rows.map(({ about, checked, id, isDefault, program }) => ({
        id,
        default: isDefault,
        ...about,
        ...(Option.isSome(program) && { program: program.value }),
        ...(about.runTimeout === undefined ? {} : { runTimeout: Duration.toMillis(about.runTimeout) }),
        ...(checked === undefined
          ? {}
          : Either.match(checked, {
              onLeft: ({ code, message }) => ({
                check: { ok: false, message, ...(code === undefined ? {} : { code }) }
              }),
              onRight: (message) => ({ check: { ok: true, message } })
            }))
      }))
    },
    undefined,
    2
  )

const pageOf = (rows: ReadonlyArray<Row>): string => {
  const columns = rows.map(({ about, id, isDefault, program }) => [
    `${id}${isDefault ? " *" : ""}`,
    about.kind,
    visible([...Option.toArray(program), ...(about.model === undefined ? [] : [about.model.id])].join(", ")),
    about.images ? "images" : ""
  ])
  const widths = columns.reduce<ReadonlyArray<number>>(
    (most, row) => row.map((cell, at) => Math.max(cell.length, most[at] ?? 0)),
    []
  )
  const lines = rows.map(({ checked }, at) => {
    const cells = (columns[at] ?? []).map((cell, column) => cell.padEnd(widths[column] ?? 0))
    const verdict =
      checked === undefined
        ? ""
        : Either.match(checked, {
            onLeft: ({ message }) => `FAILED  ${indented(message)}`,
            onRight: (said) => `ok  ${indented(said)}`
          })
    return [...cells, verdict].join("  ").trimEnd()
  })
  return [...lines, "", "* answers session keys that name no agent"].join("\n")
}

/** What agents and servers say of themselves may have several lines. */
const indented = (text: string): string => text.split("\n").map(visible).join("\n    ")
