/** AcpProcesses: which process serves a run. Started when they are needed, and anew when they have died. */
import { Duration, Effect, ExecutionStrategy, FiberMap, Scope } from "effect"
import type { AgentError } from "../AgentRunner.js"
import * as AcpProcess from "./AcpProcess.js"

export interface AcpProcesses {
  /** The process under a key, started if need be; it is in use until the scope closes. */
  readonly use: (key: string) => Effect.Effect<AcpProcess.AcpProcess, AgentError, Scope.Scope>
}

interface Slot {
  /** One start at a time; what goes wrong with it is the failure of all who have waited for it. */
  readonly lock: Effect.Semaphore
  process: AcpProcess.AcpProcess | undefined
  failures: number
  failure: AgentError | undefined
  users: number
}

export const defaultIdleTimeout = Duration.minutes(10)
/** The most processes that are kept though nobody uses them, of an agent with one for each session. */
const mostIdle = 16

/** Closing the scope ends all processes, side by side. */
export const make = (workshop: AcpProcess.Workshop): Effect.Effect<AcpProcesses, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { options } = workshop
    const idleTimeout = options.idleTimeout ?? defaultIdleTimeout
    const scope = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.parallel)
    const idle = yield* Scope.extend(FiberMap.make<string>(), scope)
    /** Those that were used most recently stand last. */
    const slots = new Map<string, Slot>()

    const slotOf = (key: string): Slot => {
      const slot = slots.get(key) ?? {
        lock: Effect.unsafeMakeSemaphore(1),
        process: undefined,
        failures: 0,
        failure: undefined,
        users: 0
      }
      slots.delete(key)
      slots.set(key, slot)
      return slot
    }

    const start = (slot: Slot): Effect.Effect<AcpProcess.AcpProcess, AgentError> =>
      Effect.suspend(() => {
        const before = slot.failures
        return slot.lock.withPermits(1)(
          Effect.suspend(() => {
            if (slot.process?.isAlive() === true) return Effect.succeed(slot.process)
            if (slot.failures > before && slot.failure !== undefined) return Effect.fail(slot.failure)
            return Scope.extend(AcpProcess.start(workshop), scope).pipe(
              Effect.tap((process) => Effect.sync(() => (slot.process = process))),
              Effect.tapError((error) =>
                Effect.sync(() => {
                  slot.failures += 1
                  slot.failure = error
                })
              )
            )
          })
        )
      })

    const stopIdle = (key: string, slot: Slot): Effect.Effect<void> =>
      slot.lock.withPermits(1)(
        Effect.suspend(() => {
          if (slot.users > 0) return Effect.void
          slots.delete(key)
          return slot.process?.stop("it was not used") ?? Effect.void
        })
      )

    const release = (key: string, slot: Slot): Effect.Effect<void> =>
      Effect.suspend(() => {
        slot.users -= 1
        if (options.process === "agent" || slot.users > 0) return Effect.void
        const unused = [...slots].filter(([, { users }]) => users === 0)
        const tooMany = unused.slice(0, Math.max(0, unused.length - mostIdle))
        return Effect.forEach(
          [
            ...tooMany.map(([key, slot]) => [key, stopIdle(key, slot)] as const),
            [key, Effect.delay(stopIdle(key, slot), idleTimeout)] as const
          ],
          ([key, stop]) => FiberMap.run(idle, key, Effect.interruptible(stop)),
          { discard: true }
        )
      })

    return {
      use: (key) =>
        Effect.gen(function* () {
          const slot = yield* Effect.acquireRelease(
            Effect.sync(() => {
              const slot = slotOf(key)
              slot.users += 1
              return slot
            }),
            (slot) => release(key, slot)
          )
          yield* FiberMap.remove(idle, key)
          return yield* start(slot)
        })
    }
  })
