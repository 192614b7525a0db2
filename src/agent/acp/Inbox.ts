/**
 * Inbox: what an agent has said in one turn and the run has not taken yet. Bounded in bytes: whoever puts more into a full
 * one waits, and with it the agent, whose output nobody reads meanwhile.
 */
import { Chunk, Deferred, Duration, Effect, Exit, FiberId, Option } from "effect"
import type { AgentEvent } from "../../domain/AgentEvent.js"
import type { AgentError } from "../AgentRunner.js"
import * as AcpFailure from "./AcpFailure.js"

export interface Inbox {
  /** Waits while it is full, and a minute at most: then the run is failed, since it may hold up others. */
  readonly put: (events: ReadonlyArray<AgentEvent>, bytes: number) => Effect.Effect<void>
  /** What comes from now on is not for this run. */
  readonly seal: () => void
  /** Behind what is in it: nothing more comes. The first end counts. */
  readonly end: (error?: AgentError) => void
  /** Nobody takes any more: what is in it is dropped, and so is what comes. */
  readonly close: () => void
  /** All that is in it; waits for something. Interrupted, it has taken nothing. */
  readonly take: Effect.Effect<Chunk.Chunk<AgentEvent>, Option.Option<AgentError>>
}

/** How much may wait. */
const mostBytes = 1024 * 1024
/** How long a run may leave a full inbox alone. */
const patience = Duration.minutes(1)

export const make = (): Inbox => {
  let events: Array<AgentEvent> = []
  let bytes = 0
  let sealed = false
  let ended: Exit.Exit<never, Option.Option<AgentError>> | undefined
  let news = Deferred.unsafeMake<void>(FiberId.none)
  let room = Deferred.unsafeMake<void>(FiberId.none)

  const tell = (): void => {
    const told = news
    news = Deferred.unsafeMake(FiberId.none)
    Deferred.unsafeDone(told, Exit.void)
  }
  const makeRoom = (): void => {
    bytes = 0
    const made = room
    room = Deferred.unsafeMake(FiberId.none)
    Deferred.unsafeDone(made, Exit.void)
  }
  const end = (error?: AgentError): void => {
    ended ??= Exit.fail(error === undefined ? Option.none() : Option.some(error))
    tell()
  }
  const close = (): void => {
    sealed = true
    events = []
    makeRoom()
  }
  const awaitRoom = Effect.suspend(() =>
    Effect.timeoutTo(Deferred.await(room), {
      duration: patience,
      onSuccess: () => undefined,
      onTimeout: () => {
        end(AcpFailure.notHeard(patience))
        close()
      }
    })
  )

  return {
    put: (more, size) =>
      Effect.suspend(() => {
        if (sealed || ended !== undefined) return Effect.void
        events.push(...more)
        bytes += size
        tell()
        return bytes > mostBytes ? awaitRoom : Effect.void
      }),
    seal: () => {
      sealed = true
    },
    end,
    close,
    take: Effect.suspend(function take(): Effect.Effect<Chunk.Chunk<AgentEvent>, Option.Option<AgentError>> {
      if (events.length === 0) {
        return ended ?? Effect.flatMap(Deferred.await(news), () => Effect.suspend(take))
      }
      const taken = events
      events = []
      makeRoom()
      return Effect.succeed(Chunk.unsafeFromArray(taken))
    })
  }
}
