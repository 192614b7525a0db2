/** How long to wait before something is tried again: twice as long each time, up to a bound, anywhere in between ("full jitter"). */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

export interface Backoff {
  /** The longest first wait. Default: 250 ms. */
  readonly base?: Duration.DurationInput
  /** The longest wait. Default: 10 s. */
  readonly max?: Duration.DurationInput
}

/** Milliseconds before try number `attempt` (from 1), at least `floor`. */
export const delay = (
  { base = "250 millis", max = "10 seconds" }: Backoff,
  attempt: number,
  floor = 0
): Effect.Effect<number> => {
  const most = Math.min(Duration.toMillis(max), Duration.toMillis(base) * 2 ** Math.min(attempt - 1, 30))
  return Effect.map(Random.nextRange(0, most), (wait) => floor + Math.round(wait))
}
