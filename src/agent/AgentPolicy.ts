/** AgentPolicy: how long an agent may be silent, and when it is tried again. The same for every kind of agent. */
import {
  type Chunk,
  Duration,
  Effect,
  ExecutionStrategy,
  Exit,
  Layer,
  Option,
  Random,
  Scope,
  Stream
} from "effect"
import type { AgentEvent } from "../domain/AgentEvent.js"
import { type Agent, AgentError, type AgentRequest, AgentRunner } from "./AgentRunner.js"

/** When a failure is tried again: only while the agent has said nothing yet, since what was said can't be taken back. */
export interface RetryPolicy {
  /** How often it is tried in all; 1: never again. */
  readonly attempts: number
  /** The wait before the second try, doubled for each further one, each cut by a random half at most. */
  readonly baseDelay: Duration.Duration
  /** The longest wait that we choose. What the other side asks for (`retryAfterMs`) counts whole. */
  readonly maxDelay: Duration.Duration
  /** All waits together; a wait that does not fit is not begun, and the failure stands. */
  readonly budget: Duration.Duration
}

export interface AgentPolicy {
  /** An agent that says nothing at all for so long has failed, unless it waits for a permission; zero: without limit. */
  readonly noProgressTimeout: Duration.Duration
  readonly retry: RetryPolicy
}

export const defaults: AgentPolicy = {
  noProgressTimeout: Duration.minutes(5),
  retry: {
    attempts: 4,
    baseDelay: Duration.millis(500),
    maxDelay: Duration.seconds(10),
    budget: Duration.minutes(1)
  }
}

/** The agent under a policy. */
export const apply =
  (policy: AgentPolicy) =>
  (agent: Agent): Agent => ({ ...agent, run: under(policy, agent.run) })

/**
 * A layer's agents under a policy; what is left out is as in `defaults`:
 *
 * ```ts
 * AgentRunner.fromStream(answer).pipe(AgentPolicy.withPolicy({ noProgressTimeout: Duration.seconds(30) }))
 * ```
 */
export const withPolicy =
  (policy: Partial<AgentPolicy>) =>
  <E, R>(agents: Layer.Layer<AgentRunner, E, R>): Layer.Layer<AgentRunner, E, R> =>
    Layer.effect(
      AgentRunner,
      Effect.map(AgentRunner, ({ agents, run }) => ({ agents, run: under({ ...defaults, ...policy }, run) }))
    ).pipe(Layer.provide(agents))

const under =
  ({ noProgressTimeout, retry }: AgentPolicy, run: Agent["run"]): Agent["run"] =>
  (request) =>
    retrying(retry, () => attended(noProgressTimeout, request, run))

type Answer = Stream.Stream<AgentEvent, AgentError>

/** Fails when nothing comes for too long. */
const attended = (limit: Duration.Duration, request: AgentRequest, run: Agent["run"]): Answer => {
  if (Duration.equals(limit, Duration.zero)) return run(request)
  let asking = 0
  const ask: AgentRequest["ask"] = (question) =>
    Effect.acquireUseRelease(
      Effect.sync(() => (asking += 1)),
      () => request.ask(question),
      () => Effect.sync(() => (asking -= 1))
    )
  const silence: Effect.Effect<never, Option.Option<AgentError>> = Effect.flatMap(Effect.sleep(limit), () =>
    // Whoever is asked is slow, not the agent.
    asking > 0 ? silence : Effect.fail(Option.some(noProgress(limit)))
  )
  return Stream.fromPull(
    Effect.map(Stream.toPull(run({ ...request, ask })), (pull) => Effect.raceFirst(pull, silence))
  )
}

const noProgress = (limit: Duration.Duration): AgentError =>
  new AgentError({
    code: "NO_PROGRESS",
    message: `the agent has said nothing for ${Duration.format(limit)}: see its own log, or raise noProgressTimeout`
  })

/** One try: its stream, and what it holds. */
interface Attempt {
  readonly scope: Scope.CloseableScope
  readonly pull: Effect.Effect<Chunk.Chunk<AgentEvent>, Option.Option<AgentError>>
}

/** Tries again what failed before anything was said. */
const retrying = (policy: RetryPolicy, run: () => Answer): Answer =>
  Stream.fromPull(
    Effect.map(Effect.scope, (whole) => {
      let attempt: Attempt | undefined
      let tries = 0
      let waited = 0
      let said = false

      const begin = Effect.gen(function* () {
        const scope = yield* Scope.fork(whole, ExecutionStrategy.sequential)
        tries += 1
        attempt = { scope, pull: yield* Scope.extend(Stream.toPull(run()), scope) }
        return attempt
      })

      const again = (failed: Attempt, error: AgentError): Effect.Effect<void, Option.Option<AgentError>> =>
        Effect.gen(function* () {
          const chosen = Math.min(
            Duration.toMillis(policy.baseDelay) * 2 ** (tries - 1),
            Duration.toMillis(policy.maxDelay)
          )
          const delay = error.retryAfterMs ?? Math.round(chosen * (yield* Random.nextRange(0.5, 1)))
          const isOver = tries >= policy.attempts || waited + delay > Duration.toMillis(policy.budget)
          if (said || error.retryable !== true || isOver) return yield* Effect.fail(Option.some(error))
          waited += delay
          yield* Effect.logWarning(`the agent failed and is tried again in ${delay} ms: ${error.message}`)
          yield* Scope.close(failed.scope, Exit.void)
          yield* Effect.sleep(delay)
          yield* begin
        })

      const pull: Attempt["pull"] = Effect.suspend(() =>
        Effect.flatMap(attempt === undefined ? begin : Effect.succeed(attempt), (current) =>
          current.pull.pipe(
            Effect.tap((events) => {
              said ||= [...events].some(isSaid)
            }),
            Effect.catchAll(
              Option.match({
                onNone: () => Effect.fail(Option.none()),
                onSome: (error) => Effect.zipRight(again(current, error), pull)
              })
            )
          )
        )
      )
      return pull
    })
  )

/** Was something shown that can't be taken back? */
const isSaid = ({ _tag }: AgentEvent): boolean => _tag !== "Start" && _tag !== "UsageSoFar"
