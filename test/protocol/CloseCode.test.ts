import { describe, expect, it } from "@effect/vitest"
import { FastCheck } from "effect"
import * as CloseCode from "../../src/protocol/CloseCode.js"

const bytesOf = (text: string) => new TextEncoder().encode(text).length

describe("CloseCode", () => {
  it.each([
    ["short", 123, "short"],
    ["abcdef", 3, "abc"],
    ["aéb", 2, "a"],
    ["aéb", 3, "aé"],
    ["語語", 5, "語"],
    ["👍👍", 7, "👍"],
    ["👍", 3, ""],
    ["x", 0, ""]
  ])("cut(%j, %i) is %j", (text, bytes, expected) => {
    expect(CloseCode.cut(text, bytes)).toBe(expected)
  })

  const text = FastCheck.string({ unit: "grapheme", maxLength: 60 })
  it.prop(
    "a cut text fits, is where the text begins, and no character is missing that would have fit",
    [text, FastCheck.integer({ min: 0, max: 130 })],
    ([whole, bytes]) => {
      const cut = CloseCode.cut(whole, bytes)
      expect(bytesOf(cut)).toBeLessThanOrEqual(bytes)
      expect(whole.startsWith(cut)).toBe(true)
      const next = [...whole.slice(cut.length)][0] ?? ""
      expect(next === "" || bytesOf(cut + next) > bytes).toBe(true)
    }
  )

  it("every reason fits into a close frame", () => {
    for (const disconnect of [
      CloseCode.normal,
      CloseCode.protocolMismatch,
      CloseCode.slowConsumer,
      CloseCode.handshakeTimeout,
      CloseCode.unauthorized,
      CloseCode.tooBig,
      CloseCode.internalError,
      CloseCode.serviceRestart,
      CloseCode.badHandshake("ä".repeat(500))
    ]) {
      expect(bytesOf(disconnect.reason)).toBeLessThanOrEqual(123)
    }
    expect(CloseCode.badHandshake("ä".repeat(500)).reason).toBe("ä".repeat(61))
  })
})
