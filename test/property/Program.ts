/** Random programs: what clients, agents, stores and clocks may do to one gateway, in any order. */
import { FastCheck } from "effect"

const keys = ["k0", "k1", "k2", "k3"] as const
/** Three spellings of two sessions. */
const sessionKeys = ["main", "agent:main:main", "side"] as const

export type Operation =
  /** A send; a key always goes with the same session and text, so that a second one is a repetition. */
  | { readonly op: "send"; readonly key: string }
  /** A send that says something else under a key. */
  | { readonly op: "mismatch"; readonly key: string }
  | { readonly op: "abort"; readonly key: string }
  | { readonly op: "abortAll" | "stop"; readonly sessionKey: string }
  /** The agent of a run does something, if it was called. */
  | { readonly op: "say" | "rewrite" | "finish" | "fail" | "die" | "handOff"; readonly key: string }
  /** Somebody else reports of a run. */
  | { readonly op: "outsideText" | "outsideEnd" | "outsideFailure"; readonly key: string }
  /** The clock moves; 0: all fibers come to rest. */
  | { readonly op: "clock"; readonly ms: number }
  /** One step of the scheduler. */
  | { readonly op: "yield" }
  | { readonly op: "saveDelay"; readonly ms: number }
  | { readonly op: "failWrite"; readonly kind: "index" | "append" }
  /** The agent ends well, and the next write fails. */
  | { readonly op: "finishUnsaved"; readonly key: string }
  | { readonly op: "stubborn"; readonly on: boolean }
  /** The second client's connection. */
  | { readonly op: "stall" | "resume" | "leave" }

export const sessionOf = (key: string): string =>
  sessionKeys[keys.findIndex((known) => known === key) % 3] ?? "main"
export const canonicalOf = (sessionKey: string): string =>
  sessionKey === "side" ? "agent:main:side" : "agent:main:main"
export const canonicalKeys = ["agent:main:main", "agent:main:side"] as const

const key = FastCheck.constantFrom(...keys)
const sessionKey = FastCheck.constantFrom(...sessionKeys)

const of = <const Op extends string>(...ops: ReadonlyArray<Op>) => ({ op: FastCheck.constantFrom(...ops) })

const kinds = {
  send: FastCheck.record({ ...of("send"), key }),
  mismatch: FastCheck.record({ ...of("mismatch"), key }),
  abort: FastCheck.record({ ...of("abort"), key }),
  abortAll: FastCheck.record({ ...of("abortAll", "stop"), sessionKey }),
  say: FastCheck.record({ ...of("say", "rewrite"), key }),
  end: FastCheck.record({ ...of("finish", "fail", "die", "handOff"), key }),
  outside: FastCheck.record({ ...of("outsideText", "outsideEnd", "outsideFailure"), key }),
  clock: FastCheck.record({ ...of("clock"), ms: FastCheck.constantFrom(0, 0, 1, 50, 150, 1000, 6000) }),
  yield: FastCheck.record(of("yield")),
  saveDelay: FastCheck.record({ ...of("saveDelay"), ms: FastCheck.constantFrom(0, 40, 400) }),
  failWrite: FastCheck.record({
    ...of("failWrite"),
    kind: FastCheck.constantFrom("index" as const, "append" as const)
  }),
  finishUnsaved: FastCheck.record({ ...of("finishUnsaved"), key }),
  stubborn: FastCheck.record({ ...of("stubborn"), on: FastCheck.boolean() }),
  client: FastCheck.record(of("stall", "resume", "leave"))
}

export type Weights = { readonly [kind in keyof typeof kinds]?: number }

const usual: Weights = {
  send: 8,
  mismatch: 1,
  abort: 3,
  abortAll: 1,
  say: 6,
  end: 4,
  outside: 3,
  clock: 5,
  yield: 3
}

/** Most programs begin with two agents at work, so that what follows meets something. */
const opening = FastCheck.constantFrom<ReadonlyArray<Operation>>(
  [],
  [
    { op: "send", key: "k0" },
    { op: "send", key: "k2" },
    { op: "clock", ms: 0 }
  ],
  [
    { op: "send", key: "k0" },
    { op: "send", key: "k2" },
    { op: "clock", ms: 0 },
    { op: "say", key: "k0" },
    { op: "clock", ms: 0 }
  ]
)

/** Programs in which some kinds of operation are more or less likely than usual. */
export const program = (weights: Weights = {}): FastCheck.Arbitrary<ReadonlyArray<Operation>> => {
  const all: { readonly [kind: string]: number } = { ...usual, ...weights }
  const operations = FastCheck.array(
    FastCheck.oneof(
      ...Object.entries(kinds).map(([kind, arbitrary]) => ({
        weight: all[kind] ?? 0,
        arbitrary: arbitrary as FastCheck.Arbitrary<Operation>
      }))
    ),
    { minLength: 8, maxLength: 50 }
  )
  return FastCheck.tuple(opening, operations).map(([first, rest]) => [...first, ...rest])
}
