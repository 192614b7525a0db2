/** RunLines: the events of one run as lines of JSON, for programs. */
import type { Terminal } from "@effect/platform"
import { Effect, type Scope, Stream } from "effect"
import type { ClientShape } from "../client/Client.js"
import type { Run } from "../client/Run.js"
import { isTerminal } from "../client/Answer.js"
import * as RunState from "../client/RunState.js"
import type { ServerEvent } from "../client/ServerEvent.js"
import type { CliError } from "./CliError.js"
import * as Output from "./Output.js"

/** An event of the wire as it came; and behind all of them, how the run ended. */
type Line = ServerEvent | { readonly event: "end"; readonly payload: RunEnd }

/**
 * Behind the events, whatever happened to them: what has become of the run. `state`: `final`, `aborted`, `error`, `rejected`
 * (the message was not taken, and no run began) or `stopped` (the message was a command that stops runs).
 */
interface RunEnd {
  readonly runId: string
  readonly sessionKey: string
  readonly state: string
  /** The answer, as far as it came. */
  readonly text: string
  readonly [field: string]: unknown
}

export interface RunLines {
  /** Prints until the run is over. */
  readonly print: (run: Run) => Effect.Effect<void, CliError, Terminal.Terminal>
}

/** Listens from now on. */
export const subscribe = (client: ClientShape): Effect.Effect<RunLines, never, Scope.Scope> =>
  Effect.map(client.subscribe, (events) => ({
    print: (run) =>
      Effect.gen(function* () {
        yield* events.pipe(
          Stream.filter((event) => runIdOf(event) === run.key),
          Stream.takeUntil((event) => event.event === "chat" && isTerminal(event.payload)),
          Stream.interruptWhen(overWithoutEvent(run)),
          Stream.runForEach(printed)
        )
        yield* printed({ event: "end", payload: endOf(run, yield* run.state) })
      })
  }))

/** A run may end without an event: a message that is not taken, an end that only the history tells. */
const overWithoutEvent = (run: Run) => Effect.zipRight(Effect.exit(run.result), Effect.sleep("200 millis"))

const printed = (line: Line) => Output.printLine(JSON.stringify(line))

const runIdOf = ({ payload }: ServerEvent): string | undefined =>
  typeof payload === "object" && payload !== null && "runId" in payload ? payload.runId : undefined

const endOf = ({ key, sessionKey }: Run, state: RunState.RunState): RunEnd => {
  const { _tag, ...fields } = state
  return {
    runId: key,
    sessionKey,
    text: RunState.textOf(state),
    ...fields,
    state: _tag === "Failed" ? "error" : _tag.toLowerCase()
  }
}
