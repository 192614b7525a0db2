/** What the agent of the crash test does with a run: decided by the run's id alone, so that the driver knows it too. */
import * as Pictures from "../support/Pictures.js"
import * as Prng from "./Prng.js"

export interface Behaviour {
  readonly pieces: ReadonlyArray<{ readonly text: string; readonly delayMs: number }>
  /** After the pieces the agent fails, instead of ending well. */
  readonly fails: boolean
  /** The whole answer of a run that ends well. */
  readonly text: string
}

/** How the answer to a run begins. */
export const opening = (runId: string): string => `re ${runId}:`

/** The run whose answer a text is. */
export const answered = (text: string): string | undefined => /^re (\S+):/.exec(text)?.[1]

const words = ["alder", "birch", "cedar", "elm", "fir", "hazel", "larch", "maple", "oak", "pine"] as const

export const of = (runId: string): Behaviour => {
  const prng = Prng.make("behaviour", runId)
  const kind = prng.next()
  const count = prng.between(1, 4)
  const total =
    kind < 0.45
      ? 0
      : kind < 0.75
        ? prng.between(2, 50)
        : kind < 0.9
          ? prng.between(300, 400)
          : prng.between(0, 700)
  const pieces = [
    { text: `${opening(runId)} `, delayMs: 0 },
    ...Array.from({ length: count }, () => ({
      text: `${prng.pick(words)} `,
      delayMs: Math.round(total / count)
    }))
  ]
  return { pieces, fails: prng.chance(0.1), text: pieces.map(({ text }) => text).join("") }
}

/** The image that a send has, if it has one; some are those of other sends, too. */
export const imageOf = (runId: string): Pictures.Picture | undefined => {
  const prng = Prng.make("image", runId)
  if (!prng.chance(0.3)) return undefined
  return Pictures.of("image/png", prng.chance(0.3) ? Buffer.alloc(3000, 1) : Buffer.from(runId.repeat(100)))
}
