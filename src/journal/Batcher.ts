/**
 * Batcher: work that is done one batch after another, in the order in which it was submitted. What comes in while a
 * batch runs goes into the next one together, so that many callers share one write (group commit).
 */
import { Cause, Deferred, Effect, Exit, FiberId, type Scope } from "effect"

/** One submitted item. */
export interface Job<I, A, E> {
  readonly item: I
  /** Answers whoever submitted it. Only the first answer counts. */
  readonly settle: (exit: Exit.Exit<A, E>) => void
}

interface Waiting<I, A, E> extends Job<I, A, E> {
  readonly answer: () => Exit.Exit<A, E> | undefined
}

export interface BatcherOptions<K, I, A, E> {
  /** How many of the queued jobs (at least one is given) make the next batch. Default: all. */
  readonly take?: (queued: ReadonlyArray<Job<I, A, E>>) => number
  /** Runs a batch, uninterruptibly. Jobs that it leaves unsettled are settled with its failure. */
  readonly run: (key: K, jobs: ReadonlyArray<Job<I, A, E>>) => Effect.Effect<void, E>
}

/**
 * Queues an item behind those of its key, and waits for its answer. Keys don't wait for each other. Interrupted while
 * it is still queued, the item is taken out and never runs; interrupted later, the answer is waited for first.
 */
export type Submit<K, I, A, E> = (key: K, item: I) => Effect.Effect<A, E>

/**
 * Whoever finds nothing queued runs the batch itself: a fiber and a wait less. What has come in meanwhile is run by a fiber
 * of the scope. Closing the scope waits for all that is queued.
 */
export const make = <K, I, A, E>(
  options: BatcherOptions<K, I, A, E>
): Effect.Effect<Submit<K, I, A, E>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    // A key is here exactly as long as somebody works through its queue.
    const queues = new Map<K, Array<Waiting<I, A, E>>>()
    let idle: Deferred.Deferred<void> | undefined

    const leave = (key: K): void => {
      queues.delete(key)
      if (queues.size === 0 && idle !== undefined) Deferred.unsafeDone(idle, Exit.void)
    }

    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        if (queues.size === 0) return Effect.void
        idle = Deferred.unsafeMake<void>(FiberId.none)
        return Deferred.await(idle)
      })
    )

    const runBatch = (key: K, batch: ReadonlyArray<Waiting<I, A, E>>) =>
      Effect.matchCause(options.run(key, batch), {
        onSuccess: () => {
          // An error costs its stack trace: it is made only when there is one.
          if (batch.some((job) => job.answer() === undefined))
            settleAll(batch, Cause.die(new Error("a batch ended without an answer")))
        },
        onFailure: (cause) => settleAll(batch, cause)
      })

    const nextOf = (queued: Array<Waiting<I, A, E>>): ReadonlyArray<Waiting<I, A, E>> =>
      queued.splice(0, options.take === undefined ? queued.length : Math.max(1, options.take(queued)))

    const drain = (key: K, queued: Array<Waiting<I, A, E>>) =>
      Effect.uninterruptible(
        Effect.whileLoop({
          // Looking and leaving are one step: a fiber may yield between any two effects, and a job that came in such a
          // gap would wait for ever.
          while: () => queued.length > 0 || (leave(key), false),
          // The last one that waited may have been interrupted just now.
          body: () =>
            Effect.suspend(() => (queued.length === 0 ? Effect.void : runBatch(key, nextOf(queued)))),
          step: () => {}
        })
      )

    const goOn = (key: K, queued: Array<Waiting<I, A, E>>): Effect.Effect<void> => {
      if (queued.length > 0) return Effect.asVoid(Effect.forkIn(drain(key, queued), scope))
      leave(key)
      return Effect.void
    }

    const runItself = (key: K, item: I): Effect.Effect<A, E> => {
      const queued: Array<Waiting<I, A, E>> = []
      const job = jobOf<I, A, E>(item, () => {})
      queues.set(key, queued)
      return Effect.flatMap(runBatch(key, [job]), () =>
        Effect.zipRight(
          goOn(key, queued),
          job.answer() ?? Effect.die(new Error("a batch ended without an answer"))
        )
      )
    }

    const wait = (
      queued: Array<Waiting<I, A, E>>,
      item: I,
      restore: <A1, E1>(effect: Effect.Effect<A1, E1>) => Effect.Effect<A1, E1>
    ): Effect.Effect<A, E> => {
      const answer = Deferred.unsafeMake<A, E>(FiberId.none)
      const job = jobOf<I, A, E>(item, (exit) => Deferred.unsafeDone(answer, exit))
      queued.push(job)
      return Effect.catchAllCause(restore(Deferred.await(answer)), (cause) => {
        const index = queued.indexOf(job)
        if (index < 0) return Deferred.await(answer)
        queued.splice(index, 1)
        return Effect.failCause(cause)
      })
    }

    return (key, item) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.suspend(() => {
          const queued = queues.get(key)
          return queued === undefined ? runItself(key, item) : wait(queued, item, restore)
        })
      )
  })

const jobOf = <I, A, E>(item: I, tell: (exit: Exit.Exit<A, E>) => void): Waiting<I, A, E> => {
  let answer: Exit.Exit<A, E> | undefined
  return {
    item,
    answer: () => answer,
    settle: (exit) => {
      if (answer !== undefined) return
      answer = exit
      tell(exit)
    }
  }
}

const settleAll = <I, A, E>(jobs: ReadonlyArray<Job<I, A, E>>, cause: Cause.Cause<E>): void => {
  for (const job of jobs) job.settle(Exit.failCause(cause))
}
