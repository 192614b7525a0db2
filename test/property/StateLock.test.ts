/**
 * However the steps of processes that want one lock fall between each other, and wherever some of them are killed: never
 * two have it, and what the killed leave keeps nobody out.
 */
import { FileSystem } from "@effect/platform"
import * as NodePath from "@effect/platform-node/NodePath"
import { expect, it } from "@effect/vitest"
import { Effect, Exit, FastCheck, Scope } from "effect"
import type { Identity, LockOwner } from "../../src/session/LockOwner.js"
import * as StateLock from "../../src/session/StateLock.js"
import * as MemoryFileSystem from "../session/MemoryFileSystem.js"

/** One process: it takes the lock, holds it for some steps, and leaves it, unless it is killed before its nth step. */
interface Plan {
  readonly holdFor: number
  readonly killedAt: number
}

const plan = FastCheck.record({
  holdFor: FastCheck.integer({ min: 0, max: 12 }),
  killedAt: FastCheck.oneof(
    FastCheck.constant(Number.POSITIVE_INFINITY),
    FastCheck.integer({ min: 1, max: 24 })
  )
})

const plans = FastCheck.array(plan, { minLength: 2, maxLength: 5 })
/** Whose turn it is, and for how many steps: others may run far while one stands still. */
const schedule = FastCheck.array(
  FastCheck.tuple(FastCheck.nat({ max: 5 }), FastCheck.integer({ min: 1, max: 12 })),
  { maxLength: 24, size: "max" }
)

const ownerOf = (pid: number): LockOwner => ({ id: `p${pid}`, pid, host: "h", since: "" })

const perform = (all: ReadonlyArray<Plan>, turns: ReadonlyArray<readonly [who: number, steps: number]>) =>
  Effect.gen(function* () {
    const directory = MemoryFileSystem.make()
    directory.write("/state/lock", JSON.stringify(ownerOf(98)))
    const parked = yield* Effect.makeSemaphore(0)
    const living = new Set<number>()
    const holders = new Set<number>()
    const together: Array<ReadonlyArray<number>> = []

    const start = (pid: number, { holdFor, killedAt }: Plan) =>
      Effect.gen(function* () {
        const turn = yield* Effect.makeSemaphore(0)
        let steps = 0
        const before = Effect.suspend(() => {
          steps++
          if (steps !== killedAt) return Effect.zipRight(parked.release(1), turn.take(1))
          living.delete(pid)
          holders.delete(pid)
          return Effect.zipRight(parked.release(1), Effect.never)
        })
        const identity: Identity = {
          me: ownerOf(pid),
          judge: (owner) => Effect.succeed(living.has(owner.pid) ? "alive" : "dead")
        }
        const life = Effect.gen(function* () {
          const scope = yield* Scope.make()
          yield* Scope.extend(StateLock.acquireAs("/state", identity), scope)
          holders.add(pid)
          if (holders.size > 1) together.push(Array.from(holders))
          yield* Effect.repeatN(before, holdFor)
          holders.delete(pid)
          yield* Scope.close(scope, Exit.void)
        }).pipe(
          Effect.provideService(FileSystem.FileSystem, directory.view(before)),
          Effect.either,
          Effect.tap(() => {
            living.delete(pid)
          }),
          Effect.zipLeft(parked.release(1))
        )
        living.add(pid)
        // A daemon: one that was killed can't be interrupted either.
        yield* Effect.forkDaemon(life)
        yield* parked.take(1)
        /** Lets it make one step. */
        return {
          step: Effect.suspend(() =>
            living.has(pid) ? Effect.zipRight(turn.release(1), parked.take(1)) : Effect.void
          )
        }
      })

    const processes = (yield* Effect.forEach(all, (plan, at) => start(at + 1, plan))).map(({ step }) => step)
    yield* Effect.forEach(turns, ([who, steps]) =>
      Effect.repeatN(processes[who % processes.length] ?? Effect.void, steps - 1)
    )
    // To the end, so that what must become of it is known.
    while (living.size > 0) yield* Effect.all(processes)
    expect(together).toEqual([])

    const last = yield* start(99, { holdFor: 0, killedAt: Number.POSITIVE_INFINITY })
    while (living.has(99) && !holders.has(99)) yield* last.step
    expect(holders.has(99)).toBe(true)
  })

// In parts, each of which takes its share of the time that a test may take.
for (const part of [1, 2, 3, 4]) {
  it.effect.prop(
    `never two hold the lock, and nobody who was killed keeps it (part ${part})`,
    [plans, schedule],
    ([all, turns]) => Effect.provide(perform(all, turns), NodePath.layer),
    { fastCheck: { numRuns: 30 } }
  )
}
