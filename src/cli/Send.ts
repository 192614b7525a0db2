/** `colloquy send "text"`: one message, its answer on standard output. */
import { type FileSystem, type Path, Terminal } from "@effect/platform"
import { Effect, Option, type Redacted, Ref, Stream } from "effect"
import * as Answer from "../client/Answer.js"
import * as Client from "../client/Client.js"
import type { CallError, Unreachable } from "../client/ClientError.js"
import { version } from "../domain/Product.js"
import * as Ids from "../domain/Ids.js"
import type { ChatEvent } from "../protocol/Chat.js"
import * as WebSocketClient from "../transport/WebSocketClient.js"
import { CliError, exitCodes, failed } from "./CliError.js"
import * as Invocation from "./Invocation.js"
import * as Logging from "./Logging.js"
import * as Settings from "./Settings.js"
import type { SettingsError } from "./SettingsError.js"
import * as Signals from "./Signals.js"
import * as TokenFile from "./TokenFile.js"
import { isLoopback } from "../domain/Loopback.js"
import * as Urls from "./Urls.js"

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
    const target = yield* targetOf(request, loaded)
    const client = yield* Effect.raceFirst(
      Effect.mapError(connect(target), explainConnect(target)),
      Effect.flatMap(signal, Signals.interrupted)
    )

    // The run's id is known before the gateway knows it: an abort right behind the send finds its run.
    const runId = yield* Ids.uuid
    const { message, sessionKey } = request
    const events = yield* client.subscribe
    const wanted = yield* Ref.make(Option.none<Signals.Signal>())
    yield* signal.pipe(
      Effect.tap((received) => Ref.set(wanted, Option.some(received))),
      Effect.tap((received) => Effect.annotateLogs(Effect.logDebug("aborting"), { signal: received, runId })),
      Effect.zipRight(client.abort({ sessionKey, runId })),
      Effect.tap(({ aborted }) =>
        aborted
          ? Effect.void
          : Effect.logWarning("The run can't be aborted any more. Once more to leave without its end.")
      ),
      Effect.ignore, // What keeps it from being aborted is told by the events, too.
      Effect.forkScoped
    )

    const accepted = yield* Effect.mapError(
      client.send({ sessionKey, message, idempotencyKey: runId }),
      explainCall(target)
    )
    if (!("status" in accepted)) {
      const count = accepted.runIds.length
      return yield* print(
        count === 0 ? "Nothing was running.\n" : `Aborted ${count} run${count === 1 ? "" : "s"}.\n`
      )
    }

    const last = yield* events.pipe(
      Stream.filterMap((event) =>
        event.event === "chat" && event.payload.runId === runId ? Option.some(event.payload) : Option.none()
      ),
      Stream.takeUntil(Answer.isTerminal),
      Stream.mapError(explainCall(target)),
      Stream.runFoldEffect({ text: "", last: Option.none<ChatEvent>() }, ({ text }, event) => {
        const piece = Answer.next(text, event)
        const shown = piece.rewritten && text !== "" ? `\n${piece.added}` : piece.added
        return Effect.as(print(shown), { text: piece.text, last: Option.some(event) })
      })
    )
    if (last.text !== "" && !last.text.endsWith("\n")) yield* print("\n")
    yield* verdict(Option.getOrUndefined(last.last), yield* Ref.get(wanted))
  })

/** How the program ends after the run's last event. */
const verdict = (
  last: ChatEvent | undefined,
  signal: Option.Option<Signals.Signal>
): Effect.Effect<void, CliError> => {
  switch (last?.state) {
    case "final":
      return Effect.void
    case "error":
      return Effect.fail(failed(last.errorMessage))
    case "aborted":
      return Option.isSome(signal)
        ? Signals.interrupted(signal.value)
        : Effect.fail(failed(`the run was aborted (${abortReasons[last.stopReason]}).`))
    default:
      return Effect.fail(failed("the answer has no end."))
  }
}

const abortReasons = {
  rpc: "by another client",
  stop: "by a stop command",
  timeout: "it took too long",
  shutdown: "the gateway stopped"
} as const

/** Writes to standard output, at once. */
const print = (text: string): Effect.Effect<void, CliError, Terminal.Terminal> =>
  text === ""
    ? Effect.void
    : Effect.flatMap(Terminal.Terminal, (terminal) => terminal.display(text)).pipe(
        // Whoever read it (`| head`) has gone: nothing more to do here, and nobody to tell.
        Effect.mapError(() => new CliError({ message: "", exitCode: exitCodes.readerGone }))
      )

interface Target {
  readonly url: string
  readonly token: Redacted.Redacted | undefined
}

const targetOf = ({ url }: Request, { settings }: Settings.Loaded) =>
  Effect.gen(function* () {
    const isTls = Option.isSome(settings.tlsCert) && Option.isSome(settings.tlsKey)
    const own = Urls.gateway(settings.host, settings.port, isTls)
    const wanted = Option.getOrElse(url, () => own)
    const parsed = Urls.parse(wanted)
    if (Option.isNone(parsed)) {
      return yield* new CliError({
        message: `--url: expected the address of a gateway, such as ${own}; found ${Urls.shown(wanted)}`,
        exitCode: exitCodes.usage
      })
    }
    if (Urls.hasSecret(parsed.value)) {
      return yield* new CliError({
        message:
          "--url: expected an address without a token or password in it, since addresses end up in logs and lists of processes. Set the token with COLLOQUY_TOKEN",
        exitCode: exitCodes.usage
      })
    }
    if (Option.isSome(settings.token)) return { url: wanted, token: settings.token.value }
    // The token of the gateway here is not for one elsewhere.
    const local = wanted === own || isLoopback(parsed.value.hostname)
    const token = local ? yield* TokenFile.read(settings.stateDir) : Option.none()
    return { url: wanted, token: Option.getOrUndefined(token) }
  })

const connect = ({ token, url }: Target) =>
  Client.make({
    url,
    token,
    client: { id: "cli", version, platform: process.platform, mode: "cli" },
    scopes: ["operator.read", "operator.write"],
    caps: ["delta-only"]
  }).pipe(
    Effect.timeoutFail({
      duration: "10 seconds",
      onTimeout: () => failed(`${url} does not answer. Is it a Colloquy gateway?`)
    })
  )

const explainConnect =
  (target: Target) =>
  (error: Unreachable | CallError | CliError): CliError => {
    const { url } = target
    switch (error._tag) {
      case "CliError":
        return error
      case "Unreachable":
        return failed(
          `no gateway at ${url} (${error.reason}). Start one: ${Invocation.command()} serve. Or name another: --url`
        )
      case "RequestFailed":
        return error.message.startsWith("unauthorized")
          ? failed(
              `${url} refuses the token (${error.message}). Pass the one that the gateway shows when it starts: --token or COLLOQUY_TOKEN`
            )
          : failed(`${url} refuses the connection: ${error.message}`)
      default:
        return explainCall(target)(error)
    }
  }

const explainCall =
  ({ url }: Target) =>
  (error: CallError): CliError => {
    switch (error._tag) {
      case "RequestFailed":
        return failed(error.message)
      case "ConnectionLost":
        return failed(
          `the connection to ${url} is lost (${error.code}${error.reason === "" ? "" : ` ${error.reason}`}); what was sent may be answered without us: see the session's history.`
        )
      case "ProtocolViolation":
        return failed(
          `${url} sent a ${error.subject} that can't be understood (expected ${error.expected}). Is it a Colloquy gateway?`
        )
    }
  }
