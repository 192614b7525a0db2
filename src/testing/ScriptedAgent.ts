/**
 * ScriptedAgent: an agent that does what a test says, when it says it. Each run that the gateway starts becomes a
 * `ScriptedRun` with levers (emit, finish, fail, die, hand off) and receipts (started, interrupted, ended) to wait on.
 */
import { Cause, Context, Deferred, Effect, Either, Exit, Layer, Option, Queue, Stream } from "effect"
import type { AgentAbout } from "../domain/AgentAbout.js"
import * as SessionKey from "../domain/SessionKey.js"
import { AgentError, type AgentRequest, AgentRunner, type AgentRunnerShape } from "../agent/AgentRunner.js"
import * as AgentEvent from "../domain/AgentEvent.js"

/** One run in the hands of a test. Nothing happens in it that a lever did not cause. */
export interface ScriptedRun {
  readonly request: AgentRequest
  /** Says something, whatever it is. */
  readonly emit: (event: AgentEvent.AgentEvent) => Effect.Effect<void>
  /** Says more of the answer. */
  readonly say: (text: string) => Effect.Effect<void>
  /** Ends well: the answer is whole. */
  readonly finish: Effect.Effect<void>
  /** Says the text and ends well. */
  readonly answer: (text: string) => Effect.Effect<void>
  /** Returns without an end: the run is handed off. */
  readonly handOff: Effect.Effect<void>
  /** Fails with a typed error. */
  readonly fail: (message: string) => Effect.Effect<void>
  /** Dies of a defect. */
  readonly die: (defect: unknown) => Effect.Effect<void>
  /** Receipt: the gateway interrupted the agent (also when the agent ignores it: then it never comes). */
  readonly interrupted: Effect.Effect<void>
  /** Receipt: the agent's stream ended, in whatever way. */
  readonly ended: Effect.Effect<Exit.Exit<void, AgentError>>
}

export interface ScriptedAgentShape {
  /** Waits for the next run that the gateway starts and that no earlier call took. */
  readonly next: Effect.Effect<ScriptedRun>
  /** All runs started so far, oldest first. */
  readonly runs: Effect.Effect<ReadonlyArray<ScriptedRun>>
  /** Runs that start from now on ignore their interruption. */
  readonly ignoreInterruption: (ignore: boolean) => Effect.Effect<void>
  /** Runs that start from now on answer by themselves: with this text, at once. `None`: wait for levers again. */
  readonly answerAll: (answer: Option.Option<(request: AgentRequest) => string>) => Effect.Effect<void>
}

export class ScriptedAgent extends Context.Tag("colloquy/ScriptedAgent")<
  ScriptedAgent,
  ScriptedAgentShape
>() {}

type Step =
  | { readonly _tag: "Emit"; readonly event: AgentEvent.AgentEvent }
  | { readonly _tag: "Return" }
  | { readonly _tag: "Fail"; readonly error: AgentError }
  | { readonly _tag: "Die"; readonly defect: unknown }

/** Which agents the one script plays: one alone, as the gateway's default agent, or several by id. */
export type Cast = AgentRunnerShape["agents"]

const alone: Cast = { kind: "scripted", images: true }

/** Agents of a test by id, all played by the one script. */
export const cast = (agents: { readonly [agentId: string]: Partial<AgentAbout> }): Cast =>
  new Map(
    Object.entries(agents).map(([name, about]) => [
      Either.getOrThrowWith(
        SessionKey.parseAgentId(name),
        (expected) => new Error(`${name}: expected ${expected}`)
      ),
      { ...alone, ...about }
    ])
  )

const make = (agents: Cast) =>
  Effect.gen(function* () {
    const started = yield* Queue.unbounded<ScriptedRun>()
    const runs: Array<ScriptedRun> = []
    let stubborn = false
    let auto: Option.Option<(request: AgentRequest) => string> = Option.none()

    const run = (request: AgentRequest) =>
      Stream.unwrap(
        Effect.gen(function* () {
          const steps = yield* Queue.unbounded<Step>()
          const interrupted = yield* Deferred.make<void>()
          const ended = yield* Deferred.make<Exit.Exit<void, AgentError>>()
          const emit = (event: AgentEvent.AgentEvent) =>
            Effect.asVoid(Queue.offer(steps, { _tag: "Emit", event }))
          const say = (text: string) => emit(AgentEvent.textDelta(text))
          const handle: ScriptedRun = {
            request,
            emit,
            say,
            finish: emit(AgentEvent.end()),
            answer: (text) => Effect.zipRight(say(text), emit(AgentEvent.end())),
            handOff: Effect.asVoid(Queue.offer(steps, { _tag: "Return" })),
            fail: (message) =>
              Effect.asVoid(Queue.offer(steps, { _tag: "Fail", error: new AgentError({ message }) })),
            die: (defect) => Effect.asVoid(Queue.offer(steps, { _tag: "Die", defect })),
            interrupted: Deferred.await(interrupted),
            ended: Deferred.await(ended)
          }
          runs.push(handle)
          yield* Queue.offer(started, handle)
          if (Option.isSome(auto)) yield* handle.answer(auto.value(request))
          const take = stubborn ? Effect.uninterruptible(Queue.take(steps)) : Queue.take(steps)
          return Stream.repeatEffectOption(Effect.flatMap(take, perform)).pipe(
            Stream.ensuringWith((exit) =>
              Effect.zipRight(
                Exit.isFailure(exit) && Cause.isInterrupted(exit.cause)
                  ? Deferred.succeed(interrupted, undefined)
                  : Effect.void,
                Deferred.succeed(ended, Exit.asVoid(exit))
              )
            )
          )
        })
      )

    return Context.make(AgentRunner, { run, agents }).pipe(
      Context.add(ScriptedAgent, {
        next: Queue.take(started),
        runs: Effect.sync(() => [...runs]),
        ignoreInterruption: (ignore) =>
          Effect.sync(() => {
            stubborn = ignore
          }),
        answerAll: (answer) =>
          Effect.sync(() => {
            auto = answer
          })
      })
    )
  })

/** The agent and its levers. `agents`: which ones the script plays. */
export const layerOf = (agents: Cast): Layer.Layer<AgentRunner | ScriptedAgent> =>
  Layer.effectContext(make(agents))

/** One agent alone. */
export const layer: Layer.Layer<AgentRunner | ScriptedAgent> = layerOf(alone)

const perform = (step: Step): Effect.Effect<AgentEvent.AgentEvent, Option.Option<AgentError>> => {
  switch (step._tag) {
    case "Emit":
      return Effect.succeed(step.event)
    case "Return":
      return Effect.fail(Option.none())
    case "Fail":
      return Effect.fail(Option.some(step.error))
    case "Die":
      return Effect.die(step.defect)
  }
}
