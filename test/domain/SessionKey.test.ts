import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck, Option } from "effect"
import * as SessionKey from "../../src/domain/SessionKey.js"

const defaults: SessionKey.SessionKeyDefaults = { defaultAgentId: SessionKey.defaultAgentId, mainKey: "main" }
const work = Option.getOrThrow(Either.getRight(SessionKey.parseAgentId("work")))

const canonical = (raw: string, settings = defaults) => Either.getOrNull(SessionKey.parse(raw, settings))

describe("SessionKey", () => {
  it.each([
    ["main", "agent:main:main"],
    ["MAIN", "agent:main:main"],
    ["  main\t", "agent:main:main"],
    ["agent:main:main", "agent:main:main"],
    ["Agent:Main:Main", "agent:main:main"],
    ["telegram:group:42", "agent:main:telegram:group:42"],
    ["agent:work:main", "agent:work:main"],
    ["agent:work:a:b", "agent:work:a:b"],
    ["global", "global"],
    ["Unknown", "unknown"],
    ["agent", "agent:main:agent"],
    ["my session", "agent:main:my session"],
    ["größe", "agent:main:größe"],
    ["a.b", "agent:main:a.b"],
    ["x".repeat(501), `agent:main:${"x".repeat(501)}`]
  ])("%j is %j", (raw, expected) => {
    expect(canonical(raw)).toBe(expected)
  })

  it.each([
    "",
    "   ",
    "..",
    "a/../b",
    "a..b",
    "a/b",
    "a\\b",
    "a\u0000b",
    "a\nb",
    "a\u007fb",
    "a\u0085b",
    "a\u2028b",
    "agent:",
    "agent:main",
    "agent:main:",
    "agent::x",
    "agent:-x:y",
    "agent:a b:y",
    `agent:${"a".repeat(65)}:x`,
    "x".repeat(513),
    // Longer in its full form.
    "x".repeat(502),
    // Longer in lower case.
    "İ".repeat(400)
  ])("%j is refused", (raw) => {
    expect(Either.isLeft(SessionKey.parse(raw, defaults))).toBe(true)
  })

  it("a refusal holds no more than 64 characters of the key", () => {
    const refused = Either.flip(SessionKey.parse("/".repeat(400), defaults))
    expect(Either.getOrNull(refused)).toMatchObject({ key: "/".repeat(64), expected: expect.any(String) })
  })

  it("another default agent and another main key", () => {
    const settings = { defaultAgentId: work, mainKey: "Home" }
    expect(canonical("main", settings)).toBe("agent:work:home")
    expect(canonical("HOME", settings)).toBe("agent:work:home")
    expect(canonical("agent:main:main", settings)).toBe("agent:main:home")
    expect(canonical("x", settings)).toBe("agent:work:x")
    expect(SessionKey.main(settings)).toBe("agent:work:home")
  })

  it("the agent of a key", () => {
    const agentOf = (raw: string) =>
      Either.getOrNull(
        Either.map(SessionKey.parse(raw, defaults), (key) => SessionKey.agentIdOf(key, defaults))
      )
    expect(agentOf("agent:work:a:b")).toBe("work")
    expect(agentOf("x")).toBe("main")
    expect(agentOf("global")).toBe("main")
  })

  it.each([
    ["main", true],
    ["A-b_9", true],
    ["a".repeat(64), true],
    ["a".repeat(65), false],
    ["", false],
    ["-a", false],
    ["a/b", false],
    ["a:b", false]
  ])("agent id %j: %j", (raw, ok) => {
    expect(Either.isRight(SessionKey.parseAgentId(raw))).toBe(ok)
  })

  // Whole keys, bare ones, and text that is meant to break out.
  const raw = FastCheck.oneof(
    FastCheck.string({ maxLength: 40 }),
    FastCheck.string({ unit: "binary", maxLength: 20 }),
    FastCheck.tuple(
      FastCheck.constantFrom("x", "\u0130", "\u{10400}", "agent:a:"),
      FastCheck.integer({ min: 245, max: 515 })
    ).map(([unit, length]) => unit.repeat(Math.ceil(length / unit.length)).slice(0, length)),
    FastCheck.array(
      FastCheck.constantFrom("agent", ":", "main", "Work", "..", ".", "/", " ", "global", "\u0130", "x"),
      {
        maxLength: 9
      }
    ).map((parts) => parts.join(""))
  )

  it.prop("parse is idempotent: the canonical form of a canonical key is itself", [raw], ([key]) => {
    const once = canonical(key)
    if (once !== null) expect(canonical(once)).toBe(once)
  })

  it.prop("what is accepted never names a path, and is bounded", [raw], ([key]) => {
    const once = canonical(key)
    if (once === null) return
    // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
    expect(once).not.toMatch(/[\u0000-\u001f\u007f-\u009f/\\]|\.\./)
    expect(once === "global" || once === "unknown" || /^agent:[a-z0-9][a-z0-9_-]{0,63}:./.test(once)).toBe(
      true
    )
    expect(once.length).toBeLessThanOrEqual(SessionKey.maxLength)
  })

  it.prop("upper and lower case, and space around, name the same session", [raw], ([key]) => {
    const once = canonical(key.toLowerCase())
    if (once !== null && once.length <= SessionKey.maxLength - 2) expect(canonical(` ${once} `)).toBe(once)
  })
})

it("letters whose small form depends on those around them are the same with and without what completes a key", () => {
  const defaults = { defaultAgentId: SessionKey.defaultAgentId, mainKey: "main" }
  for (const name of ["Σ", "ΑΣ", "ΑΣ Β", "İ", "ẞ"]) {
    const bare = SessionKey.parse(name, defaults)
    expect(SessionKey.parse(`agent:main:${name}`, defaults)).toEqual(bare)
    expect(Either.flatMap(bare, (key) => SessionKey.parse(key, defaults))).toEqual(bare)
  }
})
