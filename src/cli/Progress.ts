/** Progress: one line on a terminal that says what is waited for, from the second second on. It leaves nothing behind. */
import { Effect } from "effect"

const clear = "\r\u001b[2K"

/** Standard error, and only if it is a terminal: what is printed stays clean. */
const show = (text: string): Effect.Effect<void> => Effect.sync(() => void process.stderr.write(text))

const count = (what: string, seconds: number): Effect.Effect<never> =>
  Effect.zipRight(
    show(`${clear}${what}… ${seconds} s`),
    Effect.suspend(() => Effect.zipRight(Effect.sleep("1 second"), count(what, seconds + 1)))
  )

/** Shows `what` while the effect runs, if that takes longer than a second. */
export const during = <A, E, R>(what: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  process.stderr.isTTY
    ? Effect.raceFirst(
        effect,
        // What ends the wait prints behind it: the line is gone by then.
        Effect.zipRight(
          Effect.sleep("1 second"),
          Effect.onInterrupt(count(what, 1), () => show(clear))
        )
      )
    : effect
