/** AcpProcess: an agent's process from its handshake to its last breath. */
import { client, PROTOCOL_VERSION, RequestError } from "@agentclientprotocol/sdk"
import {
  Deferred,
  Effect,
  ExecutionStrategy,
  Exit,
  FiberSet,
  Option,
  ParseResult,
  type Schema,
  Scope
} from "effect"
import * as Product from "../../domain/Product.js"
import type { AgentError } from "../AgentRunner.js"
import * as ErrorOutput from "../process/ErrorOutput.js"
import * as StartFailure from "../process/StartFailure.js"
import type { ProcessGroup, ProcessGroupsShape } from "../ProcessGroup.js"
import * as AcpFailure from "./AcpFailure.js"
import type { AcpOptions } from "./AcpOptions.js"
import * as AcpWire from "./AcpWire.js"
import { apart } from "../process/Apart.js"
import * as ClientSide from "./ClientSide.js"
import * as Handshake from "./Handshake.js"
import * as SessionUpdate from "./SessionUpdate.js"

export interface AcpProcess {
  readonly info: Handshake.Initialized
  /** Fails with `ACP_AGENT_DIED` when the process ends. Interrupted, nobody hears the answer any more. */
  readonly request: <A, I>(
    method: string,
    params: object,
    result: Schema.Schema<A, I>
  ) => Effect.Effect<A, AgentError>
  /** Waits until the pipe has taken it; that the process is gone is no failure. */
  readonly notify: (method: string, params: object) => Effect.Effect<void>
  /** The turns that its sessions are at, by the agent's session ids. */
  readonly turns: Map<string, ClientSide.Turn>
  readonly isAlive: () => boolean
  /** Ends it to the last process and waits for that, also when somebody else has begun it. `why` is a clause. */
  readonly stop: (why: string) => Effect.Effect<void>
}

/** What processes are made with. */
export interface Workshop {
  readonly options: AcpOptions
  readonly groups: ProcessGroupsShape
  readonly clientSide: ClientSide.ClientSide
}

/**
 * Starts the process and shakes hands. It lives until it dies or `stop`, and no longer than the scope. Interrupted before it
 * is ready, it is ended to the last process.
 */
export const start = (workshop: Workshop): Effect.Effect<AcpProcess, AgentError, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const parent = yield* Effect.scope
      const scope = yield* Scope.fork(parent, ExecutionStrategy.sequential)
      // Whoever closes it second waits for the first.
      const close = yield* Effect.cached(apart(Scope.close(scope, Exit.void)))
      const exit = yield* Effect.exit(restore(Scope.extend(open(workshop, parent, close), scope)))
      if (Exit.isFailure(exit)) yield* close
      return yield* exit
    })
  )

const open = (
  { clientSide, groups, options }: Workshop,
  parent: Scope.Scope,
  close: Effect.Effect<void>
): Effect.Effect<AcpProcess, AgentError, Scope.Scope> =>
  Effect.gen(function* () {
    const { command } = options
    const log = (line: string) => Effect.annotateLogs(Effect.logDebug(line), { command })
    const group = yield* groups
      .spawn(options)
      .pipe(Effect.catchAll((error) => Effect.flip(StartFailure.describe(groups, options, error))))
    const errors = yield* ErrorOutput.follow(group.errors, log)
    const turns = new Map<string, ClientSide.Turn>()
    const wire = yield* AcpWire.make(group, {
      onUpdate: takeUpdate(turns),
      onAnswer: (sessionId) => turns.get(sessionId)?.inbox.seal(),
      log
    })
    const runPromise = yield* FiberSet.makeRuntimePromise()
    const app = client({ name: "colloquy" })
    ClientSide.register(app, clientSide, turns, runPromise)
    const connection = yield* Effect.acquireRelease(
      Effect.sync(() => app.connect(wire.stream)),
      (connection) => Effect.sync(() => connection.close())
    )
    const died = yield* Effect.acquireRelease(Deferred.make<never, AgentError>(), (died) =>
      Deferred.fail(died, AcpFailure.stopped(command, "the gateway stops"))
    )
    let authMethods: ReadonlyArray<AcpFailure.AuthMethod> = []
    let alive = true

    const end = (error: AgentError): Effect.Effect<void> =>
      Effect.uninterruptible(
        Effect.gen(function* () {
          alive = false
          yield* Deferred.fail(died, error)
          yield* close
        })
      )

    const request: AcpProcess["request"] = (method, params, result) =>
      Effect.tryPromise({
        try: () => connection.agent.request<unknown, object>(method, params),
        // Any other failure is that of the connection: why it has ended is known elsewhere.
        catch: (error) =>
          error instanceof RequestError ? AcpFailure.refused(command, method, error, authMethods) : undefined
      }).pipe(
        Effect.catchAll((refusal) => (refusal === undefined ? Deferred.await(died) : Effect.fail(refusal))),
        Effect.flatMap((answer) =>
          Effect.mapError(ParseResult.decodeUnknown(result)(answer), () =>
            AcpFailure.protocol(command, `has answered ${method} with something else than an answer`)
          )
        )
      )

    yield* watch(options, group, errors, wire, connection.closed).pipe(
      Effect.flatMap(end),
      Effect.interruptible,
      Effect.forkIn(parent)
    )

    const info = yield* request(
      "initialize",
      {
        protocolVersion: PROTOCOL_VERSION,
        clientInfo: { name: "colloquy", title: "Colloquy", version: Product.version },
        clientCapabilities: ClientSide.capabilities(options)
      },
      Handshake.Initialized
    )
    if (info.protocolVersion !== PROTOCOL_VERSION)
      return yield* AcpFailure.protocol(
        command,
        `speaks version ${info.protocolVersion} of the Agent Client Protocol`
      )
    authMethods = info.authMethods ?? []
    return {
      info,
      request,
      notify: (method, params) =>
        Effect.ignore(Effect.tryPromise(() => connection.agent.notify(method, params))),
      turns,
      isAlive: () => alive,
      stop: (why) => end(AcpFailure.stopped(command, why))
    }
  })

/** An update goes to the turn that its session is at. What belongs to none comes too late, or is the replay of an old one. */
const takeUpdate =
  (turns: ReadonlyMap<string, ClientSide.Turn>) =>
  (params: unknown, bytes: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      const { sessionId, update } = Option.getOrElse(SessionUpdate.decodeNotification(params), () => nowhere)
      const turn = turns.get(sessionId)
      if (turn === undefined) return Effect.void
      const events = turn.reader.read(update)
      return events.length === 0 ? Effect.void : turn.inbox.put(events, bytes)
    })

const nowhere: typeof SessionUpdate.Notification.Type = { sessionId: "", update: undefined }

/** Waits until the process can't answer any more, and says why. What it has said before is read to the end. */
const watch = (
  { command, killGrace }: AcpOptions,
  group: ProcessGroup,
  errors: ErrorOutput.ErrorOutput,
  wire: AcpWire.AcpWire,
  closed: Promise<void>
): Effect.Effect<AgentError> =>
  Effect.gen(function* () {
    // What a process has left behind may hold its pipe: its words are taken, but not waited for.
    const gone = Effect.as(Effect.delay(group.exit, killGrace), undefined)
    const why = yield* Effect.raceAll([
      wire.ended,
      Effect.zipRight(group.exit, gone),
      Effect.as(
        Effect.promise(() => closed),
        undefined
      )
    ])
    if (why !== undefined) return AcpFailure.protocol(command, why)
    const exit = yield* Effect.timeoutOption(group.exit, killGrace)
    if (Option.isSome(exit)) yield* Effect.timeoutOption(errors.ended, killGrace)
    return AcpFailure.died(command, Option.getOrUndefined(exit), yield* errors.tail)
  })
