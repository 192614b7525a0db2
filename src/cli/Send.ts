/** `colloquy send "text"`: one message, its answer on standard output. */
import type { FileSystem, Path, Terminal } from "@effect/platform"
import { Effect, Either, Option, Ref, Stream } from "effect"
import type { RunError } from "../client/ClientError.js"
import type { Run } from "../client/Run.js"
import { CliError, exitCodes, failed } from "./CliError.js"
import * as Input from "./Input.js"
import * as Output from "./Output.js"
import * as Progress from "./Progress.js"
import * as Remote from "./Remote.js"
import * as RunLines from "./RunLines.js"
import type * as Settings from "./Settings.js"
import type { SettingsError } from "./SettingsError.js"
import * as Signals from "./Signals.js"
import { visibleText } from "./Visible.js"

export interface Request {
  /** Absent or `-`: standard input. */
  readonly text: Option.Option<string>
  readonly session: Option.Option<string>
  /** Files. */
  readonly images: ReadonlyArray<string>
  /** The idempotency key. */
  readonly key: Option.Option<string>
  readonly json: boolean
  /** Where the gateway is; absent: where `colloquy serve` with these settings listens. */
  readonly url: Option.Option<string>
}

type Environment = FileSystem.FileSystem | Path.Path | Terminal.Terminal

/** Sends and prints. The first SIGINT or SIGTERM aborts the run. */
export const send = (
  request: Request,
  flags: Settings.Flags
): Effect.Effect<void, CliError | SettingsError, Environment> =>
  Effect.gen(function* () {
    const attachments = yield* Effect.forEach(request.images, Input.image)
    const message = yield* textOf(request)
    if (message.trim() === "" && attachments.length === 0) {
      return yield* new CliError({ message: "there is nothing to send.", exitCode: exitCodes.usage })
    }
    return yield* Remote.talk(request.url, flags, ["operator.read", "operator.write"], (talk) =>
      Effect.gen(function* () {
        const lines = request.json ? yield* RunLines.subscribe(talk.client) : undefined
        const run = yield* talk.client
          .send({
            sessionKey: Option.getOrElse(request.session, () => "main"),
            message,
            ...(attachments.length === 0 ? {} : { attachments }),
            ...(Option.isSome(request.key) ? { key: request.key.value } : {})
          })
          .pipe(Effect.mapError(() => failed("too many messages wait")))
        const signal = yield* abortOnSignal(run, talk.signal)
        if (lines === undefined) yield* printAnswer(run)
        else yield* lines.print(run)
        const result = yield* Effect.either(run.result)
        const state = yield* run.state
        if (state._tag === "Stopped" && lines === undefined)
          yield* Output.printLine(stopped(state.runIds.length))
        yield* verdict(talk.target, result, yield* Ref.get(signal))
      })
    )
  })

const textOf = ({ images, text }: Request): Effect.Effect<string, CliError> => {
  if (Option.isSome(text) && text.value !== "-") return Effect.succeed(text.value)
  // Programs end what they print with a newline that is not meant.
  if (Option.isSome(text) || !Input.isTerminal()) {
    return Effect.map(Input.all, (input) => input.replace(/\r?\n$/, ""))
  }
  return images.length > 0
    ? Effect.succeed("")
    : new CliError({
        message:
          'expected a text: colloquy send "hello". Or have one come from standard input; or talk: colloquy chat',
        exitCode: exitCodes.usage
      })
}

/** Has the first signal abort the run; answers where it is noted which one came. */
const abortOnSignal = (run: Run, signal: Effect.Effect<Signals.Signal>) =>
  Effect.gen(function* () {
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
    return wanted
  })

/** Prints the answer as it grows; how it ended is in the run's state. */
const printAnswer = (run: Run) =>
  Effect.gen(function* () {
    const show = Output.isTerminal() ? visibleText : (text: string) => text
    const begun = Effect.exit(Stream.runHead(run.deltas))
    yield* Progress.during("Waiting for the answer", begun)
    const text = yield* Ref.make("")
    yield* run.deltas.pipe(
      Stream.runForEach(({ added, rewritten, text: whole }) =>
        Effect.flatMap(Ref.getAndSet(text, whole), (before) =>
          Output.print(show(rewritten && before !== "" ? `\n${added}` : added))
        )
      ),
      Effect.catchIf(
        (error) => !(error instanceof CliError),
        () => Effect.void
      ),
      Effect.ensuring(
        Effect.flatMap(Ref.get(text), (said) =>
          said === "" || said.endsWith("\n") ? Effect.void : Effect.ignore(Output.print("\n"))
        )
      )
    )
  })

const stopped = (count: number): string =>
  count === 0 ? "Nothing was running." : `Aborted ${count} run${count === 1 ? "" : "s"}.`

/** How the program ends after the run's end. */
const verdict = (
  target: Remote.Target,
  result: Either.Either<unknown, RunError>,
  signal: Option.Option<Signals.Signal>
): Effect.Effect<void, CliError> => {
  if (Either.isRight(result)) return Effect.void
  const error = result.left
  return error._tag === "RunAborted" && Option.isSome(signal)
    ? Signals.interrupted(signal.value)
    : Effect.fail(runFailure(target, error))
}

/** How a run ended, in words. */
export const runFailure = (target: Remote.Target, error: RunError): CliError => {
  switch (error._tag) {
    case "RunAborted":
      return failed(`the run was aborted (${abortReasons[error.reason ?? ""] ?? "it is not known by whom"}).`)
    case "RunFailed":
    case "SendRejected":
      return failed(error.message)
    default:
      return Remote.explain(target)(error)
  }
}

const abortReasons: Readonly<Record<string, string | undefined>> = {
  rpc: "by another client",
  stop: "by a stop command",
  timeout: "it took too long",
  shutdown: "the gateway stopped"
}
