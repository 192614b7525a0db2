/**
 * AcpSessions: the agent's sessions behind the gateway's. An agent keeps the conversation itself; what is kept here is which
 * of its sessions it is, and which messages that one has seen.
 */
import { Effect, Fiber, Option, Schema, type Scope } from "effect"
import type { StoredMessage } from "../../domain/Message.js"
import type { AgentError, AgentRequest } from "../AgentRunner.js"
import * as AcpFailure from "./AcpFailure.js"
import type { AcpOptions } from "./AcpOptions.js"
import type { AcpProcess } from "./AcpProcess.js"
import type * as AcpProcesses from "./AcpProcesses.js"
import { apart } from "../process/Apart.js"
import * as Handshake from "./Handshake.js"
import * as SessionUpdate from "./SessionUpdate.js"

/** One session of the agent. */
export interface AcpSession {
  readonly id: string
  readonly process: AcpProcess
  readonly earlier: SessionUpdate.Earlier
  state: Handshake.SessionState
  /** Was it prompted? The first prompt carries the system prompt. */
  isPrompted: boolean
  /** What it knows: messages by id, and all messages of runs. */
  seen: Seen
}

interface Seen {
  readonly runs: ReadonlySet<unknown>
  readonly ids: ReadonlySet<string>
}

export interface AcpSessions {
  /**
   * The agent's session for a run, made or taken up again if need be. It is the run's alone until the scope closes. Interrupted
   * while the agent is at making one, it gives it time to finish, and stops its process if it does not.
   */
  readonly open: (request: AgentRequest) => Effect.Effect<AcpSession, AgentError, Scope.Scope>
}

/** What is remembered of a session of the gateway. */
interface Known {
  readonly lock: Effect.Semaphore
  session: AcpSession | undefined
}

/** The sessions that are remembered; of one that is forgotten, the agent is told all anew. */
const mostSessions = 1000

export const make = (options: AcpOptions, processes: AcpProcesses.AcpProcesses): AcpSessions => {
  const known = new Map<string, Known>()

  const knownOf = (sessionId: string): Known => {
    const one = known.get(sessionId) ?? { lock: Effect.unsafeMakeSemaphore(1), session: undefined }
    known.delete(sessionId)
    known.set(sessionId, one)
    return one
  }

  /** Forgets those that were used least recently. */
  const forget: Effect.Effect<void> = Effect.suspend(() => {
    if (known.size <= mostSessions) return Effect.void
    const [oldest] = known
    if (oldest === undefined) return Effect.void
    const [sessionId, { session }] = oldest
    known.delete(sessionId)
    return session === undefined ? forget : Effect.zipRight(closeSession(session), forget)
  })

  return {
    open: (request) =>
      Effect.gen(function* () {
        const one = knownOf(request.sessionId)
        yield* forget
        // The lanes give a session one run at a time; one that was cut off may still be at its last words.
        yield* hold(one.lock)
        const key = options.process === "agent" ? "" : request.sessionId
        const process = yield* processes.use(key)
        const session =
          one.session?.process === process
            ? one.session
            : yield* enter(options, process, one.session).pipe(
                Effect.tap((session) => Effect.sync(() => (one.session = session)))
              )
        yield* setThinking(options, session, request.thinking)
        return session
      })
  }
}

const hold = (lock: Effect.Semaphore): Effect.Effect<void, never, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.zipRight(
      restore(lock.take(1)),
      Effect.addFinalizer(() => lock.release(1))
    )
  )

/** Makes a session, or takes up again the one that an earlier process had. */
const enter = (
  options: AcpOptions,
  process: AcpProcess,
  earlier: AcpSession | undefined
): Effect.Effect<AcpSession, AgentError> =>
  Effect.gen(function* () {
    const again = earlier === undefined ? undefined : takeUp(options, process, earlier)
    const session =
      again === undefined
        ? yield* makeNew(options, process)
        : // An agent that does not know its session any more is told what it has to know.
          yield* Effect.catchIf(
            again,
            ({ code }) => code === "ACP_REQUEST_FAILED",
            () => makeNew(options, process)
          )
    yield* setModel(options, session)
    return session
  })

/** Makes a session on a process. */
export const makeNew = (options: AcpOptions, process: AcpProcess): Effect.Effect<AcpSession, AgentError> =>
  attend(options, process, "session/new", { cwd: options.cwd, mcpServers: [] }, Handshake.NewSession).pipe(
    Effect.map(({ sessionId, ...state }) => ({
      id: sessionId,
      process,
      earlier: SessionUpdate.makeEarlier(),
      state,
      isPrompted: false,
      seen: { runs: new Set(), ids: new Set() }
    }))
  )

/** Goes on with a session that another process has left behind, for agents that can do that. */
const takeUp = (
  options: AcpOptions,
  process: AcpProcess,
  earlier: AcpSession
): Effect.Effect<AcpSession, AgentError> | undefined => {
  const { agentCapabilities } = process.info
  const resumes = isThere(agentCapabilities?.sessionCapabilities?.resume)
  if (!earlier.isPrompted || (!resumes && agentCapabilities?.loadSession !== true)) return undefined
  const params = { sessionId: earlier.id, cwd: options.cwd, mcpServers: [] }
  // What `load` replays belongs to no turn and is dropped.
  const method = resumes ? "session/resume" : "session/load"
  return attend(options, process, method, params, Schema.NullOr(Handshake.SessionState)).pipe(
    Effect.map((state) => ({ ...earlier, process, state: state ?? {} }))
  )
}

const isThere = (capability: object | null | undefined): boolean =>
  capability !== undefined && capability !== null

/**
 * A request whose giving up leaves open what the agent makes of it. So it is given time to answer; if it does not, its process
 * is stopped.
 */
const attend = <A, I>(
  { cancelGrace }: AcpOptions,
  process: AcpProcess,
  method: string,
  params: object,
  result: Schema.Schema<A, I>
): Effect.Effect<A, AgentError> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkDaemon(Effect.interruptible(process.request(method, params, result)))
      const exit = yield* restore(Fiber.await(fiber)).pipe(
        Effect.onInterrupt(() =>
          Fiber.await(fiber).pipe(
            Effect.interruptible,
            Effect.timeoutOption(cancelGrace),
            Effect.flatMap((answer) =>
              Option.isSome(answer) ? Effect.void : process.stop(`it did not answer ${method} in time`)
            ),
            apart
          )
        )
      )
      return yield* exit
    })
  )

const closeSession = ({ id, process }: AcpSession): Effect.Effect<void> =>
  process.isAlive() && isThere(process.info.agentCapabilities?.sessionCapabilities?.close)
    ? Effect.asVoid(
        Effect.forkDaemon(Effect.ignore(process.request("session/close", { sessionId: id }, Schema.Unknown)))
      )
    : Effect.void

/** Chooses the configured model, where the agent lets it be chosen. */
const setModel = (options: AcpOptions, session: AcpSession): Effect.Effect<void, AgentError> =>
  Effect.suspend(() => {
    const { command, model } = options
    if (model === undefined) return Effect.void
    const setting = Handshake.settingOf(session.state, "model")
    if (setting !== undefined) {
      const choice = setting.choices.find(({ name, value }) => value === model || name === model)
      return choice === undefined
        ? Effect.fail(
            AcpFailure.modelNotOffered(
              command,
              model,
              setting.choices.map(({ value }) => value)
            )
          )
        : choose(options, session, setting, choice.value)
    }
    const { models } = session.state
    if (models === undefined || models === null) {
      return Effect.logWarning(`${command} lets nobody choose its model: ${model} is not set`)
    }
    const offered = models.availableModels.find(({ modelId, name }) => modelId === model || name === model)
    if (offered === undefined) {
      const ids = models.availableModels.map(({ modelId }) => modelId)
      return Effect.fail(AcpFailure.modelNotOffered(command, model, ids))
    }
    if (offered.modelId === models.currentModelId) return Effect.void
    const params = { sessionId: session.id, modelId: offered.modelId }
    return Effect.asVoid(attend(options, session.process, "session/set_model", params, Schema.Unknown))
  })

/** Sets the level of thinking that was asked for, where the agent has that level. */
const setThinking = (
  options: AcpOptions,
  session: AcpSession,
  level: string | undefined
): Effect.Effect<void, AgentError> => {
  const setting = Handshake.settingOf(session.state, "thought_level")
  const choice = setting?.choices.find(({ value }) => value === level)
  return setting === undefined || choice === undefined
    ? Effect.void
    : choose(options, session, setting, choice.value)
}

const choose = (
  options: AcpOptions,
  session: AcpSession,
  { current, id }: Handshake.Setting,
  value: string
): Effect.Effect<void, AgentError> => {
  if (current === value) return Effect.void
  const params = { sessionId: session.id, configId: id, value }
  return attend(options, session.process, "session/set_config_option", params, Handshake.SessionState).pipe(
    Effect.map((state) => {
      session.state = { ...session.state, ...state }
    })
  )
}

/** What a session has not seen of a transcript. */
export const unseen = (
  { seen }: AcpSession,
  transcript: ReadonlyArray<StoredMessage>
): ReadonlyArray<StoredMessage> =>
  transcript.filter((message) => !isOfRun(seen.runs, message) && !seen.ids.has(idOf(message)))

/** The session has heard a run's prompt, and with it what of the transcript was new to it. */
export const saw = (session: AcpSession, transcript: ReadonlyArray<StoredMessage>, key: string): void => {
  const own = transcript.findLastIndex((message) => message["role"] === "user" && message["runId"] === key)
  // What has left the transcript's window won't be asked for again; what waits behind the run was not told.
  const told = transcript.filter((message, at) => own < 0 || at <= own || message["role"] !== "user")
  session.seen = {
    runs: new Set([
      key,
      ...told.flatMap((message) => (isOfRun(session.seen.runs, message) ? [message["runId"]] : []))
    ]),
    ids: new Set(told.map(idOf))
  }
  session.isPrompted = true
}

const isOfRun = (runs: ReadonlySet<unknown>, { runId }: StoredMessage): boolean => runs.has(runId)

/** Other programs may have written messages without an id. */
const idOf = ({ id, role, timestamp }: StoredMessage): string => id ?? JSON.stringify([role, timestamp])
