/**
 * AgentCommand: any program as an agent, started once per run. It gets the message on stdin, what it writes to stdout is the
 * answer, as it comes; exit code 0 says that the answer is whole. Never through a shell.
 *
 * Its environment is the one configured, and `COLLOQUY_RUN_ID`, `COLLOQUY_SESSION_KEY` and `COLLOQUY_AGENT_ID`.
 */
import { Chunk, type Duration, Effect, Layer, Option, type Scope, Stream } from "effect"
import * as AgentEvent from "../domain/AgentEvent.js"
import { type Agent, AgentError, type AgentRequest, AgentRunner } from "./AgentRunner.js"
import * as CommandInput from "./process/CommandInput.js"
import * as ErrorOutput from "./process/ErrorOutput.js"
import * as Secrets from "./process/Secrets.js"
import * as StartFailure from "./process/StartFailure.js"
import {
  type ProcessError,
  type ProcessExit,
  type ProcessGroup,
  ProcessGroups,
  type ProcessGroupsShape
} from "./ProcessGroup.js"

export interface CommandOptions {
  /** A name, looked up on `PATH` of `env`, or a path. */
  readonly command: string
  readonly args: ReadonlyArray<string>
  /** Default: the gateway's own. */
  readonly cwd?: string
  /** The whole environment; nothing of the gateway's own is added. */
  readonly env: Readonly<Record<string, string>>
  /** What stdin is: the user's text alone, or one JSON document (`CommandInput`). */
  readonly input: "text" | "json"
  readonly name?: string
  /** Told to the program (json), and to clients. */
  readonly model?: string
  /** Told to the program (json). */
  readonly system?: string
  /** Can the program see images? Default: with json. With text there is no way to give it any. */
  readonly images?: boolean
  /** How much of the conversation it is told (json). */
  readonly history: { readonly messages: number; readonly bytes: number }
  /**
   * How long the program has to end itself when the run is over, and then what it has left behind: SIGTERM, this grace,
   * SIGKILL. Less than the gateway's `interruptGrace`; 2 seconds are a good choice.
   */
  readonly killGrace: Duration.Duration
  readonly runTimeout?: Duration.Duration
  readonly maxConcurrentRuns?: number
}

export const make = (options: CommandOptions): Effect.Effect<Agent, never, ProcessGroups> =>
  Effect.map(ProcessGroups, (groups) =>
    Secrets.keep(options.env, {
      about: {
        kind: "command",
        images: options.input === "json" && (options.images ?? true),
        ...(options.name === undefined ? {} : { name: options.name }),
        ...(options.model === undefined ? {} : { model: { id: options.model, provider: "command" } }),
        ...(options.runTimeout === undefined ? {} : { runTimeout: options.runTimeout }),
        ...(options.maxConcurrentRuns === undefined ? {} : { maxConcurrentRuns: options.maxConcurrentRuns })
      },
      run: (request) => Stream.unwrapScoped(answer(groups, options, request)),
      check: groups.find(options).pipe(
        Effect.map((path) => `found at ${path}`),
        Effect.catchAll((error) => Effect.flip(StartFailure.describe(groups, options, error)))
      )
    })
  )

/** The one agent of a gateway. */
export const layer = (options: CommandOptions): Layer.Layer<AgentRunner, never, ProcessGroups> =>
  Layer.effect(
    AgentRunner,
    Effect.map(make(options), ({ about, run }) => ({ agents: about, run }))
  )

/** Starts the program; the stream is what it says. It is ended, with all that it has started, when the scope closes. */
const answer = (groups: ProcessGroupsShape, options: CommandOptions, request: AgentRequest) =>
  Effect.gen(function* () {
    const input = options.input === "text" ? request.message : yield* CommandInput.make(options, request)
    const group = yield* start(groups, options, request)
    yield* feed(group, input)
    const errors = yield* ErrorOutput.follow(group.errors, (line) =>
      Effect.logDebug(line).pipe(Effect.annotateLogs({ command: options.command, runId: request.runId }))
    )
    const pull = yield* Stream.toPull(group.output)
    return Stream.repeatEffectChunkOption(hear(options, group, errors, pull))
  })

const start = (groups: ProcessGroupsShape, options: CommandOptions, request: AgentRequest) =>
  groups
    .spawn({
      ...options,
      env: {
        ...options.env,
        COLLOQUY_RUN_ID: request.runId,
        COLLOQUY_SESSION_KEY: request.sessionKey,
        COLLOQUY_AGENT_ID: request.agentId
      }
    })
    .pipe(Effect.catchAll((error) => Effect.flip(StartFailure.describe(groups, options, error))))

/** Gives the program its input, beside all else: it may say much before it has read it, and need not read it at all. */
const feed = (group: ProcessGroup, input: string): Effect.Effect<void, never, Scope.Scope> =>
  group
    .write(input)
    .pipe(
      Effect.ignore,
      Effect.zipRight(group.closeInput),
      Effect.interruptible,
      Effect.forkScoped,
      Effect.asVoid
    )

type Pull<A, E> = Effect.Effect<Chunk.Chunk<A>, Option.Option<E>>

/** The next piece of the answer; behind the last one, what its end was. */
const hear = (
  options: CommandOptions,
  group: ProcessGroup,
  errors: ErrorOutput.ErrorOutput,
  output: Pull<Uint8Array, ProcessError>
): Pull<AgentEvent.AgentEvent, AgentError> => {
  const decoder = new TextDecoder()
  let ended = false
  // A program that is gone may have left others behind that hold its pipe. What they still say is taken, but not waited for.
  const silence: Effect.Effect<never, Option.Option<ProcessError>> = Effect.zipRight(
    group.exit,
    Effect.delay(Effect.fail(Option.none()), options.killGrace)
  )
  const end = Effect.gen(function* () {
    ended = true
    const exit = yield* group.exit
    if (exit.code === 0) return Chunk.append(said(decoder.decode()), AgentEvent.end())
    yield* Effect.timeoutOption(errors.ended, options.killGrace)
    return yield* Effect.fail(Option.some(failed(options.command, exit, yield* errors.tail)))
  })
  const more = Effect.matchEffect(Effect.raceFirst(output, silence), {
    onSuccess: (chunks) =>
      Effect.succeed(
        said(Chunk.reduce(chunks, "", (text, bytes) => text + decoder.decode(bytes, { stream: true })))
      ),
    onFailure: Option.match({
      onNone: () => end,
      onSome: ({ code }) => Effect.fail(Option.some(unreadable(options.command, code)))
    })
  })
  return Effect.suspend(() => (ended ? Effect.fail(Option.none()) : more))
}

const said = (text: string): Chunk.Chunk<AgentEvent.AgentEvent> =>
  text === "" ? Chunk.empty() : Chunk.of(AgentEvent.textDelta(text))

/** The exit code that by custom (sysexits.h, EX_TEMPFAIL) says: not now, try again. */
const tryAgain = 75

const failed = (command: string, { code, signal }: ProcessExit, tail: string): AgentError =>
  new AgentError({
    code: "COMMAND_FAILED",
    ...(code === tryAgain ? { retryable: true } : {}),
    message: [
      code === null ? `${command} was ended by ${signal}` : `${command} has failed with exit code ${code}`,
      signal === "SIGKILL" ? " (was the machine out of memory?)" : "",
      tail === ""
        ? ", without a word on stderr: run it by hand to see why"
        : `; mend what it says on stderr:\n${tail}`
    ].join("")
  })

const unreadable = (command: string, code: string): AgentError =>
  new AgentError({
    code: "COMMAND_FAILED",
    message: `the output of ${command} could not be read (${code}): try again`
  })
