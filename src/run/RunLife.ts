/**
 * The life of one run: saved, waiting for its turn, its agent at work, settled, told. One fiber lives it, and while the
 * agent works there is a second one, whose interruption is what abort means (docs/decisions/03).
 */
import {
  Cause,
  type Chunk,
  Clock,
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  FiberSet,
  Option,
  type Scope,
  Stream
} from "effect"
import { AgentError, agentsOf, AgentRunner } from "../agent/AgentRunner.js"
import type { AgentEvent } from "../domain/AgentEvent.js"
import type { SessionId } from "../domain/Ids.js"
import * as Ids from "../domain/Ids.js"
import * as Message from "../domain/Message.js"
import { ShuttingDown } from "../domain/RunError.js"
import * as RunState from "../domain/RunState.js"
import type { ImageUnavailable, SessionStoreError } from "../domain/SessionError.js"
import * as Deadlines from "../event/Deadlines.js"
import * as EventLoop from "../event/EventLoop.js"
import { GatewayConfig } from "../GatewayConfig.js"
import type { RunEnd } from "../journal/JournalRecord.js"
import { RunJournal } from "../journal/RunJournal.js"
import { type SessionEntry, SessionStore } from "../session/SessionStore.js"
import type { AgentId } from "../domain/SessionKey.js"
import * as Projection from "../domain/Projection.js"
import * as ToolView from "../domain/ToolView.js"
import { EventHub } from "../event/EventHub.js"
import * as AgentRequests from "./AgentRequests.js"
import { Permissions } from "./Permissions.js"
import type { Lanes } from "./Lanes.js"
import * as SessionNotes from "./SessionNotes.js"
import { type Audience, audiences, type Run } from "./Run.js"
import type { AcceptError } from "./RunRegistry.js"

/** After how many milliseconds a send that was refused for now may be tried again. */
export const retryAfterMs = 1000

/** What a run's life needs of the registry that keeps the books. */
export interface Books {
  readonly fibers: FiberSet.FiberSet<void>
  readonly lanes: Lanes<Run>
  /** Waits until the session of a run that is to be saved may have one more. */
  readonly admitted: (run: Run) => Effect.Effect<void>
  /** The run is over: committed, with its key's answer in the journal, or never accepted, with its key free. */
  readonly unregister: (run: Run) => void
}

/** What a run needs of its session's entry. */
type Session = Pick<SessionEntry, "sessionId" | "thinkingLevel" | "verboseLevel">

export interface RunLife {
  /** Lives a run that was registered and has its place in a lane, to its end. */
  readonly live: (run: Run) => Effect.Effect<void>
  /** The same for a run that was accepted in an earlier life of the gateway: its message is saved. */
  readonly goOn: (run: Run, sessionId: SessionId) => Effect.Effect<void>
  /** Commits and tells the end of a run that is decided. */
  readonly settle: (run: Run) => Effect.Effect<void>
  /** Takes in events in order, then shows what is due. Answers whether the last one was taken. */
  readonly ingestAll: (run: Run, events: Iterable<AgentEvent>) => Effect.Effect<boolean>
}

export const make = (
  books: Books
): Effect.Effect<
  RunLife,
  never,
  GatewayConfig | SessionStore | RunJournal | AgentRunner | EventHub | Permissions | Scope.Scope
> =>
  Effect.gen(function* () {
    const config = yield* GatewayConfig
    const store = yield* SessionStore
    const journal = yield* RunJournal
    const hub = yield* EventHub
    const runner = yield* AgentRunner
    const permissions = yield* Permissions
    const agentRequest = yield* AgentRequests.make
    const { fibers, lanes } = books
    const agents = agentsOf(runner, config.defaultAgentId)
    const timeoutOf = (agentId: AgentId) => agents.get(agentId)?.runTimeout ?? config.runTimeout
    const deadlines = new Map<AgentId, Effect.Effect.Success<ReturnType<typeof Deadlines.make>>>()
    for (const agentId of agents.keys()) deadlines.set(agentId, yield* Deadlines.make(timeoutOf(agentId)))

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
        return Effect.as(Effect.zipRight(rest, keep(run, now)), taken)
      })

    /** Has the journal keep what is new of an answer, now and then: it is what a crash leaves of it. */
    const keep = (run: Run, now: number): Effect.Effect<void> => {
      const { answer, kept } = run
      if (!Projection.isPending(answer, kept) || Projection.dueIn(kept, keepInterval, now) > 0)
        return Effect.void
      const from = Projection.newFrom(answer, kept)
      return Effect.map(journal.keepText(run.ref.runId, from, answer.text.slice(from)), (taken) => {
        // What was not taken now goes with what comes next.
        run.kept = taken ? Projection.showAll(answer, now) : { ...kept, at: now }
      })
    }

    /** The bytes of a run's images; held from now on for as long as its agent works. */
    const loadImages = (run: Run): Effect.Effect<ReadonlyArray<Message.ImageContent>, AgentError> =>
      run.request.images.length === 0
        ? noImages
        : Effect.forEach(run.request.images, (image) =>
            Message.isImageReference(image)
              ? Effect.mapError(store.image(image), (cause) => unreadable(image, cause))
              : Effect.succeed(image)
          )

    /** Commits the decided outcome, then tells it. Not to be interrupted in between. */
    const settle = (run: Run): Effect.Effect<void> =>
      Effect.uninterruptible(
        Effect.gen(function* () {
          if (run.state._tag !== "Settling") return
          const decided = run.state.outcome
          const at = yield* Clock.currentTimeMillis
          const message = answerMessage(run, decided, at)
          const end: RunEnd = {
            runId: run.ref.runId,
            at,
            outcome: decided,
            epoch: hub.epoch,
            pos: yield* hub.position,
            seq: run.nextSeq
          }
          const committed = yield* Effect.exit(
            message === undefined
              ? journal.ending(end, run.accepted)
              : store.append(run.ref.sessionKey, message, end)
          )
          let outcome = decided
          if (Exit.isFailure(committed)) {
            yield* Effect.logError("the answer could not be saved", committed.cause).pipe(annotate(run))
            // An answer that `chat.history` does not have must not be announced as whole.
            if (decided._tag === "Final")
              outcome = { _tag: "Error", message: "the answer could not be saved" }
            yield* journal.endAnyway({ ...end, outcome }, run.accepted)
          }
          const notes = SessionNotes.make(run, outcome, agents.get(run.ref.agentId))
          if (Option.isSome(notes)) yield* store.patch(run.ref.sessionKey, notes.value)
          const now = yield* Clock.currentTimeMillis
          run.apply({ _tag: "Committed", outcome })
          books.unregister(run)
          permissions.unsafeWithdraw(run.ref.runId, now)
          yield* journal.told(run.ref.runId, run.conclude(outcome, now))
        })
      )

    const onAgentExit = (run: Run, exit: Exit.Exit<void, AgentError>): void => {
      if (Exit.isSuccess(exit)) run.apply({ _tag: "Returned" })
      else run.apply({ _tag: "End", outcome: { _tag: "Error", ...failureOf(exit.cause) } })
      Deferred.unsafeDone(run.returned, Exit.void)
    }

    /**
     * Takes in what the agent says, up to its end. Pulled by hand: each stage that a stream passes through costs as much as
     * all the rest of a short run.
     */
    const hear = (
      run: Run,
      pull: Effect.Effect<Chunk.Chunk<AgentEvent>, Option.Option<AgentError>>,
      breathe: (done: number) => Effect.Effect<void>
    ): Effect.Effect<void, AgentError> => {
      let heard = false
      const once = Effect.flatMap(pull, (chunk) => {
        const events: Array<AgentEvent> = []
        for (const event of chunk) {
          events.push(event)
          if (event._tag !== "End" && event._tag !== "Failed") continue
          heard = true
          break
        }
        return Effect.zipRight(ingestAll(run, events), breathe(events.length))
      })
      return Effect.catchAll(
        Effect.whileLoop({ while: () => !heard, body: () => once, step: () => {} }),
        Option.match({ onNone: () => Effect.void, onSome: (error) => Effect.fail(error) })
      )
    }

    const timeOut = (run: Run): void => {
      run.apply({ _tag: "Abort", reason: "timeout" })
    }

    /** Waits until the agent has returned or the run is decided; decides it when its time is over. */
    const returnedInTime = (run: Run): Effect.Effect<void> => {
      const { agentId, timeoutMs } = run.request
      const returned = Deferred.await(run.returned)
      const setDeadline = deadlines.get(agentId)
      const limited = Duration.greaterThan(timeoutOf(agentId), Duration.zero)
      if (timeoutMs === undefined && limited && setDeadline !== undefined) {
        return Effect.suspend(() => {
          const deadline = setDeadline(() => timeOut(run))
          return Effect.ensuring(returned, Effect.sync(deadline.cancel))
        })
      }
      if (timeoutMs === undefined || timeoutMs === 0) return returned
      return Effect.map(Effect.timeoutOption(returned, timeoutMs), (done) => {
        if (Option.isNone(done)) timeOut(run)
      })
    }

    /** Has the agent work on the run; ends when the agent's fiber has ended or was cut off. */
    const work = (run: Run, sessionId: SessionId): Effect.Effect<void> =>
      Effect.gen(function* () {
        run.start(yield* Clock.currentTimeMillis)
        // An agent that never waits would hold up everybody.
        const breathe = EventLoop.turnEvery(eventsPerTurn)
        // The agent's fiber must not be awaited without limit when this one ends, as a child or a member of a scope would
        // be: an agent may ignore its interruption. `release` bounds how long it may live on.
        const agent = yield* Effect.suspend(() => loadImages(run)).pipe(
          Effect.flatMap((images) =>
            // Aborted since its fiber was made: an agent that nobody wants any more is not called.
            RunState.isOpen(run.state)
              ? Stream.toPull(runner.run(agentRequest(run, sessionId, images)))
              : Effect.interrupt
          ),
          Effect.flatMap((pull) => hear(run, pull, breathe)),
          Effect.scoped,
          Effect.tapErrorCause((cause) => annotate(run)(logFailure(cause))),
          Effect.interruptible,
          Effect.forkDaemon
        )
        agent.addObserver((exit) => onAgentExit(run, exit))
        // Once: a second interruption would reach what the agent's finalizers wait for, and cut their graces short.
        let interrupted = false
        const interrupt = Effect.sync(() => {
          if (interrupted || agent.unsafePoll() !== null) return
          interrupted = true
          agent.unsafeInterruptAsFork(agent.id())
        })
        yield* Effect.gen(function* () {
          yield* returnedInTime(run)
          yield* interrupt
          yield* settle(run)
        }).pipe(Effect.ensuring(Effect.zipRight(interrupt, release(run, agent))))
      })

    /** Waits until the agent, which is interrupted, has ended, and no longer than it may take for that. */
    const release = (run: Run, agent: Fiber.RuntimeFiber<void, AgentError>): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (agent.unsafePoll() !== null) return Effect.void
        return Fiber.await(agent).pipe(
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
      store.accept(
        run.ref.sessionKey,
        {
          role: "user",
          content: [
            ...(run.request.message === "" ? [] : [{ type: "text" as const, text: run.request.message }]),
            ...run.request.images
          ],
          timestamp: run.acceptedAt,
          runId: Ids.keyOf(run.ref.runId)
        },
        run.accepted
      )

    /** Calls the agent, when it is on record that it is called: a crash must not lead to its being called again. */
    const begin = (run: Run, sessionId: SessionId): Effect.Effect<void> =>
      Effect.gen(function* () {
        if (run.state._tag !== "Queued") return
        const now = yield* Clock.currentTimeMillis
        const recorded = yield* Effect.exit(journal.started(run.ref.runId, now))
        if (!run.apply({ _tag: "Started" })) return
        run.newsAt = now
        run.kept = { ...Projection.nothingShown, at: now }
        if (Exit.isSuccess(recorded)) return yield* work(run, sessionId)
        yield* Effect.logError("the run could not be started", recorded.cause).pipe(annotate(run))
        run.apply({ _tag: "End", outcome: { _tag: "Error", message: "the run could not be recorded" } })
      })

    const goOn = (run: Run, sessionId: SessionId): Effect.Effect<void> =>
      // What the entry asks for is a matter of taste: that it can't be read does not hold the run up.
      Effect.flatMap(Effect.orElseSucceed(store.get(run.ref.sessionKey), Option.none), (entry) =>
        proceed(run, { ...Option.getOrUndefined(entry), sessionId })
      )

    const proceed = (run: Run, { sessionId, thinkingLevel, verboseLevel }: Session): Effect.Effect<void> =>
      Effect.gen(function* () {
        run.verboseLevel = ToolView.levelOf(verboseLevel)
        run.thinkingLevel = thinkingLevel
        lanes.ready(run)
        yield* Deferred.await(run.turn)
        yield* begin(run, sessionId)
        lanes.leave(run)
        yield* awaitEnd(run)
        yield* settle(run)
      }).pipe(Effect.ensuring(Effect.sync(() => lanes.leave(run))))

    const live = (run: Run): Effect.Effect<void> =>
      Effect.gen(function* () {
        const saved = yield* Effect.exit(Effect.zipRight(books.admitted(run), save(run)))
        run.apply({ _tag: Exit.isSuccess(saved) ? "Saved" : "SaveFailed" })
        if (Exit.isFailure(saved)) {
          if (RunState.isOver(run.state)) {
            books.unregister(run)
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
        run.keepReferences(saved.value.message)
        Deferred.unsafeDone(run.saved, Exit.succeed({ _tag: "Started" }))
        const { runId, sessionKey } = run.ref
        hub.unsafePublish({ _tag: "SessionChanged", sessionKey, reason: "message", runId })
        // Lets the reply "started" go out before the first event of the run.
        yield* Effect.yieldNow()
        yield* proceed(run, saved.value.entry)
      }).pipe(Effect.ensuring(Effect.sync(() => lanes.leave(run))))

    return { live, goOn, settle, ingestAll }
  })

/** How often the journal is given what is new of an answer, in milliseconds. */
const keepInterval = 1000
const noImages = Effect.succeed([])
/** After how many of its events an agent that floods lets the sockets have a turn. */
const eventsPerTurn = 1024

/** The code of the error that ends a run which a crash or a restart has interrupted. */
export const interruptedCode = "INTERRUPTED_BY_RESTART"

const annotate = (run: Run) =>
  Effect.annotateLogs({
    runId: Ids.keyOf(run.ref.runId),
    principal: run.request.principal,
    sessionKey: run.ref.sessionKey
  })

const logFailure = (cause: Cause.Cause<AgentError>): Effect.Effect<void> =>
  Option.match(Cause.failureOption(cause), {
    onSome: (error) => Effect.logWarning(`the agent failed: ${error.message}`),
    onNone: () => (Cause.isInterruptedOnly(cause) ? Effect.void : Effect.logError("the agent died", cause))
  })

/** The agent is not called without an image that was sent: it would answer another question. */
const unreadable = (
  { fileName, sha256 }: Message.ImageReference,
  cause: ImageUnavailable | SessionStoreError
): AgentError =>
  new AgentError({
    message: `the image ${fileName === undefined ? sha256.slice(0, 12) : JSON.stringify(fileName)} could not be read: ${
      cause._tag === "ImageUnavailable" ? `its file is ${cause.reason}` : cause.reason
    }`,
    code: "IMAGE_UNAVAILABLE",
    cause
  })

/** What of an answer belongs into the transcript: a whole one always, a partial one when there is any text. */
const answerMessage = (run: Run, outcome: RunState.Outcome, now: number): Message.Message | undefined => {
  const { text } = run.answer
  const base = {
    ...Message.text("assistant", text, now),
    runId: Ids.keyOf(run.ref.runId),
    ...(run.usage === undefined ? {} : { usage: run.usage })
  }
  switch (outcome._tag) {
    case "Final":
      return {
        ...base,
        stopReason: outcome.stopReason ?? "stop"
      }
    case "Aborted":
      return text === "" ? undefined : { ...base, stopReason: "aborted" }
    case "Error":
      // That a restart has ended it can be seen in the history also when nothing of the answer was kept.
      return text === "" && outcome.details?.code !== interruptedCode
        ? undefined
        : { ...base, stopReason: "error", errorMessage: outcome.message }
  }
}

/** What clients are told of an agent's failure. A defect's text stays in the log: it may hold anything. */
const failureOf = (
  cause: Cause.Cause<AgentError>
): { readonly message: string; readonly details?: RunState.ErrorDetails } =>
  Option.match(Cause.failureOption(cause), {
    onNone: () => ({
      message: Cause.isInterruptedOnly(cause) ? "the agent was interrupted" : "the agent died unexpectedly"
    }),
    onSome: ({ code, message, retryAfterMs }) =>
      code === undefined
        ? { message }
        : { message, details: { code, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) } }
  })
