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
  readonly isSettled: () => boolean
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

/** Batches run in the scope in which this is made. Closing it waits for all that is queued. */
export const make = <K, I, A, E>(
  options: BatcherOptions<K, I, A, E>
): Effect.Effect<Submit<K, I, A, E>, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    // A key is here exactly as long as a fiber works through its queue.
    const queues = new Map<K, Array<Waiting<I, A, E>>>()

    const runBatch = (key: K, queued: Array<Waiting<I, A, E>>) =>
      Effect.suspend(() => {
        const batch = queued.splice(
          0,
          options.take === undefined ? queued.length : Math.max(1, options.take(queued))
        )
        // The last one that waited may have been interrupted just now.
        if (batch.length === 0) return Effect.void
        return Effect.matchCause(options.run(key, batch), {
          onSuccess: () => {
            // An error costs its stack trace: it is made only when there is one.
            if (batch.some((job) => !job.isSettled()))
              settleAll(batch, Cause.die(new Error("a batch ended without an answer")))
          },
          onFailure: (cause) => settleAll(batch, cause)
        })
      })

    const drain = (key: K, queued: Array<Waiting<I, A, E>>) =>
      Effect.uninterruptible(
        Effect.whileLoop({
          // Looking and leaving are one step: a fiber may yield between any two effects, and a job that came in such a
          // gap would wait for ever.
          while: () => queued.length > 0 || !queues.delete(key),
          body: () => runBatch(key, queued),
          step: () => {}
        })
      )

    return (key, item) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.suspend(() => {
          const answer = Deferred.unsafeMake<A, E>(FiberId.none)
          const job = jobOf<I, A, E>(item, (exit) => Deferred.unsafeDone(answer, exit))
          const busy = queues.get(key)
          const queued = busy ?? []
          queued.push(job)
          if (busy === undefined) queues.set(key, queued)
          return Effect.zipRight(
            busy === undefined ? Effect.forkIn(drain(key, queued), scope) : Effect.void,
            Effect.catchAllCause(restore(Deferred.await(answer)), (cause) => {
              const index = queued.indexOf(job)
              if (index < 0) return Deferred.await(answer)
              queued.splice(index, 1)
              return Effect.failCause(cause)
            })
          )
        })
      )
  })

const jobOf = <I, A, E>(item: I, tell: (exit: Exit.Exit<A, E>) => void): Waiting<I, A, E> => {
  let settled = false
  return {
    item,
    isSettled: () => settled,
    settle: (exit) => {
      settled = true
      tell(exit)
    }
  }
}

const settleAll = <I, A, E>(jobs: ReadonlyArray<Job<I, A, E>>, cause: Cause.Cause<E>): void => {
  for (const job of jobs) job.settle(Exit.failCause(cause))
}
