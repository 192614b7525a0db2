import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import * as Batcher from "../../src/journal/Batcher.js"

/** A submit whose batches end when the test says so. */
const gated = Effect.gen(function* () {
  const batches: Array<ReadonlyArray<string>> = []
  const started = yield* Effect.makeSemaphore(0)
  const finish = yield* Effect.makeSemaphore(0)
  const submit = yield* Batcher.make<string, string, string, string>({
    run: (_, jobs) =>
      Effect.gen(function* () {
        batches.push(jobs.map(({ item }) => item))
        yield* started.release(1)
        yield* finish.take(1)
        for (const job of jobs) {
          if (job.item !== "ignored")
            job.settle(job.item === "bad" ? Exit.fail("no") : Exit.succeed(job.item))
        }
      })
  })
  return {
    submit,
    batches,
    started: started.take(1),
    finish: finish.release(1)
  }
})

describe("Batcher", () => {
  it.scoped("what comes in while a batch runs goes into the next one, in order", () =>
    Effect.gen(function* () {
      const { submit, batches, finish, started } = yield* gated
      const first = yield* Effect.fork(submit("k", "a"))
      yield* started
      const others = yield* Effect.forEach(["b", "bad", "c"], (item) =>
        Effect.fork(Effect.either(submit("k", item)))
      )
      yield* Effect.yieldNow()
      yield* finish
      expect(yield* Fiber.join(first)).toBe("a")
      yield* started
      yield* finish
      expect((yield* Effect.forEach(others, Fiber.join)).map(({ _tag }) => _tag)).toEqual([
        "Right",
        "Left",
        "Right"
      ])
      expect(batches).toEqual([["a"], ["b", "bad", "c"]])
    })
  )

  it.scoped("keys don't wait for each other", () =>
    Effect.gen(function* () {
      const { submit, batches, finish, started } = yield* gated
      const fibers = yield* Effect.forEach(["k1", "k2"], (key) => Effect.fork(submit(key, key)))
      yield* started
      yield* started
      expect(batches).toEqual([["k1"], ["k2"]])
      yield* finish
      yield* finish
      expect(yield* Effect.forEach(fibers, Fiber.join)).toEqual(["k1", "k2"])
    })
  )

  it.scoped(
    "interrupted while it waits, an item never runs; interrupted later, its answer is waited for",
    () =>
      Effect.gen(function* () {
        const { submit, batches, finish, started } = yield* gated
        const running = yield* Effect.fork(submit("k", "running"))
        yield* started
        const waiting = yield* Effect.fork(submit("k", "waiting"))
        const last = yield* Effect.fork(submit("k", "last"))
        yield* Effect.yieldNow()
        expect(Exit.isInterrupted(yield* Fiber.interrupt(waiting))).toBe(true)
        const interrupting = yield* Effect.fork(Fiber.interrupt(running))
        yield* Effect.yieldNow()
        expect(interrupting.unsafePoll()).toBe(null)
        yield* finish
        yield* Fiber.join(interrupting)
        yield* started
        yield* finish
        expect(yield* Fiber.join(last)).toBe("last")
        expect(batches).toEqual([["running"], ["last"]])
      })
  )

  it.scoped("a caller that can't be interrupted gets its answer", () =>
    Effect.gen(function* () {
      const { submit, finish, started } = yield* gated
      const got = yield* Deferred.make<string>()
      const caller = yield* Effect.fork(
        Effect.uninterruptible(Effect.flatMap(submit("k", "a"), (answer) => Deferred.succeed(got, answer)))
      )
      yield* started
      yield* Fiber.interruptFork(caller)
      yield* finish
      expect(yield* Deferred.await(got)).toBe("a")
    })
  )

  it.scoped("a batch that dies, or forgets a job, answers all the same, and the next one runs", () =>
    Effect.gen(function* () {
      const submit = yield* Batcher.make<string, string, string, never>({
        run: (_, jobs) => (jobs[0]?.item === "die" ? Effect.die("boom") : Effect.void)
      })
      expect(Exit.isFailure(yield* Effect.exit(submit("k", "die")))).toBe(true)
      expect(Exit.isFailure(yield* Effect.exit(submit("k", "forget")))).toBe(true)
    })
  )

  it.scoped("closing its scope waits for what is queued", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const done: Array<string> = []
      const gate = yield* Deferred.make<void>()
      const started = yield* Deferred.make<void>()
      const submit = yield* Batcher.make<string, string, void, never>({
        take: () => 1,
        run: (_, jobs) =>
          Effect.gen(function* () {
            yield* Deferred.succeed(started, undefined)
            yield* Deferred.await(gate)
            for (const job of jobs) {
              done.push(job.item)
              job.settle(Exit.void)
            }
          })
      }).pipe(Scope.extend(scope))
      yield* Effect.fork(Effect.all([submit("k", "a"), submit("k", "b")], { concurrency: 2 }))
      yield* Deferred.await(started)
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* Effect.yieldNow()
      expect(closing.unsafePoll()).toBe(null)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(closing)
      expect(done).toEqual(["a", "b"])
    })
  )
})
