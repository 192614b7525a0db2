/** The registry of one process: the books of its runs. What happens in a run is `RunLife`. */
import { Clock, Deferred, Duration, Effect, Exit, FiberSet, Layer, Option } from "effect"
import type { AgentRunner } from "../agent/AgentRunner.js"
import type { AgentEvent } from "../domain/AgentEvent.js"
import type { RunId } from "../domain/Ids.js"
import { IdempotencyMismatch, QueueFull, RunSessionMismatch, ShuttingDown } from "../domain/RunError.js"
import * as RunState from "../domain/RunState.js"
import type { SessionKey } from "../domain/SessionKey.js"
import { EventHub } from "../event/EventHub.js"
import { GatewayConfig } from "../GatewayConfig.js"
import type { SessionStore } from "../session/SessionStore.js"
import * as Fingerprint from "./Fingerprint.js"
import { Lanes } from "./Lanes.js"
import { Run } from "./Run.js"
import * as RunLife from "./RunLife.js"
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

const make = Effect.gen(function* () {
  const config = yield* GatewayConfig
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

  const { ingestAll, live } = yield* RunLife.make({
    fibers,
    lanes,
    settled: (run, outcome, now) => {
      unregister(run)
      settled.add(run.ref.runId, { fingerprint: run.fingerprint, outcome }, now)
    },
    rejected: unregister
  })

  const ingest = (runId: RunId, event: AgentEvent): Effect.Effect<boolean> =>
    Effect.suspend(() => {
      const run = runs.get(runId)
      return run === undefined ? Effect.succeed(false) : ingestAll(run, [event])
    })

  const repeated = (
    fingerprint: string,
    request: SendRequest,
    known: string
  ): Effect.Effect<void, IdempotencyMismatch> =>
    fingerprint === known ? Effect.void : Effect.fail(new IdempotencyMismatch({ runId: request.runId }))

  const accept = (request: SendRequest): Effect.Effect<SendStatus, AcceptError> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const fingerprint = Fingerprint.make(request)
      const known = runs.get(request.runId)
      if (known !== undefined) {
        return repeated(fingerprint, request, known.fingerprint).pipe(
          Effect.zipRight(Deferred.await(known.saved)),
          Effect.map(() =>
            Option.getOrElse(RunState.keyStatus(known.state), (): SendStatus => ({ _tag: "InFlight" }))
          )
        )
      }
      const over = settled.get(request.runId, now)
      if (over !== undefined) {
        return Effect.as(
          repeated(fingerprint, request, over.fingerprint),
          RunState.outcomeStatus(over.outcome)
        )
      }
      if (draining) return Effect.fail(new ShuttingDown({ retryAfterMs: RunLife.retryAfterMs }))
      const run = new Run({
        request,
        fingerprint,
        now,
        maxLength: config.maxAnswerLength,
        publish: hub.unsafePublish
      })
      const refusal = lanes.enter(request.sessionKey, run)
      if (refusal !== undefined) {
        return Effect.fail(
          new QueueFull({
            scope: refusal,
            limit: refusal === "lane" ? config.maxQueuedPerSession : config.maxQueuedRuns,
            retryAfterMs: RunLife.retryAfterMs
          })
        )
      }
      register(run)
      return FiberSet.run(fibers, Effect.interruptible(live(run))).pipe(
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

export const layer: Layer.Layer<RunRegistry, never, GatewayConfig | SessionStore | AgentRunner | EventHub> =
  Layer.scoped(RunRegistry, make)
