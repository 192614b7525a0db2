/**
 * Batcher: work that is done one batch after another, in the order in which it was submitted. What comes in while a batch
 * runs goes into the next one together, so that many callers share one write (group commit).
 */
import { Cause, Deferred, Effect, Exit, FiberId, type Scope } from "effect"

/** One submitted item. */
export interface Job<I, A, E> {
  readonly item: I
  /** Answers whoever submitted it. Only the first answer counts. */
  readonly settle: (exit: Exit.Exit<A, E>) => void
}

export interface Batcher<I, A, E> {
  /**
   * Queues the item and waits for its answer. Interrupted while it is still queued, the item is taken out and never
   * runs; interrupted later, the answer is waited for first.
   */
  readonly submit: (item: I) => Effect.Effect<A, E>
}

export interface BatcherOptions<I, A, E> {
  /** Batches run in this scope. Closing it waits for the batches that are queued; their interruptible waits end. */
  readonly scope: Scope.Scope
  /** How many of the queued jobs (at least one is given) make the next batch. Default: all. */
  readonly take?: (queued: ReadonlyArray<Job<I, A, E>>) => number
  /** Runs a batch, uninterruptibly. Jobs that it leaves unsettled are settled with its failure. */
  readonly run: (jobs: ReadonlyArray<Job<I, A, E>>) => Effect.Effect<void, E>
  /** Called when nothing is queued or running any more. */
  readonly onIdle?: () => void
}

export const make = <I, A, E>(options: BatcherOptions<I, A, E>): Batcher<I, A, E> => {
  const queued: Array<Job<I, A, E>> = []
  let running = false

  const takeBatch = (): ReadonlyArray<Job<I, A, E>> =>
    queued.splice(0, options.take === undefined ? queued.length : Math.max(1, options.take(queued)))

  const runBatch = Effect.suspend(() => {
    const batch = takeBatch()
    return Effect.matchCause(options.run(batch), {
      onSuccess: () => settleAll(batch, Cause.die(new Error("a batch ended without an answer"))),
      onFailure: (cause) => settleAll(batch, cause)
    })
  })

  const drain = Effect.uninterruptible(
    Effect.whileLoop({
      // Looking and going idle are one step: a fiber may yield between any two effects, and a job that was queued
      // in such a gap would wait for ever.
      while: () => {
        if (queued.length > 0) return true
        running = false
        options.onIdle?.()
        return false
      },
      body: () => runBatch,
      step: () => {}
    })
  )

  return {
    submit: (item) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.suspend(() => {
          const answer = Deferred.unsafeMake<A, E>(FiberId.none)
          const job: Job<I, A, E> = {
            item,
            settle: (exit) => Deferred.unsafeDone(answer, exit)
          }
          queued.push(job)
          let started: Effect.Effect<unknown> = Effect.void
          if (!running) {
            running = true
            started = Effect.forkIn(drain, options.scope)
          }
          return Effect.zipRight(
            started,
            Effect.catchAllCause(restore(Deferred.await(answer)), (cause) => {
              const index = queued.indexOf(job)
              if (index < 0) return Deferred.await(answer)
              queued.splice(index, 1)
              return Effect.failCause(cause)
            })
          )
        })
      )
  }
}

const settleAll = <I, A, E>(jobs: ReadonlyArray<Job<I, A, E>>, cause: Cause.Cause<E>): void => {
  for (const job of jobs) job.settle(Exit.failCause(cause))
}
