/**
 * The life of one run: saved, waiting for its turn, its agent at work, settled, told. One fiber lives it, and while the
 * agent works there is a second one, whose interruption is what abort means (docs/decisions/03).
 */
import { Cause, Clock, Deferred, Duration, Effect, Exit, Fiber, FiberSet, Option, Stream } from "effect"
import { AgentError, type AgentRequest, AgentRunner } from "../agent/AgentRunner.js"
import type { AgentEvent } from "../domain/AgentEvent.js"
import type { SessionId } from "../domain/Ids.js"
import * as Message from "../domain/Message.js"
import { ShuttingDown } from "../domain/RunError.js"
import * as RunState from "../domain/RunState.js"
import * as EventLoop from "../event/EventLoop.js"
import { GatewayConfig } from "../GatewayConfig.js"
import { SessionStore } from "../session/SessionStore.js"
import type { Lanes } from "./Lanes.js"
import { type Audience, audiences, type Run } from "./Run.js"
import type { AcceptError } from "./RunRegistry.js"

/** After how many milliseconds a send that was refused for now may be tried again. */
export const retryAfterMs = 1000

/** What a run's life needs of the registry that keeps the books. */
export interface Books {
  readonly fibers: FiberSet.FiberSet<void>
  readonly lanes: Lanes<Run>
  /** The run was committed and will be told right behind this: its key has its answer. */
  readonly settled: (run: Run, outcome: RunState.Outcome, now: number) => void
  /** The run was never accepted: its key is free. */
  readonly rejected: (run: Run) => void
}

export interface RunLife {
  /** Lives a run that was registered and has its place in a lane, to its end. */
  readonly live: (run: Run) => Effect.Effect<void>
  /** Takes in events in order, then shows what is due. Answers whether the last one was taken. */
  readonly ingestAll: (run: Run, events: Iterable<AgentEvent>) => Effect.Effect<boolean>
}

export const make = (
  books: Books
): Effect.Effect<RunLife, never, GatewayConfig | SessionStore | AgentRunner> =>
  Effect.gen(function* () {
    const config = yield* GatewayConfig
    const store = yield* SessionStore
    const runner = yield* AgentRunner
    const { fibers, lanes } = books

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
          if (due !== undefined && !run.paced[audience])
            rest = Effect.zipRight(rest, pace(run, audience, due))
        }
        return Effect.as(rest, taken)
      })

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
            if (decided._tag === "Final")
              outcome = { _tag: "Error", message: "the answer could not be saved" }
          }
          const now = yield* Clock.currentTimeMillis
          run.apply({ _tag: "Committed", outcome })
          books.settled(run, outcome, now)
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
        // An agent that never waits would hold up everybody.
        const breathe = EventLoop.turnEvery(eventsPerTurn)
        // The agent's fiber must not be awaited without limit when this one ends, as a child or a member of a scope would
        // be: an agent may ignore its interruption. `release` bounds how long it may live on.
        const agent = yield* Stream.suspend(() => runner.run(agentRequest(run, sessionId))).pipe(
          Stream.takeUntil((event) => event._tag === "End" || event._tag === "Failed"),
          Stream.runForEachChunk((chunk) => Effect.zipRight(ingestAll(run, chunk), breathe(chunk.length))),
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

    const live = (run: Run): Effect.Effect<void> =>
      Effect.gen(function* () {
        const saved = yield* Effect.exit(save(run))
        run.apply({ _tag: Exit.isSuccess(saved) ? "Saved" : "SaveFailed" })
        if (Exit.isFailure(saved)) {
          if (RunState.isOver(run.state)) {
            books.rejected(run)
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

    return { live, ingestAll }
  })

/** After how many of its events an agent that floods lets the sockets have a turn. */
const eventsPerTurn = 1024

const annotate = (run: Run) => Effect.annotateLogs({ runId: run.ref.runId, sessionKey: run.ref.sessionKey })

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
