/** Which sessions a pattern means. */
import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import * as SessionKey from "../../src/domain/SessionKey.js"
import * as SessionPatterns from "../../src/domain/SessionPatterns.js"

const key = (text: string) =>
  Either.getOrThrow(SessionKey.parse(text, { defaultAgentId: SessionKey.defaultAgentId, mainKey: "main" }))
const agentId = (text: string) => Either.getOrThrow(SessionKey.parseAgentId(text))
const patterns = (...texts: ReadonlyArray<string>) => Either.getOrThrow(SessionPatterns.parse(texts))

describe("SessionPatterns", () => {
  for (const [pattern, inside, outside] of [
    ["*", ["main", "global", "agent:x:y:z"], []],
    ["agent:*", ["main", "agent:x:y:z"], ["global"]],
    ["agent:main:alice:*", ["alice:x", "alice:x:y"], ["alice", "alicex", "bob:alice:x", "agent:m:alice:x"]],
    ["agent:*:alice", ["alice", "agent:coder:alice"], ["bob:alice", "agent:x:y:alice", "alice:x"]],
    ["agent:*:alice:*", ["alice:x", "agent:coder:alice:x:y"], ["bob:alice:x", "alice"]],
    [
      "agent:c*r:*:draft",
      ["agent:coder:a:draft", "agent:coder:a:b:draft"],
      ["agent:coder:draft", "agent:main:a:draft"]
    ],
    ["agent:ma*", ["main", "agent:max:x"], ["agent:coder:max"]],
    ["AGENT:Main:A*a", ["aa", "ABA"], ["a", "ab"]],
    ["global", ["global"], ["unknown", "main"]]
  ] as const)
    it(pattern, () => {
      const { matches } = patterns(pattern)
      for (const text of inside) expect([text, matches(key(text))]).toEqual([text, true])
      for (const text of outside) expect([text, matches(key(text))]).toEqual([text, false])
    })

  it("says which agents have a session that could be in", () => {
    const reached = (...texts: ReadonlyArray<string>) =>
      ["main", "coder"].filter((id) => patterns(...texts).reachesAgent(agentId(id)))
    expect(reached("*")).toEqual(["main", "coder"])
    expect(reached("agent:*:alice")).toEqual(["main", "coder"])
    expect(reached("agent:c*:alice")).toEqual(["coder"])
    expect(reached("agent:ma*")).toEqual(["main"])
    expect(reached("agent:main:x", "global")).toEqual(["main"])
    expect(reached("global")).toEqual([])
    expect(reached()).toEqual([])
  })

  for (const text of [
    "",
    "alice",
    "agent:",
    "agent:main",
    "agent:main:a b",
    "agent:main:../x",
    "agent:a:b/c",
    "main*",
    "x".repeat(513)
  ])
    it(`no pattern: ${JSON.stringify(text.slice(0, 20))}`, () =>
      expect(Either.isLeft(SessionPatterns.parse([text]))).toBe(true))

  it("equal sets have equal keys", () => {
    expect(patterns("agent:b:x", "agent:A:x", "agent:b:x").key).toBe(patterns("agent:a:x", "agent:b:x").key)
    expect(patterns("*", "agent:a:x").isAll).toBe(true)
  })
})
