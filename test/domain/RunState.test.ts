import { describe, expect, it } from "@effect/vitest"
import { FastCheck, Option } from "effect"
import * as RunState from "../../src/domain/RunState.js"

type State = RunState.RunState
type Input = RunState.Input

const final: RunState.Outcome = { _tag: "Final", stopReason: "stop" }
const failed: RunState.Outcome = { _tag: "Error", message: "no" }
const aborted: RunState.Outcome = { _tag: "Aborted", stopReason: "rpc" }

const settling = (outcome: RunState.Outcome, saved: boolean, handedOff = false): State => ({
  _tag: "Settling",
  outcome,
  saved,
  handedOff
})
const settled = (outcome: RunState.Outcome): State => ({ _tag: "Settled", outcome })

const inputs = {
  Saved: { _tag: "Saved" },
  SaveFailed: { _tag: "SaveFailed" },
  Started: { _tag: "Started" },
  Returned: { _tag: "Returned" },
  Abort: { _tag: "Abort", reason: "rpc" },
  End: { _tag: "End", outcome: final },
  Fail: { _tag: "End", outcome: failed },
  Committed: { _tag: "Committed" },
  CommittedOtherwise: { _tag: "Committed", outcome: failed }
} as const satisfies Record<string, Input>

interface Row {
  readonly state: State
  /** The next state by input; every input that is not named must change nothing. */
  readonly next: { readonly [name in keyof typeof inputs]?: State }
  readonly key: RunState.KeyStatus | null
  readonly open: boolean
  readonly over: boolean
}

const rejected: State = { _tag: "Rejected" }

const table: { readonly [name: string]: Row } = {
  accepting: {
    state: RunState.initial,
    next: { Saved: { _tag: "Queued" }, SaveFailed: rejected, Abort: settling(aborted, false) },
    key: null,
    open: false,
    over: false
  },
  queued: {
    state: { _tag: "Queued" },
    next: { Started: { _tag: "Running" }, Abort: settling(aborted, true) },
    key: { _tag: "InFlight" },
    open: false,
    over: false
  },
  running: {
    state: { _tag: "Running" },
    next: {
      Returned: { _tag: "HandedOff" },
      Abort: settling(aborted, true),
      End: settling(final, true),
      Fail: settling(failed, true)
    },
    key: { _tag: "InFlight" },
    open: true,
    over: false
  },
  "handed off": {
    state: { _tag: "HandedOff" },
    next: { End: settling(final, true, true), Fail: settling(failed, true, true) },
    key: { _tag: "Ok" },
    open: true,
    over: false
  },
  "aborted, not saved": {
    state: settling(aborted, false),
    next: { Saved: settling(aborted, true), SaveFailed: settling(aborted, true) },
    key: null,
    open: false,
    over: false
  },
  "aborted, saved": {
    state: settling(aborted, true),
    next: { Committed: settled(aborted), CommittedOtherwise: settled(failed) },
    key: { _tag: "Aborted" },
    open: false,
    over: false
  },
  "final, being saved": {
    state: settling(final, true),
    next: { Committed: settled(final), CommittedOtherwise: settled(failed) },
    key: { _tag: "InFlight" },
    open: false,
    over: false
  },
  "failed, being saved": {
    state: settling(failed, true),
    next: { Committed: settled(failed), CommittedOtherwise: settled(failed) },
    key: { _tag: "InFlight" },
    open: false,
    over: false
  },
  "final after a hand-off, being saved": {
    state: settling(final, true, true),
    next: { Committed: settled(final), CommittedOtherwise: settled(failed) },
    key: { _tag: "Ok" },
    open: false,
    over: false
  },
  "settled well": { state: settled(final), next: {}, key: { _tag: "Ok" }, open: false, over: true },
  "settled with an abort": {
    state: settled(aborted),
    next: {},
    key: { _tag: "Aborted" },
    open: false,
    over: true
  },
  "settled with an error": {
    state: settled(failed),
    next: {},
    key: { _tag: "Failed", summary: "no" },
    open: false,
    over: true
  },
  rejected: { state: rejected, next: {}, key: null, open: false, over: true }
}

describe("RunState", () => {
  for (const [name, row] of Object.entries(table)) {
    describe(name, () => {
      for (const [label, input] of Object.entries(inputs)) {
        const next = new Map(Object.entries(row.next)).get(label)
        it(`${label}: ${next === undefined ? "changes nothing" : next._tag}`, () => {
          expect(RunState.transition(row.state, input)).toEqual(Option.fromNullable(next))
        })
      }
      it("what its key answers, and whether it listens", () => {
        expect(RunState.keyStatus(row.state)).toEqual(Option.fromNullable(row.key))
        expect(RunState.isOpen(row.state)).toBe(row.open)
        expect(RunState.isOver(row.state)).toBe(row.over)
      })
    })
  }

  it("every reason of an abort is kept", () => {
    for (const reason of RunState.AbortReason.literals) {
      expect(RunState.transition({ _tag: "Running" }, { _tag: "Abort", reason })).toEqual(
        Option.some(settling({ _tag: "Aborted", stopReason: reason }, true))
      )
    }
  })

  const anyInput = FastCheck.constantFrom<Input>(...Object.values(inputs))
  const history = (all: ReadonlyArray<Input>) => {
    let state: State = RunState.initial
    const taken: Array<Input> = []
    for (const input of all) {
      const next = RunState.transition(state, input)
      if (Option.isNone(next)) continue
      state = next.value
      taken.push(input)
    }
    return { state, taken }
  }

  it.prop(
    "whatever races: at most one decision is taken, and it is what the run ends with",
    [FastCheck.array(anyInput, { maxLength: 30 })],
    ([all]) => {
      const { state, taken } = history(all)
      const decisions = taken.filter(({ _tag }) => _tag === "Abort" || _tag === "End")
      expect(decisions.length).toBeLessThanOrEqual(1)
      expect(taken.filter(({ _tag }) => _tag === "Committed").length).toBeLessThanOrEqual(1)
      if (state._tag === "Settled") {
        const [decision] = decisions
        const committed = taken.at(-1)
        expect(committed?._tag).toBe("Committed")
        const override = committed?._tag === "Committed" ? committed.outcome : undefined
        expect(state.outcome).toEqual(override ?? (decision?._tag === "End" ? decision.outcome : aborted))
      }
    }
  )

  it.prop(
    "an agent is started at most once, after the save, and never once the run was decided",
    [FastCheck.array(anyInput, { maxLength: 30 })],
    ([all]) => {
      const tags = history(all).taken.map(({ _tag }) => _tag)
      const started = tags.indexOf("Started")
      expect(tags.filter((tag) => tag === "Started").length).toBeLessThanOrEqual(1)
      if (started < 0) return
      const before = tags.slice(0, started)
      expect(before).toEqual(["Saved"])
    }
  )
})
