/**
 * Permissions: what agents at work ask their session's clients. A question is broadcast, and the first answer counts; after
 * its time, or when the run ends, it counts as not answered, which agents take as a no.
 */
import { Clock, Context, Deferred, Duration, Effect, Exit, Layer, Option } from "effect"
import type { PermissionOption, PermissionRequest } from "../agent/AgentRunner.js"
import type { PermissionQuestion, PermissionVerdict, RunRef } from "../domain/HubEvent.js"
import type { RunId } from "../domain/Ids.js"
import * as Ids from "../domain/Ids.js"
import { UnknownPermission, UnknownPermissionOption } from "../domain/RunError.js"
import type { SessionKey } from "../domain/SessionKey.js"
import { EventHub } from "../event/EventHub.js"

export interface PermissionsShape {
  /**
   * Asks, and waits for the answer. `None`: nobody has answered in time. Interruption takes the question back, and its
   * watchers are told.
   */
  readonly ask: (run: RunRef, request: PermissionRequest) => Effect.Effect<Option.Option<PermissionOption>>
  /**
   * Answers a question with one of its options. The first answer counts: a second one finds no question, as does one from
   * somebody who may not see its session.
   */
  readonly answer: (
    id: string,
    optionId: string,
    sees: (sessionKey: SessionKey) => boolean
  ) => Effect.Effect<PermissionOption, UnknownPermission | UnknownPermissionOption>
  /** Takes back what a run has asked: it is over. Synchronous, so that its terminal event is the last one. */
  readonly unsafeWithdraw: (runId: RunId, now: number) => void
  /** The questions that wait for an answer, oldest first. */
  readonly list: Effect.Effect<ReadonlyArray<PendingPermission>>
}

/** A question that waits. */
export interface PendingPermission {
  readonly run: RunRef
  readonly question: PermissionQuestion
}

/** The port. Layer: `Permissions.layer`. */
export class Permissions extends Context.Tag("colloquy/Permissions")<Permissions, PermissionsShape>() {}

interface Waiting extends PendingPermission {
  readonly answered: Deferred.Deferred<PermissionOption>
}

/** Arguments that JSON can't hold are left out: a question must reach whoever can answer it. */
const encodable = <A extends { readonly args?: unknown }>({ args, ...question }: A) => {
  try {
    const json = JSON.stringify(args)
    return json === undefined ? question : { ...question, args }
  } catch {
    return question
  }
}

const make = Effect.gen(function* () {
  const hub = yield* EventHub
  const waiting = new Map<string, Waiting>()

  /** Takes the question off the list and says what became of it; only whoever takes it off may. */
  const close = ({ question, run }: Waiting, verdict: PermissionVerdict, now: number): boolean => {
    if (!waiting.delete(question.id)) return false
    hub.unsafePublish({ _tag: "PermissionResolved", run, id: question.id, verdict, timestamp: now })
    return true
  }
  const closeNow = (one: Waiting, verdict: PermissionVerdict) =>
    Effect.map(Clock.currentTimeMillis, (now) => close(one, verdict, now))

  const ask = (run: RunRef, request: PermissionRequest): Effect.Effect<Option.Option<PermissionOption>> =>
    Effect.gen(function* () {
      const { timeout, ...asked } = request
      const id = yield* Ids.uuid
      const now = yield* Clock.currentTimeMillis
      const one: Waiting = {
        run,
        question: { ...encodable(asked), id, timestamp: now, expiresAt: now + Duration.toMillis(timeout) },
        answered: yield* Deferred.make<PermissionOption>()
      }
      waiting.set(id, one)
      hub.unsafePublish({ _tag: "PermissionAsked", run, question: one.question })
      const answer = yield* Effect.timeoutOption(Deferred.await(one.answered), timeout).pipe(
        Effect.onInterrupt(() => closeNow(one, { _tag: "Withdrawn" }))
      )
      // Whoever answered right at the end was told that it counts.
      if (Option.isSome(answer) || (yield* closeNow(one, { _tag: "Expired" }))) return answer
      return Option.some(yield* Deferred.await(one.answered))
    })

  const answer: PermissionsShape["answer"] = (id, optionId, sees) =>
    Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const one = waiting.get(id)
      if (one === undefined || !sees(one.run.sessionKey)) return yield* new UnknownPermission({ id })
      const { options } = one.question
      const option = options.find((candidate) => candidate.id === optionId)
      if (option === undefined) {
        return yield* new UnknownPermissionOption({ id, options: options.map((candidate) => candidate.id) })
      }
      close(one, { _tag: "Answered", option }, now)
      Deferred.unsafeDone(one.answered, Exit.succeed(option))
      return option
    })

  return Permissions.of({
    ask,
    answer,
    unsafeWithdraw: (runId, now) => {
      for (const one of waiting.values()) {
        if (one.run.runId === runId) close(one, { _tag: "Withdrawn" }, now)
      }
    },
    list: Effect.sync(() => [...waiting.values()].map(({ question, run }) => ({ question, run })))
  })
})

export const layer: Layer.Layer<Permissions, never, EventHub> = Layer.effect(Permissions, make)
