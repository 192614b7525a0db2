import { describe, expect, it } from "@effect/vitest"
import * as Answer from "../../src/client/Answer.js"
import type { ChatEvent } from "../../src/protocol/Chat.js"

const ref = { runId: "r", sessionKey: "main", seq: 0 }
const message = (text: string) => ({
  role: "assistant" as const,
  content: [{ type: "text" as const, text }],
  timestamp: 0
})
const delta = (deltaText: string, replace?: true): ChatEvent => ({
  ...ref,
  state: "delta",
  deltaText,
  ...(replace && { replace })
})

/** What is printed for each event. */
const pieces = (...events: ReadonlyArray<ChatEvent>) => {
  let text = ""
  return events.map((event) => {
    const piece = Answer.next(text, event)
    text = piece.text
    return piece.rewritten ? `[${piece.added}]` : piece.added
  })
}

describe("Answer", () => {
  it("adds pieces, and what the final has beyond them", () => {
    const final: ChatEvent = { ...ref, state: "final", message: message("one two three") }
    expect(pieces(delta("one "), delta("two "), final)).toEqual(["one ", "two ", "three"])
    expect(Answer.isTerminal(final)).toBe(true)
    expect(Answer.isTerminal(delta("x"))).toBe(false)
  })

  it("begins in the middle of an answer with all of it", () => {
    expect(pieces(delta("all so far", true), delta("!"))).toEqual(["all so far", "!"])
  })

  it("says when the text was rewritten", () => {
    expect(pieces(delta("one"), delta("once", true), delta(" more"))).toEqual(["one", "[once]", " more"])
  })

  it("reads whole texts too", () => {
    const whole = (text: string): ChatEvent => ({ ...ref, state: "delta", message: message(text) })
    expect(pieces(whole("one"), whole("one two"))).toEqual(["one", " two"])
  })

  it("keeps the text of an end that has none", () => {
    expect(pieces(delta("one"), { ...ref, state: "aborted", stopReason: "rpc" })).toEqual(["one", ""])
  })
})
