/** `colloquy abort`: ends runs. */
import { Effect, Option } from "effect"
import type { ClientShape } from "../client/Client.js"
import { CliError, exitCodes, failed } from "./CliError.js"
import * as Output from "./Output.js"
import * as Remote from "./Remote.js"
import type * as Settings from "./Settings.js"
import { visible } from "./Visible.js"

export interface Request {
  readonly session: Option.Option<string>
  readonly run: Option.Option<string>
  readonly all: boolean
  readonly url: Option.Option<string>
}

/** Says which runs were aborted; that there were none is no failure, unless one was named. */
export const abort = ({ all, run, session, url }: Request, flags: Settings.Flags) =>
  Effect.gen(function* () {
    if (all && (Option.isSome(run) || Option.isSome(session))) {
      return yield* new CliError({
        message: "--all: expected to stand alone; found --session or --run beside it",
        exitCode: exitCodes.usage
      })
    }
    return yield* Remote.ask(url, flags, ["operator.read", "operator.write"], (client) =>
      Effect.gen(function* () {
        const aborted = yield* all
          ? everything(client)
          : Option.isSome(run)
            ? one(client, run.value, session)
            : ofSession(
                client,
                Option.getOrElse(session, () => "main")
              )
        if (aborted.length === 0 && Option.isSome(run))
          return yield* failed(`there is no run ${visible(run.value)} to abort.`)
        yield* Output.printLine(
          aborted.length === 0 ? "Nothing was running." : aborted.map((id) => `Aborted ${id}`).join("\n")
        )
      })
    )
  })

const ofSession = (client: ClientShape, sessionKey: string, runId?: string) =>
  Effect.map(
    client.call("chat.abort", { sessionKey, ...(runId === undefined ? {} : { runId }) }),
    ({ runIds }) => runIds
  )

/** A run by its id; where it is, the list of runs says. */
const one = (client: ClientShape, runId: string, session: Option.Option<string>) =>
  Effect.gen(function* () {
    if (Option.isSome(session)) return yield* ofSession(client, session.value, runId)
    const { runs } = yield* client.call("runs.list", {})
    const found = runs.find((row) => row.runId === runId)
    return found === undefined ? [] : yield* ofSession(client, found.sessionKey, runId)
  })

const everything = (client: ClientShape) =>
  Effect.gen(function* () {
    const { runs } = yield* client.call("runs.list", {})
    const keys = [...new Set(runs.map(({ sessionKey }) => sessionKey))]
    const aborted = yield* Effect.forEach(keys, (key) => ofSession(client, key))
    return aborted.flat()
  })
