/** The registry of one process: the books of its runs. What happens in a run is `RunLife`. */
import { Array, Clock, Deferred, Duration, Effect, Exit, FiberId, FiberSet, Layer, Option } from "effect"
import { AgentRunner, agentsOf } from "../agent/AgentRunner.js"
import type { AgentEvent } from "../domain/AgentEvent.js"
import type { RunId } from "../domain/Ids.js"
import * as Ids from "../domain/Ids.js"
import {
  IdempotencyMismatch,
  ImagesNotSupported,
  QueueFull,
  RunSessionMismatch,
  SessionBusy,
  ShuttingDown,
  UnknownAgent
} from "../domain/RunError.js"
import * as RunState from "../domain/RunState.js"
import type { SessionKey } from "../domain/SessionKey.js"
import { EventHub } from "../event/EventHub.js"
import { GatewayConfig, type GatewayConfigShape } from "../GatewayConfig.js"
import { RunJournal } from "../journal/RunJournal.js"
import type { SessionStore } from "../session/SessionStore.js"
import * as Fingerprint from "./Fingerprint.js"
import { type Group, Lanes, type Refusal } from "./Lanes.js"
import type { Permissions } from "./Permissions.js"
import * as Recovery from "./Recovery.js"
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

const make = Effect.gen(function* () {
  const config = yield* GatewayConfig
  const hub = yield* EventHub
  const journal = yield* RunJournal
  const agents = agentsOf(yield* AgentRunner, config.defaultAgentId)
  const fibers = yield* FiberSet.make<void>()

  const runs = new Map<RunId, Run>()
  /** By idempotency key, those whose id is another: there may be several. */
  const named = new Map<string, Set<Run>>()
  const sessions = new Map<SessionKey, Set<Run>>()
  const ttl = Duration.toMillis(config.idempotencyTtl)
  const groupsOf = (run: Run): ReadonlyArray<Group> => [
    {
      name: `agent ${run.ref.agentId}`,
      maxActive: agents.get(run.ref.agentId)?.maxConcurrentRuns ?? Number.POSITIVE_INFINITY,
      maxQueued: Number.POSITIVE_INFINITY
    },
    {
      name: `principal ${run.request.principal}`,
      maxActive: config.maxConcurrentRunsPerPrincipal,
      maxQueued: config.maxQueuedRunsPerPrincipal,
      isParty: true
    }
  ]
  const lanes = new Lanes<Run>(
    {
      maxActive: config.maxConcurrentRuns,
      maxQueuedPerLane: config.maxQueuedPerSession,
      maxQueued: config.maxQueuedRuns
    },
    groupsOf,
    (run) => Deferred.unsafeDone(run.turn, Exit.void)
  )
  const empty = yield* Deferred.make<void>()
  let draining = false

  const register = (run: Run): void => {
    runs.set(run.ref.runId, run)
    const session = sessions.get(run.ref.sessionKey)
    if (session === undefined) sessions.set(run.ref.sessionKey, new Set([run]))
    else session.add(run)
    const key = Ids.keyOf(run.ref.runId)
    if (key === run.ref.runId) return
    const others = named.get(key)
    if (others === undefined) named.set(key, new Set([run]))
    else others.add(run)
  }

  const unregister = (run: Run): void => {
    Deferred.unsafeDone(run.over, Exit.void)
    runs.delete(run.ref.runId)
    const session = sessions.get(run.ref.sessionKey)
    session?.delete(run)
    if (session?.size === 0) sessions.delete(run.ref.sessionKey)
    const key = Ids.keyOf(run.ref.runId)
    const others = named.get(key)
    others?.delete(run)
    if (others?.size === 0) named.delete(key)
    if (draining && runs.size === 0) Deferred.unsafeDone(empty, Exit.void)
  }

  /** Sessions to which something is done that no run may see. */
  const closed = new Map<SessionKey, Deferred.Deferred<void>>()
  const whenOpen = (sessionKey: SessionKey): Effect.Effect<void> =>
    Effect.suspend(() => {
      const gate = closed.get(sessionKey)
      return gate === undefined ? Effect.void : Effect.zipRight(Deferred.await(gate), whenOpen(sessionKey))
    })
  const admitted = (run: Run): Effect.Effect<void> =>
    Effect.suspend(() =>
      closed.has(run.ref.sessionKey)
        ? // Whoever is decided has no use for what is done, and may be waited for by what comes next.
          Effect.raceFirst(whenOpen(run.ref.sessionKey), Deferred.await(run.decided))
        : Effect.void
    )

  const life = yield* RunLife.make({ fibers, lanes, admitted, unregister })

  const now = yield* Clock.currentTimeMillis
  const unfinished = journal.unfinished.map((open) =>
    Recovery.restore(open, { now, maxLength: config.maxAnswerLength, publish: hub.unsafePublish })
  )
  for (const { run } of unfinished) {
    register(run)
    if (run.state._tag === "Queued") lanes.restore(run.ref.sessionKey, run)
  }

  const recover = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    for (const ended of journal.ended) hub.unsafePublish(Recovery.retold(ended))
    yield* journal.begin(hub.epoch)
    const [queued, over] = Array.partition(
      unfinished,
      ({ aborting, run }) => aborting !== undefined || run.state._tag === "Running"
    )
    if (unfinished.length > 0) {
      yield* Effect.logWarning(
        `${unfinished.length} runs were not over when the gateway ended: ${over.length} end now, ${queued.length} go on`
      )
    }
    for (const restored of over) {
      restored.run.apply(
        restored.aborting === undefined
          ? { _tag: "End", outcome: Recovery.interrupted(restored, now) }
          : { _tag: "Abort", reason: restored.aborting }
      )
      lanes.leave(restored.run)
    }
    // What was answered in part stands before what comes next in its session.
    yield* Effect.forEach(over, ({ run }) => life.settle(run), {
      concurrency: "unbounded",
      discard: true
    }).pipe(
      Effect.zipRight(
        Effect.forEach(
          queued,
          ({ run, sessionId }) => FiberSet.run(fibers, Effect.interruptible(life.goOn(run, sessionId))),
          { discard: true }
        )
      ),
      (going) => FiberSet.run(fibers, Effect.interruptible(going))
    )
  })

  const ingest = (runId: RunId, event: AgentEvent): Effect.Effect<boolean> =>
    Effect.suspend(() => {
      const run = runs.get(runId)
      return run === undefined ? Effect.succeed(false) : life.ingestAll(run, [event])
    })

  const repeated = (
    fingerprint: string,
    request: SendRequest,
    known: string
  ): Effect.Effect<void, IdempotencyMismatch> =>
    fingerprint === known
      ? Effect.void
      : Effect.fail(new IdempotencyMismatch({ runId: Ids.keyOf(request.runId) }))

  /** Why the agent can't be given this. */
  const unfitness = ({ agentId, images }: SendRequest): UnknownAgent | ImagesNotSupported | undefined => {
    const about = agents.get(agentId)
    if (about === undefined) return new UnknownAgent({ agentId, known: [...agents.keys()] })
    return images.length > 0 && !about.images ? new ImagesNotSupported({ agentId }) : undefined
  }

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
      journal.forget(now - ttl)
      const over = journal.settled(request.runId)
      if (over !== undefined) {
        return Effect.as(
          repeated(fingerprint, request, over.fingerprint),
          RunState.outcomeStatus(over.outcome)
        )
      }
      const unfit = unfitness(request)
      if (unfit !== undefined) return Effect.fail(unfit)
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
        return Effect.fail(new QueueFull({ ...queueOf(refusal, config), retryAfterMs: RunLife.retryAfterMs }))
      }
      register(run)
      return FiberSet.run(fibers, Effect.interruptible(life.live(run))).pipe(
        // Registered and not forked would be a run without a life.
        Effect.uninterruptible,
        Effect.zipRight(Deferred.await(run.saved))
      )
    })

  const withKey = (key: string): ReadonlyArray<Run> => {
    const ofOwner = runs.get(Ids.runIdOf(Ids.owner, key))
    const others = [...(named.get(key) ?? [])]
    return ofOwner === undefined || others.includes(ofOwner) ? others : [ofOwner, ...others]
  }

  /** Decides, at once, and says which runs end so. */
  const decideAbort = (request: AbortRequest): Effect.Effect<ReadonlyArray<RunId>, RunSessionMismatch> =>
    Effect.suspend(() => {
      const { by, key, reason, sessionKey } = request
      const isOwn = (run: Run): boolean => run.request.principal === by.name
      const mayAbort = (run: Run): boolean => isOwn(run) || by.sessions.matches(run.ref.sessionKey)
      const found = key === undefined ? [...(sessions.get(sessionKey) ?? [])] : withKey(key)
      const possible = found.filter(mayAbort)
      const here = possible.filter((run) => run.ref.sessionKey === sessionKey)
      if (key !== undefined && here.length === 0 && possible.length > 0) {
        return Effect.fail(new RunSessionMismatch({ runId: key, sessionKey }))
      }
      const own = here.filter(isOwn)
      const meant = key === undefined || own.length === 0 ? here : own
      return Effect.succeed(
        meant.filter((run) => run.apply({ _tag: "Abort", reason })).map((run) => run.ref.runId)
      )
    })

  /** What is answered must hold after a crash, too. If it can't be written it holds for this life. */
  const recordAborts = (runIds: ReadonlyArray<RunId>, reason: RunState.AbortReason): Effect.Effect<void> =>
    runIds.length === 0
      ? Effect.void
      : Effect.catchAll(journal.aborting(runIds, reason), (error) =>
          Effect.logWarning("an abort could not be recorded", error)
        )

  const abort = (request: AbortRequest): Effect.Effect<ReadonlyArray<RunId>, RunSessionMismatch> =>
    Effect.tap(decideAbort(request), (runIds) => recordAborts(runIds, request.reason))

  const close = (sessionKey: SessionKey): Effect.Effect<Deferred.Deferred<void>> =>
    Effect.suspend(() => {
      const busy = closed.get(sessionKey)
      if (busy !== undefined)
        return Effect.zipRight(Effect.interruptible(Deferred.await(busy)), close(sessionKey))
      const gate = Deferred.unsafeMake<void>(FiberId.none)
      closed.set(sessionKey, gate)
      return Effect.succeed(gate)
    })

  /** Ends all runs of a session, and waits until they are over. */
  const endAll = (sessionKey: SessionKey): Effect.Effect<void, SessionBusy> =>
    Effect.suspend(() => {
      const ending = [...(sessions.get(sessionKey) ?? [])]
      const aborted = ending.filter((run) => run.apply({ _tag: "Abort", reason: "rpc" }))
      for (const run of ending) {
        if (run.state._tag === "HandedOff") run.apply({ _tag: "End", outcome: { _tag: "Final" } })
      }
      return recordAborts(
        aborted.map((run) => run.ref.runId),
        "rpc"
      ).pipe(
        Effect.zipRight(Effect.forEach(ending, (run) => Deferred.await(run.over), { discard: true })),
        Effect.timeoutFail({
          duration: endsWithin,
          onTimeout: () => new SessionBusy({ sessionKey, retryAfterMs: RunLife.retryAfterMs })
        })
      )
    })

  const alone = <A, E, R>(
    sessionKey: SessionKey,
    use: Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | SessionBusy, R> =>
    Effect.acquireUseRelease(
      close(sessionKey),
      () => Effect.zipRight(endAll(sessionKey), use),
      (gate) =>
        Effect.sync(() => {
          closed.delete(sessionKey)
          Deferred.unsafeDone(gate, Exit.void)
        })
    )

  const whenEmpty = (limit: Duration.Duration) =>
    // Also in a finalizer, which is uninterruptible: there a timeout would wait for what it gives up on.
    Effect.suspend(() =>
      runs.size === 0
        ? Effect.void
        : Effect.asVoid(Effect.timeoutOption(Effect.interruptible(Deferred.await(empty)), limit))
    )

  const shutdown = yield* Effect.cached(
    Effect.gen(function* () {
      draining = true
      yield* whenEmpty(config.drainGrace)
      for (const run of [...runs.values()]) {
        if (run.apply({ _tag: "Abort", reason: "shutdown" })) continue
        run.apply({
          _tag: "End",
          outcome: { _tag: "Error", message: "the gateway stopped before the agent reported its end" }
        })
      }
      yield* whenEmpty(config.shutdownGrace)
    })
  )

  yield* Effect.addFinalizer(() => shutdown)

  return {
    accept,
    abort,
    alone,
    ingest,
    recover,
    list: Effect.sync(() => [...runs.values()].map(info)),
    shutdown
  } satisfies RunRegistryShape
})

/** How long the ends of runs may take to be committed that something is done to their session for. */
const endsWithin = Duration.seconds(10)

/** Which queue is full, and how many may wait there. */
const queueOf = (refusal: Refusal, config: GatewayConfigShape): Pick<QueueFull, "scope" | "limit"> => {
  switch (refusal) {
    case "lane":
      return { scope: "lane", limit: config.maxQueuedPerSession }
    case "group":
      return { scope: "principal", limit: config.maxQueuedRunsPerPrincipal }
    case "gateway":
      return { scope: "gateway", limit: config.maxQueuedRuns }
  }
}

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
  principal: run.request.principal,
  phase: phases[run.state._tag],
  acceptedAt: run.acceptedAt,
  text: run.answer.text
})

export const layer: Layer.Layer<
  RunRegistry,
  never,
  GatewayConfig | SessionStore | RunJournal | AgentRunner | EventHub | Permissions
> = Layer.scoped(RunRegistry, make)
