/** `colloquy send "text"`: one message, its answer on standard output. */
import { type FileSystem, type Path, Terminal } from "@effect/platform"
import { Effect, Either, Option, Ref, Stream } from "effect"
import type { RunError } from "../client/ClientError.js"
import type { RunState } from "../client/RunState.js"
import * as WebSocketClient from "../transport/WebSocketClient.js"
import { CliError, exitCodes, failed } from "./CliError.js"
import * as Logging from "./Logging.js"
import * as Remote from "./Remote.js"
import * as Settings from "./Settings.js"
import type { SettingsError } from "./SettingsError.js"
import * as Signals from "./Signals.js"

export interface Request {
  readonly sessionKey: string
  readonly message: string
  /** Where the gateway is; absent: where `colloquy serve` with these settings listens. */
  readonly url: Option.Option<string>
}

type Environment = FileSystem.FileSystem | Path.Path | Terminal.Terminal

/** Sends and prints. The first SIGINT or SIGTERM aborts the run. */
export const send = (
  request: Request,
  flags: Settings.Flags
): Effect.Effect<void, CliError | SettingsError, Environment> =>
  Effect.scoped(
    Effect.gen(function* () {
      const signal = yield* Signals.listen
      const loaded = yield* Settings.load(flags)
      yield* Effect.provide(converse(request, loaded, signal), [
        Logging.layer(loaded.settings),
        WebSocketClient.layer
      ])
    })
  )

const converse = (request: Request, loaded: Settings.Loaded, signal: Effect.Effect<Signals.Signal>) =>
  Effect.gen(function* () {
    const target = yield* Remote.target(request.url, loaded)
    const client = yield* Effect.raceFirst(
      Remote.connect(target, ["operator.read", "operator.write"]),
      Effect.flatMap(signal, Signals.interrupted)
    )
    const { message, sessionKey } = request
    const run = yield* Effect.mapError(client.send({ sessionKey, message }), () =>
      failed("too many messages wait")
    )
    const wanted = yield* Ref.make(Option.none<Signals.Signal>())
    yield* signal.pipe(
      Effect.tap((received) => Ref.set(wanted, Option.some(received))),
      Effect.tap((received) =>
        Effect.annotateLogs(Effect.logDebug("aborting"), { signal: received, runId: run.key })
      ),
      Effect.zipRight(run.abort),
      Effect.tap(({ aborted }) =>
        aborted
          ? Effect.void
          : Effect.logWarning("The run can't be aborted any more. Once more to leave without its end.")
      ),
      Effect.ignore, // What keeps it from being aborted is told by the run, too.
      Effect.forkScoped
    )

    const text = yield* Ref.make("")
    yield* run.deltas.pipe(
      Stream.runForEach(({ added, rewritten, text: whole }) =>
        Effect.flatMap(Ref.getAndSet(text, whole), (before) =>
          print(rewritten && before !== "" ? `\n${added}` : added)
        )
      ),
      Effect.catchIf(
        (error) => !(error instanceof CliError),
        () => Effect.void // How it ended is in its state.
      ),
      Effect.ensuring(
        Effect.flatMap(Ref.get(text), (said) =>
          said === "" || said.endsWith("\n") ? Effect.void : Effect.ignore(print("\n"))
        )
      )
    )
    yield* verdict(target, yield* Effect.either(run.result), yield* run.state, yield* Ref.get(wanted))
  })

/** How the program ends after the run's end. */
const verdict = (
  target: Remote.Target,
  result: Either.Either<unknown, RunError>,
  state: RunState,
  signal: Option.Option<Signals.Signal>
): Effect.Effect<void, CliError, Terminal.Terminal> => {
  if (state._tag === "Stopped") {
    const count = state.runIds.length
    return print(count === 0 ? "Nothing was running.\n" : `Aborted ${count} run${count === 1 ? "" : "s"}.\n`)
  }
  if (Either.isRight(result)) return Effect.void
  const error = result.left
  switch (error._tag) {
    case "RunAborted":
      return Option.isSome(signal)
        ? Signals.interrupted(signal.value)
        : Effect.fail(
            failed(`the run was aborted (${abortReasons[error.reason ?? ""] ?? "it is not known by whom"}).`)
          )
    case "RunFailed":
    case "SendRejected":
      return Effect.fail(failed(error.message))
    default:
      return Effect.fail(Remote.explain(target)(error))
  }
}

const abortReasons: Readonly<Record<string, string | undefined>> = {
  rpc: "by another client",
  stop: "by a stop command",
  timeout: "it took too long",
  shutdown: "the gateway stopped"
}

/** Writes to standard output, at once. */
const print = (text: string): Effect.Effect<void, CliError, Terminal.Terminal> =>
  text === ""
    ? Effect.void
    : Effect.flatMap(Terminal.Terminal, (terminal) => terminal.display(text)).pipe(
        // Whoever read it (`| head`) has gone: nothing more to do here, and nobody to tell.
        Effect.mapError(() => new CliError({ message: "", exitCode: exitCodes.readerGone }))
      )
