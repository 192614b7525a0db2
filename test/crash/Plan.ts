/** The schedule: when the gateway is killed, and what the clients do. All of it comes from the seed. */
import type { Prng } from "./Prng.js"

export interface Kill {
  /** `up`: so long after it listens; `starting`: so long after the process began, listening or not. */
  readonly from: "up" | "starting"
  readonly afterMs: number
}

/** The kills of one round, one after another; behind them is some quiet, in which everything is checked. */
export const round = (prng: Prng): ReadonlyArray<Kill> =>
  Array.from({ length: prng.pick([1, 1, 2, 2, 3]) }, (_, at) =>
    at > 0 && prng.chance(0.4)
      ? { from: "starting", afterMs: prng.between(0, 350) }
      : { from: "up", afterMs: prng.between(0, prng.pick([20, 150, 400])) }
  )

export const clients = 8

/** One thing that a client does; its session, where it needs one, is `shared` with others or its own new one. */
export type Step =
  | { readonly _tag: "Send"; readonly session: string; readonly length: number; readonly times: 1 | 2 }
  /** Several sends at once, to one session. */
  | { readonly _tag: "Burst"; readonly session: string; readonly count: number }
  /** A send that is aborted so much later; without `waits` even before it is answered. */
  | {
      readonly _tag: "Abort"
      readonly session: string
      readonly all: boolean
      readonly waits: boolean
      readonly afterMs: number
    }
  | { readonly _tag: "History"; readonly session: string; readonly limit: number }
  /** Asks one of its keys again: a number in [0, 1) says which. */
  | { readonly _tag: "Ask"; readonly which: number }
  /** Drops its connection, and comes back. */
  | { readonly _tag: "Leave" }

/** How many sessions are shared at a time. */
const shared = 4
/** After so many kills they are others. */
const sharedFor = 6

export const step = (prng: Prng, client: number, count: number, kills: number): Step => {
  const session = prng.chance(0.3)
    ? `new-${client}-${count}`
    : `shared-${Math.floor(kills / sharedFor)}-${prng.between(1, shared)}`
  const kind = prng.next()
  if (kind < 0.5) {
    const length = prng.chance(0.05) ? 20_000 : prng.between(0, 300)
    return { _tag: "Send", session, length, times: prng.chance(0.15) ? 2 : 1 }
  }
  if (kind < 0.58) return { _tag: "Burst", session, count: prng.between(2, 4) }
  if (kind < 0.78) {
    return {
      _tag: "Abort",
      session,
      all: prng.chance(0.2),
      waits: prng.chance(0.7),
      afterMs: prng.pick([0, 0, 2, 10, 40])
    }
  }
  if (kind < 0.88) return { _tag: "History", session, limit: prng.between(1, 200) }
  if (kind < 0.98) return { _tag: "Ask", which: prng.next() }
  return { _tag: "Leave" }
}

/** Between two steps of a client, in milliseconds. */
export const think = (prng: Prng): number => prng.between(0, 40)
