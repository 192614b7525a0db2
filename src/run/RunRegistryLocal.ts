/** The registry of one process: runs are fibers here. */
import {
  Cause,
  Clock,
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  FiberSet,
  Layer,
  Option,
  Stream
} from "effect"
import { AgentError, type AgentRequest, AgentRunner } from "../agent/AgentRunner.js"
import type { AgentEvent } from "../domain/AgentEvent.js"
import type { RunId, SessionId } from "../domain/Ids.js"
import * as Message from "../domain/Message.js"
import { IdempotencyMismatch, QueueFull, RunSessionMismatch, ShuttingDown } from "../domain/RunError.js"
import * as RunState from "../domain/RunState.js"
import type { SessionKey } from "../domain/SessionKey.js"
import { EventHub } from "../event/EventHub.js"
import { GatewayConfig } from "../GatewayConfig.js"
import { SessionStore } from "../session/SessionStore.js"
import * as Fingerprint from "./Fingerprint.js"
import { Lanes } from "./Lanes.js"
import { type Audience, audiences, Run } from "./Run.js"
import {
  type AbortRequest,
  type AcceptError,
  type RunInfo,
  RunRegistry,
  type RunRegistryShape,
  type SendRequest,
  type SendStatus
} from "./RunRegistry.js"
import { SettledKeys } from "./SettledKeys.js"

const retryAfterMs = 1000

const make = Effect.gen(function* () {
  const config = yield* GatewayConfig
  const store = yield* SessionStore
  const runner = yield* AgentRunner
  const hub = yield* EventHub
  const fibers = yield* FiberSet.make<void>()

  const runs = new Map<RunId, Run>()
  const sessions = new Map<SessionKey, Set<Run>>()
  const settled = new SettledKeys(Duration.toMillis(config.idempotencyTtl))
  const lanes = new Lanes<Run>(
    {
      maxActive: config.maxConcurrentRuns,
      maxQueuedPerLane: config.maxQueuedPerSession,
      maxQueued: config.maxQueuedRuns
    },
    (run) => Deferred.unsafeDone(run.turn, Exit.void)
  )
  const empty = yield* Deferred.make<void>()
  let draining = false

  const register = (run: Run): void => {
    runs.set(run.ref.runId, run)
    const session = sessions.get(run.ref.sessionKey)
    if (session === undefined) sessions.set(run.ref.sessionKey, new Set([run]))
    else session.add(run)
  }

  const unregister = (run: Run): void => {
    runs.delete(run.ref.runId)
    const session = sessions.get(run.ref.sessionKey)
    session?.delete(run)
    if (session?.size === 0) sessions.delete(run.ref.sessionKey)
    if (draining && runs.size === 0) Deferred.unsafeDone(empty, Exit.void)
  }

  // ---------------------------------------------------------------------------------------------------------------
  // Agent events

  /** Shows an audience what is due until nothing is pending. At most one such fiber per run and audience. */
  const pace = (run: Run, audience: Audience, delay: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      run.paced[audience] = true
      const step = (due: number): Effect.Effect<void> =>
        Effect.raceFirst(Effect.sleep(due), Deferred.await(run.decided)).pipe(
          Effect.zipRight(Clock.currentTimeMillis),
          Effect.flatMap((now) => {
            const next = run.show(audience, now)
            if (next !== undefined) return step(next)
            run.paced[audience] = false
            return Effect.void
          })
        )
      return Effect.asVoid(FiberSet.run(fibers, Effect.interruptible(step(delay))))
    })

  /** Takes in events in order, then shows what is due. Answers whether the last one was taken. */
  const ingestAll = (run: Run, events: Iterable<AgentEvent>): Effect.Effect<boolean> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      let taken = false
      for (const event of events) taken = run.ingest(event, now)
      let rest: Effect.Effect<void> = Effect.void
      for (const audience of audiences) {
        const due = run.show(audience, now)
        if (due !== undefined && !run.paced[audience]) rest = Effect.zipRight(rest, pace(run, audience, due))
      }
      return Effect.as(rest, taken)
    })

  const ingest = (runId: RunId, event: AgentEvent): Effect.Effect<boolean> =>
    Effect.suspend(() => {
      const run = runs.get(runId)
      return run === undefined ? Effect.succeed(false) : ingestAll(run, [event])
    })

  // ---------------------------------------------------------------------------------------------------------------
  // The life of a run

  const agentRequest = (run: Run, sessionId: SessionId): AgentRequest => ({
    runId: run.ref.runId,
    sessionKey: run.ref.sessionKey,
    sessionId,
    agentId: run.ref.agentId,
    message: run.request.message,
    images: run.request.images,
    ...(run.request.thinking === undefined ? {} : { thinking: run.request.thinking }),
    history: (limit) =>
      store.history(run.ref.sessionKey, { limit, maxBytes: config.historyMaxBytes }).pipe(
        Effect.map((page) => page.messages),
        Effect.mapError(
          (error) => new AgentError({ message: "the conversation could not be read", cause: error })
        )
      )
  })

  /** Commits the decided outcome, then tells it. Not to be interrupted in between. */
  const settle = (run: Run): Effect.Effect<void> =>
    Effect.uninterruptible(
      Effect.gen(function* () {
        if (run.state._tag !== "Settling") return
        const decided = run.state.outcome
        const message = answerMessage(run, decided, yield* Clock.currentTimeMillis)
        const committed = yield* Effect.exit(
          message === undefined ? Effect.void : store.append(run.ref.sessionKey, message)
        )
        let outcome = decided
        if (Exit.isFailure(committed)) {
          yield* Effect.logError("the answer could not be saved", committed.cause).pipe(annotate(run))
          // An answer that `chat.history` does not have must not be announced as whole.
          if (decided._tag === "Final") outcome = { _tag: "Error", message: "the answer could not be saved" }
        }
        const now = yield* Clock.currentTimeMillis
        run.apply({ _tag: "Committed", outcome })
        unregister(run)
        settled.add(run.ref.runId, { fingerprint: run.fingerprint, outcome }, now)
        run.conclude(outcome, now)
      })
    )

  const onAgentExit = (run: Run, exit: Exit.Exit<void, AgentError>): void => {
    if (Exit.isSuccess(exit)) run.apply({ _tag: "Returned" })
    else run.apply({ _tag: "End", outcome: { _tag: "Error", message: failureMessage(exit.cause) } })
    Deferred.unsafeDone(run.returned, Exit.void)
  }

  /** Has the agent work on the run; ends when the agent's fiber has ended or was cut off. */
  const work = (run: Run, sessionId: SessionId): Effect.Effect<void> =>
    Effect.gen(function* () {
      run.start(yield* Clock.currentTimeMillis)
      // The agent's fiber must not be awaited without limit when this one ends, as a child or a member of a scope would
      // be: an agent may ignore its interruption. `release` bounds how long it may live on.
      const agent = yield* Stream.suspend(() => runner.run(agentRequest(run, sessionId))).pipe(
        Stream.takeUntil((event) => event._tag === "End" || event._tag === "Failed"),
        Stream.runForEachChunk((chunk) => ingestAll(run, chunk)),
        Effect.tapError((error) => Effect.logWarning(`the agent failed: ${error.message}`)),
        Effect.tapDefect((cause) => Effect.logError("the agent died", cause)),
        annotate(run),
        Effect.interruptible,
        Effect.forkDaemon
      )
      agent.addObserver((exit) => onAgentExit(run, exit))
      yield* Effect.gen(function* () {
        const timeout = run.request.timeoutMs ?? Duration.toMillis(config.runTimeout)
        if (timeout === 0) yield* Deferred.await(run.returned)
        else if (Option.isNone(yield* Effect.timeoutOption(Deferred.await(run.returned), timeout))) {
          run.apply({ _tag: "Abort", reason: "timeout" })
        }
        if (agent.unsafePoll() === null) agent.unsafeInterruptAsFork(agent.id())
        yield* settle(run)
      }).pipe(Effect.ensuring(release(run, agent)))
    })

  const release = (run: Run, agent: Fiber.RuntimeFiber<void, AgentError>): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (agent.unsafePoll() !== null) return Effect.void
      return Fiber.interruptFork(agent).pipe(
        Effect.zipRight(Fiber.await(agent)),
        Effect.interruptible,
        Effect.timeoutOption(config.interruptGrace),
        Effect.flatMap((exit) =>
          Option.isSome(exit)
            ? Effect.void
            : Effect.logWarning("the agent ignored its interruption and was cut off").pipe(annotate(run))
        )
      )
    })

  /** Waits for a handed-off run's end, which comes from outside or after a time without news. */
  const awaitEnd = (run: Run): Effect.Effect<void> =>
    Effect.gen(function* () {
      const grace = Duration.toMillis(config.handOffGrace)
      // The runner's return is news: it may have worked in silence for longer than the grace.
      run.newsAt = yield* Clock.currentTimeMillis
      while (run.state._tag === "HandedOff") {
        const silence = (yield* Clock.currentTimeMillis) - run.newsAt
        if (silence >= grace) run.apply({ _tag: "End", outcome: { _tag: "Final" } })
        else yield* Effect.timeoutOption(Deferred.await(run.decided), grace - silence)
      }
    })

  const save = (run: Run) =>
    store.accept(run.ref.sessionKey, {
      role: "user",
      content: [
        ...(run.request.message === "" ? [] : [{ type: "text" as const, text: run.request.message }]),
        ...run.request.images
      ],
      timestamp: run.acceptedAt,
      runId: run.ref.runId
    })

  const life = (run: Run): Effect.Effect<void> =>
    Effect.gen(function* () {
      const saved = yield* Effect.exit(save(run))
      run.apply({ _tag: Exit.isSuccess(saved) ? "Saved" : "SaveFailed" })
      if (Exit.isFailure(saved)) {
        if (RunState.isOver(run.state)) {
          unregister(run)
          const cause: Cause.Cause<AcceptError> = Cause.isInterruptedOnly(saved.cause)
            ? Cause.fail(new ShuttingDown({ retryAfterMs }))
            : saved.cause
          Deferred.unsafeDone(run.saved, Exit.failCause(cause))
          return
        }
        // Aborted while it was being saved. A free key would let a repeated send run what the user has stopped.
        Deferred.unsafeDone(run.saved, Exit.succeed({ _tag: "Aborted" }))
        return yield* settle(run)
      }
      Deferred.unsafeDone(run.saved, Exit.succeed({ _tag: "Started" }))
      // Lets the reply "started" go out before the first event of the run.
      yield* Effect.yieldNow()
      lanes.ready(run)
      yield* Deferred.await(run.turn)
      if (run.apply({ _tag: "Started" })) {
        run.newsAt = yield* Clock.currentTimeMillis
        yield* work(run, saved.value.sessionId)
        lanes.leave(run)
        yield* awaitEnd(run)
      }
      yield* settle(run)
    }).pipe(Effect.ensuring(Effect.sync(() => lanes.leave(run))))

  // ---------------------------------------------------------------------------------------------------------------
  // The port

  const repeated = (
    fingerprint: string,
    request: SendRequest,
    known: string
  ): Effect.Effect<void, IdempotencyMismatch> =>
    fingerprint === known ? Effect.void : Effect.fail(new IdempotencyMismatch({ runId: request.runId }))

  const accept = (request: SendRequest): Effect.Effect<SendStatus, AcceptError> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const fingerprint = Fingerprint.make(request)
      const live = runs.get(request.runId)
      if (live !== undefined) {
        return repeated(fingerprint, request, live.fingerprint).pipe(
          Effect.zipRight(Deferred.await(live.saved)),
          Effect.map(() =>
            Option.getOrElse(RunState.keyStatus(live.state), (): SendStatus => ({ _tag: "InFlight" }))
          )
        )
      }
      const known = settled.get(request.runId, now)
      if (known !== undefined) {
        return Effect.as(
          repeated(fingerprint, request, known.fingerprint),
          RunState.outcomeStatus(known.outcome)
        )
      }
      if (draining) return Effect.fail(new ShuttingDown({ retryAfterMs }))
      const run = new Run({ request, fingerprint, now, publish: hub.unsafePublish })
      const refusal = lanes.enter(request.sessionKey, run)
      if (refusal !== undefined) {
        return Effect.fail(
          new QueueFull({
            scope: refusal,
            limit: refusal === "lane" ? config.maxQueuedPerSession : config.maxQueuedRuns,
            retryAfterMs
          })
        )
      }
      register(run)
      return FiberSet.run(fibers, Effect.interruptible(life(run))).pipe(
        // Registered and not forked would be a run without a life.
        Effect.uninterruptible,
        Effect.zipRight(Deferred.await(run.saved))
      )
    })

  const abort = (request: AbortRequest): Effect.Effect<ReadonlyArray<RunId>, RunSessionMismatch> =>
    Effect.suspend(() => {
      if (request.runId === undefined) {
        const all = [...(sessions.get(request.sessionKey) ?? [])]
        return Effect.succeed(
          all
            .filter((run) => run.apply({ _tag: "Abort", reason: request.reason }))
            .map((run) => run.ref.runId)
        )
      }
      const run = runs.get(request.runId)
      if (run === undefined) return Effect.succeed([])
      if (run.ref.sessionKey !== request.sessionKey) {
        return Effect.fail(new RunSessionMismatch({ runId: request.runId, sessionKey: request.sessionKey }))
      }
      return Effect.succeed(run.apply({ _tag: "Abort", reason: request.reason }) ? [run.ref.runId] : [])
    })

  const shutdown = Effect.suspend(() => {
    if (!draining) {
      draining = true
      for (const run of [...runs.values()]) {
        if (run.apply({ _tag: "Abort", reason: "shutdown" })) continue
        run.apply({
          _tag: "End",
          outcome: { _tag: "Error", message: "the gateway stopped before the agent reported its end" }
        })
      }
      if (runs.size === 0) Deferred.unsafeDone(empty, Exit.void)
    }
    // Also a finalizer, which is uninterruptible: there a timeout would wait for what it gives up on.
    return Effect.asVoid(
      Effect.timeoutOption(Effect.interruptible(Deferred.await(empty)), config.shutdownGrace)
    )
  })

  yield* Effect.addFinalizer(() => shutdown)

  return {
    accept,
    abort,
    ingest,
    list: Effect.sync(() => [...runs.values()].map(info)),
    shutdown
  } satisfies RunRegistryShape
})

const annotate = (run: Run) => Effect.annotateLogs({ runId: run.ref.runId, sessionKey: run.ref.sessionKey })

const phases = {
  Accepting: "accepting",
  Queued: "queued",
  Running: "running",
  HandedOff: "handed-off",
  Settling: "settling",
  Settled: "settling",
  Rejected: "settling"
} as const

const info = (run: Run): RunInfo => ({
  runId: run.ref.runId,
  sessionKey: run.ref.sessionKey,
  agentId: run.ref.agentId,
  phase: phases[run.state._tag],
  acceptedAt: run.acceptedAt
})

/** What of an answer belongs into the transcript: a whole one always, a partial one when there is any text. */
const answerMessage = (run: Run, outcome: RunState.Outcome, now: number): Message.Message | undefined => {
  const { text } = run.answer
  const base = { ...Message.text("assistant", text, now), runId: run.ref.runId }
  switch (outcome._tag) {
    case "Final":
      return {
        ...base,
        stopReason: outcome.stopReason ?? "stop",
        ...(outcome.usage === undefined ? {} : { usage: outcome.usage })
      }
    case "Aborted":
      return text === "" ? undefined : { ...base, stopReason: "aborted" }
    case "Error":
      return text === "" ? undefined : { ...base, stopReason: "error", errorMessage: outcome.message }
  }
}

/** What clients are told of an agent's failure. A defect's text stays in the log: it may hold anything. */
const failureMessage = (cause: Cause.Cause<AgentError>): string =>
  Option.match(Cause.failureOption(cause), {
    onNone: () =>
      Cause.isInterruptedOnly(cause) ? "the agent was interrupted" : "the agent died unexpectedly",
    onSome: (error) => error.message
  })

export const layer: Layer.Layer<RunRegistry, never, GatewayConfig | SessionStore | AgentRunner | EventHub> =
  Layer.scoped(RunRegistry, make)
