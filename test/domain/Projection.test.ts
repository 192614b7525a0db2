import { describe, expect, it } from "@effect/vitest"
import { FastCheck } from "effect"
import * as Projection from "../../src/domain/Projection.js"

describe("Projection", () => {
  it("appends, and a whole text that only appends is no rewrite", () => {
    const hello = Projection.append(Projection.empty, "Hel")
    expect(Projection.replace(hello, "Hello")).toEqual({ text: "Hello", revision: 0 })
    expect(Projection.replace(hello, "Hel")).toBe(hello)
    expect(Projection.append(hello, "")).toBe(hello)
    expect(Projection.replace(hello, "Help me".slice(0, 2))).toEqual({ text: "He", revision: 1 })
    expect(Projection.replace(hello, "")).toEqual({ text: "", revision: 1 })
  })

  it("is pending when the text has grown or was rewritten, also to one of the same length", () => {
    const answer = Projection.append(Projection.empty, "abc")
    expect(Projection.isPending(Projection.empty, Projection.nothingShown)).toBe(false)
    expect(Projection.isPending(answer, Projection.nothingShown)).toBe(true)
    const shown = Projection.showAll(answer, 5)
    expect(Projection.isPending(answer, shown)).toBe(false)
    expect(Projection.isPending(Projection.append(answer, "d"), shown)).toBe(true)
    expect(Projection.isPending(Projection.replace(answer, "xyz"), shown)).toBe(true)
  })

  it("long answers are shown less often, never more often than every 150 ms, never less than every 500 ms", () => {
    const lengths = [0, 1, 2048, 2049, 4096, 6000, 6827, 100_000, 10_000_000]
    expect(lengths.map(Projection.chatIntervalFor)).toEqual([150, 150, 150, 150, 300, 439, 500, 500, 500])
  })

  it("the first text is due at once, the next after the interval", () => {
    expect(Projection.dueIn(Projection.nothingShown, Projection.chatInterval, 0)).toBeLessThanOrEqual(0)
    const shown = Projection.showAll(Projection.append(Projection.empty, "a"), 1000)
    expect(Projection.dueIn(shown, Projection.chatInterval, 1000)).toBe(150)
    expect(Projection.dueIn(shown, Projection.chatInterval, 1149)).toBe(1)
    expect(Projection.dueIn(shown, Projection.chatInterval, 1150)).toBe(0)
  })

  const step = FastCheck.oneof(
    FastCheck.record({ kind: FastCheck.constant("append"), text: FastCheck.string({ maxLength: 4 }) }),
    FastCheck.record({ kind: FastCheck.constant("replace"), text: FastCheck.string({ maxLength: 6 }) }),
    FastCheck.record({ kind: FastCheck.constant("show"), text: FastCheck.constant("") })
  )

  it.prop(
    "an audience that is shown what is new has the text, whenever it looks",
    [FastCheck.array(step)],
    ([steps]) => {
      let answer = Projection.empty
      let shown = Projection.nothingShown
      let reader = ""
      for (const { kind, text } of steps) {
        if (kind === "append") answer = Projection.append(answer, text)
        else if (kind === "replace") answer = Projection.replace(answer, text)
        else if (Projection.isPending(answer, shown)) {
          reader =
            reader.slice(0, Projection.newFrom(answer, shown)) +
            answer.text.slice(Projection.newFrom(answer, shown))
          shown = Projection.showAll(answer, 0)
          expect(reader).toBe(answer.text)
        } else expect(reader).toBe(answer.text)
      }
    }
  )
})
