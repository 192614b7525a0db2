import { describe, expect, it } from "@effect/vitest"
import { FastCheck } from "effect"
import { RunId } from "../../src/domain/Ids.js"
import { type SettledKey, SettledKeys } from "../../src/journal/SettledKeys.js"

const key = (fingerprint: string, at: number): SettledKey => ({
  fingerprint,
  principal: "owner",
  outcome: { _tag: "Final" },
  at
})

describe("SettledKeys", () => {
  it("forgets what ended before a time, to the millisecond", () => {
    const keys = new SettledKeys()
    keys.add(RunId("a"), key("fa", 1000))
    keys.forget(1000)
    expect(keys.get(RunId("a"))).toEqual(key("fa", 1000))
    keys.forget(1001)
    expect(keys.get(RunId("a"))).toBeUndefined()
    expect(keys.get(RunId("b"))).toBeUndefined()
  })

  it("a key that is added again counts from then", () => {
    const keys = new SettledKeys()
    keys.add(RunId("a"), key("one", 0))
    keys.add(RunId("b"), key("b", 50))
    keys.add(RunId("a"), key("two", 100))
    keys.forget(51)
    expect(keys.get(RunId("a"))).toEqual(key("two", 100))
    expect(keys.get(RunId("b"))).toBeUndefined()
    expect(Array.from(keys.entries(), ([id]) => id)).toEqual(["a"])
  })

  const additions = FastCheck.array(FastCheck.record({ id: FastCheck.nat(9), after: FastCheck.nat(40) }), {
    maxLength: 60
  })
  it.prop("holds what was added since, and nothing older", [additions], ([all]) => {
    const kept = 100
    const keys = new SettledKeys()
    const model = new Map<string, number>()
    let now = 0
    for (const { after, id } of all) {
      now += after
      keys.forget(now - kept)
      keys.add(RunId(`k${id}`), key(`f${now}`, now))
      model.set(`k${id}`, now)
      for (const [name, at] of model)
        expect(keys.get(RunId(name))?.fingerprint).toBe(at >= now - kept ? `f${at}` : undefined)
      expect(keys.size).toBe([...model.values()].filter((at) => at >= now - kept).length)
    }
  })
})
