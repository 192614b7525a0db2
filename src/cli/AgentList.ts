/** `colloquy agents`: which agents are configured, and with --check, whether they answer. */
import type { FileSystem, Path } from "@effect/platform"
import { Console, Duration, Effect, Either } from "effect"
import { type Agent, AgentError } from "../agent/AgentRunner.js"
import * as AgentKinds from "./agents/AgentKinds.js"
import * as AgentSettings from "./agents/AgentSettings.js"
import { CliError, exitCodes } from "./CliError.js"
import * as Logging from "./Logging.js"
import * as Settings from "./Settings.js"
import type { SettingsError } from "./SettingsError.js"

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
  /** What trying it has shown; absent: it was not tried. */
  readonly checked?: Either.Either<string, AgentError>
}

/** Prints to standard output. Fails, silently, with exit code 1 when an agent that was tried does not answer. */
export const agents = (
  request: Request,
  flags: Settings.Flags
): Effect.Effect<void, CliError | SettingsError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const loaded = yield* Settings.load(flags)
    const configured = yield* AgentSettings.load(loaded.agents)
    // @effect-diagnostics-next-line strictEffectProvide:off -- how to log is known only when the settings are read
    const rows = yield* Effect.provide(rowsOf(configured, request.check), Logging.layer(loaded.settings))
    yield* Console.log(request.json ? jsonOf(rows) : pageOf(rows))
    if (rows.some(({ checked }) => checked !== undefined && Either.isLeft(checked))) {
      return yield* new CliError({ message: "", exitCode: exitCodes.failed })
    }
  })

const rowsOf = (configured: AgentSettings.Agents, check: boolean) =>
  Effect.scoped(
    Effect.gen(function* () {
      const made = yield* Effect.all(yield* AgentKinds.make(configured))
      return yield* Effect.forEach(
        Object.entries(made),
        ([id, agent]) => rowOf(id, id === configured.defaultAgentId, agent, check),
        { concurrency: "unbounded" }
      )
    })
  )

const rowOf = (id: string, isDefault: boolean, agent: Agent, check: boolean): Effect.Effect<Row> => {
  const row = { id, isDefault, about: agent.about }
  if (!check) return Effect.succeed(row)
  return agent.check.pipe(
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
    Effect.either,
    Effect.map((checked) => ({ ...row, checked }))
  )
}

const jsonOf = (rows: ReadonlyArray<Row>): string =>
  JSON.stringify(
    {
      agents: rows.map(({ about, checked, id, isDefault }) => ({
        id,
        default: isDefault,
        ...about,
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
  const columns = rows.map(({ about, id, isDefault }) => [
    `${id}${isDefault ? " *" : ""}`,
    about.kind,
    about.model?.id ?? "",
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
            onLeft: ({ message }) => `FAILED  ${message}`,
            onRight: (said) => `ok  ${said}`
          })
    return [...cells, verdict].join("  ").trimEnd()
  })
  return [...lines, "", "* answers session keys that name no agent"].join("\n")
}
