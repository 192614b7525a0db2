import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck as fc } from "effect"
import * as SessionKey from "../../src/domain/SessionKey.js"
import * as SessionPatterns from "../../src/domain/SessionPatterns.js"

const defaults = { defaultAgentId: SessionKey.defaultAgentId, mainKey: "main" }
const keyOf = (text: string): SessionKey.SessionKey => Either.getOrThrow(SessionKey.parse(text, defaults))
const patterns = (...texts: ReadonlyArray<string>) => Either.getOrThrow(SessionPatterns.parse(texts))
const refused = (text: string): boolean => Either.isLeft(SessionPatterns.parse([text]))

const escaped = (pattern: string, star: string): string =>
  pattern
    .split("*")
    .map((piece) => piece.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&"))
    .join(star)

/** The naive reading: a regular expression. In the agent's id a star stands for a part of an id only. */
const naive = (pattern: string): RegExp => {
  const [, agentId = "", rest = ""] = /^agent:([^:]*):(.*)$/.exec(pattern) ?? []
  return new RegExp(`^agent:${escaped(agentId, "[^:]*")}:${escaped(rest, "[^]*")}$`)
}

// Few letters, so that pieces come again in keys.
const word = fc.string({ unit: fc.constantFrom("a", "b", ":", ".", "é"), minLength: 1, maxLength: 6 })
const agent = fc.string({ unit: fc.constantFrom("a", "b"), minLength: 1, maxLength: 3 })
const key = fc
  .tuple(agent, word)
  .map(([agentId, rest]) => SessionKey.parse(`agent:${agentId}:${rest}`, defaults))
  .filter(Either.isRight)
  .map(({ right }) => right)
const starred = (text: fc.Arbitrary<string>) =>
  fc.array(fc.oneof({ weight: 2, arbitrary: text }, { weight: 1, arbitrary: fc.constant("*") }), {
    minLength: 1,
    maxLength: 4
  })
const pattern = fc
  .tuple(starred(agent), starred(word))
  .map(([agentId, rest]) => `agent:${agentId.join("")}:${rest.join("")}`)
  .filter((text) => !refused(text))

describe("SessionPatterns", () => {
  it("matches what a regular expression would", () => {
    fc.assert(
      fc.property(fc.array(pattern, { maxLength: 3 }), key, (texts, sessionKey) => {
        expect(patterns(...texts).matches(sessionKey)).toBe(
          texts.some((text) => naive(text).test(sessionKey))
        )
      }),
      { numRuns: 5000 }
    )
  })

  it("a pattern that was made from a key by putting stars into it matches it, and reaches its agent", () => {
    fc.assert(
      fc.property(key, fc.array(fc.tuple(fc.nat(), fc.nat(4)), { maxLength: 3 }), (sessionKey, cuts) => {
        const text = cuts.reduce((changed, [where, gone]) => {
          // Behind the agent's id: there, a star stands for less.
          const from = sessionKey.indexOf(":", 6) + 1
          const at = from + (where % (changed.length - from + 1))
          return `${changed.slice(0, at)}*${changed.slice(at + gone)}`
        }, `${sessionKey}`)
        fc.pre(!refused(text))
        const made = patterns(text)
        expect(made.matches(sessionKey)).toBe(true)
        expect(made.reachesAgent(SessionKey.agentIdOf(sessionKey, defaults))).toBe(true)
      }),
      { numRuns: 2000 }
    )
  })

  it("an agent is reached whenever one of its sessions is in", () => {
    fc.assert(
      fc.property(fc.array(pattern, { maxLength: 3 }), key, (texts, sessionKey) => {
        const made = patterns(...texts)
        const agentId = SessionKey.agentIdOf(sessionKey, defaults)
        if (made.matches(sessionKey)) expect(made.reachesAgent(agentId)).toBe(true)
      }),
      { numRuns: 5000 }
    )
  })

  it("what overlaps is not counted twice", () => {
    expect(patterns("agent:main:ab*ba").matches(keyOf("aba"))).toBe(false)
    expect(patterns("agent:main:ab*ba").matches(keyOf("abba"))).toBe(true)
    expect(patterns("agent:main:a*a*a").matches(keyOf("aa"))).toBe(false)
  })

  it("a principal's sessions are not those of one whose name begins or ends like its own", () => {
    const alice = patterns("agent:main:alice:*")
    for (const other of ["alice", "alice2:x", "malice:x", "agent:ops:alice:x", "x:alice:y"]) {
      expect([other, alice.matches(keyOf(other))]).toEqual([other, false])
    }
    expect(alice.matches(keyOf("ALICE:X"))).toBe(true)
    expect(alice.matches(keyOf(" agent:MAIN:alice:x "))).toBe(true)
  })

  it("global and unknown are in only where they are named", () => {
    for (const name of ["global", "unknown"]) {
      expect(patterns("agent:*").matches(keyOf(name))).toBe(false)
      expect(patterns(name).matches(keyOf(name))).toBe(true)
      expect(SessionPatterns.all.matches(keyOf(name))).toBe(true)
    }
  })

  it("equal sets have equal keys, others have not", () => {
    expect(patterns("agent:main:b", "agent:main:A", "agent:main:b").key).toBe(
      patterns("agent:main:a", "agent:main:b").key
    )
    fc.assert(
      fc.property(fc.array(pattern, { maxLength: 3 }), fc.array(pattern, { maxLength: 3 }), (one, other) => {
        const [left, right] = [patterns(...one), patterns(...other)]
        expect(left.key === right.key).toBe(JSON.stringify(left.patterns) === JSON.stringify(right.patterns))
      }),
      { numRuns: 2000 }
    )
  })

  it("what could never match is refused", () => {
    for (const text of [
      "",
      " ",
      "main",
      "alice:*",
      "*:alice",
      "agent:",
      "agent:main",
      "agent:main:",
      "agent::x",
      "agent:a.b:x",
      "agent:main:a b",
      "agent:main:../x",
      "agent:main:a/b",
      "agent:main:a\\b",
      "agent:main:a\u0000",
      "agent:main:a\u2028b",
      "globally",
      `agent:main:${"x".repeat(SessionPatterns.maxPatternLength)}`
    ]) {
      expect([text, refused(text)]).toEqual([text, true])
    }
    for (const text of [
      "*",
      "global",
      "unknown",
      "agent:*",
      "agent:ma*",
      "agent:*:x",
      "AGENT:Main:*",
      "agent:main:*:*"
    ]) {
      expect([text, refused(text)]).toEqual([text, false])
    }
  })

  it("a pattern full of stars and a long key take no time to tell apart", () => {
    const made = patterns(`agent:main:${"*a".repeat(200)}*b`)
    const started = performance.now()
    for (let at = 0; at < 100; at++) expect(made.matches(keyOf("a".repeat(500)))).toBe(false)
    expect(performance.now() - started).toBeLessThan(1000)
  })
})
