import { describe, expect, it } from "@effect/vitest"
import { FastCheck } from "effect"
import { RunId } from "../../src/domain/Ids.js"
import type { Outcome } from "../../src/domain/RunState.js"
import { SettledKeys } from "../../src/run/SettledKeys.js"

const outcome: Outcome = { _tag: "Final" }
const key = (fingerprint: string) => ({ fingerprint, outcome })

describe("SettledKeys", () => {
  it("answers until its time is over, to the millisecond", () => {
    const keys = new SettledKeys(100)
    keys.add(RunId("a"), key("fa"), 1000)
    expect(keys.get(RunId("a"), 1000)).toMatchObject(key("fa"))
    expect(keys.get(RunId("a"), 1099)).toMatchObject(key("fa"))
    expect(keys.get(RunId("a"), 1100)).toBeUndefined()
    expect(keys.get(RunId("b"), 1000)).toBeUndefined()
  })

  it("a key that is added again counts from then", () => {
    const keys = new SettledKeys(100)
    keys.add(RunId("a"), key("one"), 0)
    keys.add(RunId("b"), key("b"), 50)
    keys.add(RunId("a"), key("two"), 100)
    expect(keys.get(RunId("a"), 199)).toMatchObject(key("two"))
    expect(keys.get(RunId("b"), 149)).toMatchObject(key("b"))
    expect(keys.get(RunId("b"), 150)).toBeUndefined()
  })

  const additions = FastCheck.array(FastCheck.record({ id: FastCheck.nat(9), after: FastCheck.nat(40) }), {
    maxLength: 60
  })
  it.prop(
    "holds what was added within its time, and nothing that is older than the last addition allows",
    [additions],
    ([all]) => {
      const ttl = 100
      const keys = new SettledKeys(ttl)
      const model = new Map<string, number>()
      let now = 0
      for (const { after, id } of all) {
        now += after
        keys.add(RunId(`k${id}`), key(`f${now}`), now)
        model.set(`k${id}`, now)
        for (const [name, at] of model) {
          const known = keys.get(RunId(name), now)
          expect(known?.fingerprint).toBe(at + ttl > now ? `f${at}` : undefined)
        }
        expect(keys.size).toBe([...model.values()].filter((at) => at + ttl > now).length)
      }
    }
  )
})
