/** Lists of sessions, and what may be done to them: `sessions.*`. */
import { expect } from "@effect/vitest"
import { Effect, Schema, TestClock } from "effect"
import * as Method from "../../../src/protocol/Method.js"
import type { TestClient } from "../../../src/testing/TestClient.js"
import { begin, detailOf, stage } from "../Ask.js"
import type { Suite } from "../Harness.js"

const main = "agent:main:main"

const decodeList = Schema.decodeUnknown(Method.methods["sessions.list"].result)
const decodePreview = Schema.decodeUnknown(Method.methods["sessions.preview"].result)

const list = (client: TestClient, params: object = {}) =>
  Effect.flatMap(client.request("sessions.list", params), ({ payload }) => decodeList(payload))
const keys = (client: TestClient, params: object = {}) =>
  Effect.map(list(client, params), ({ sessions }) => sessions.map(({ key }) => key))
const previews = (client: TestClient, params: object) =>
  Effect.map(
    Effect.flatMap(client.request("sessions.preview", params), ({ payload }) => decodePreview(payload)),
    ({ previews }) => previews
  )

const line = (role: string, content: unknown, id = role) => ({
  type: "message",
  id,
  timestamp: "2026-01-01T00:00:00.000Z",
  message: { role, content, timestamp: 1 }
})

const seconds = 1000

const index = {
  [main]: {
    sessionId: "s-main",
    updatedAt: 180 * seconds,
    label: "Home",
    lastChannel: "telegram",
    lastTo: "+49"
  },
  "agent:main:work": {
    sessionId: "s-work",
    updatedAt: 170 * seconds,
    displayName: "Work things",
    secret: "x"
  },
  "agent:coder:fix": { sessionId: "s-fix", updatedAt: 130 * seconds, label: "Twin", spawnedBy: main },
  "agent:main:tg:group:7": {
    sessionId: "s-group",
    updatedAt: 100 * seconds,
    label: "Twin",
    abortedLastRun: true
  },
  global: { sessionId: "s-global", updatedAt: 70 * seconds },
  unknown: { sessionId: "s-unknown", updatedAt: 60 * seconds },
  "agent:main:never": { label: "has not begun" }
}

const listed = Effect.gen(function* () {
  // A client would be told the time all the way.
  yield* TestClock.setTime(180 * seconds)
  const staged = yield* stage
  yield* staged.harness.setIndex(index)
  return staged
})

export const sessionSuite: Suite = (scenario) => {
  scenario("a gateway without sessions lists none", () =>
    Effect.gen(function* () {
      const { client } = yield* stage
      expect(yield* list(client)).toEqual({
        ts: 0,
        path: "sessions.json",
        count: 0,
        hasMore: false,
        defaults: { model: null, modelProvider: null, contextTokens: null },
        sessions: []
      })
    })
  )

  scenario("sessions are listed newest first, with what their entries say and clients may know", () =>
    Effect.gen(function* () {
      const { client } = yield* listed
      const { count, hasMore, sessions } = yield* list(client, { includeGlobal: true, includeUnknown: true })
      expect(sessions).toEqual([
        {
          key: main,
          kind: "direct",
          sessionId: "s-main",
          updatedAt: 180 * seconds,
          label: "Home",
          lastChannel: "telegram",
          lastTo: "+49"
        },
        {
          key: "agent:main:work",
          kind: "direct",
          sessionId: "s-work",
          updatedAt: 170 * seconds,
          displayName: "Work things"
        },
        {
          key: "agent:coder:fix",
          kind: "direct",
          sessionId: "s-fix",
          updatedAt: 130 * seconds,
          label: "Twin"
        },
        {
          key: "agent:main:tg:group:7",
          kind: "group",
          sessionId: "s-group",
          updatedAt: 100 * seconds,
          label: "Twin",
          abortedLastRun: true
        },
        { key: "global", kind: "global", sessionId: "s-global", updatedAt: 70 * seconds },
        { key: "unknown", kind: "unknown", sessionId: "s-unknown", updatedAt: 60 * seconds }
      ])
      expect([count, hasMore]).toEqual([6, false])
    })
  )

  scenario("a list can be cut, and filtered", () =>
    Effect.gen(function* () {
      const { client } = yield* listed
      const all = [main, "agent:main:work", "agent:coder:fix", "agent:main:tg:group:7"]
      expect(yield* keys(client)).toEqual(all)
      expect(yield* keys(client, { limit: 2 })).toEqual(all.slice(0, 2))
      expect((yield* list(client, { limit: 2 })).hasMore).toBe(true)
      expect((yield* list(client, { limit: 4 })).hasMore).toBe(false)
      expect(yield* keys(client, { limit: 2, offset: 1 })).toEqual(all.slice(1, 3))
      expect(yield* keys(client, { activeMinutes: 1 })).toEqual(all.slice(0, 3))
      expect(yield* keys(client, { agentId: "Coder" })).toEqual(["agent:coder:fix"])
      expect(yield* keys(client, { agentId: "main", includeGlobal: true })).toContain("global")
      expect(yield* keys(client, { label: "Twin" })).toEqual(all.slice(2))
      expect(yield* keys(client, { spawnedBy: main })).toEqual(["agent:coder:fix"])
      expect(yield* keys(client, { search: " WORK t" })).toEqual(["agent:main:work"])
      expect(yield* keys(client, { search: "s-group" })).toEqual(["agent:main:tg:group:7"])
      const refused = yield* client.request("sessions.list", { agentId: "../x" })
      expect([detailOf(refused, "code"), detailOf(refused, "path")]).toEqual(["INVALID_PARAMS", "agentId"])
      const zero = yield* client.request("sessions.list", { limit: 0 })
      expect(detailOf(zero, "path")).toBe("limit")
    })
  )

  scenario("titles and last messages come with the rows when they are asked for", () =>
    Effect.gen(function* () {
      const { client, harness } = yield* listed
      yield* harness.setTranscript("s-main.jsonl", [
        { type: "session" },
        line("assistant", [{ type: "text", text: "welcome" }]),
        line("user", [{ type: "text", text: `How  do\nI ${"x".repeat(80)}` }]),
        line("assistant", "plain text"),
        line("toolResult", [{ type: "image" }])
      ])
      const { sessions } = yield* list(client, {
        includeDerivedTitles: true,
        includeLastMessage: true,
        limit: 2
      })
      expect(sessions[0]).toMatchObject({
        derivedTitle: `How do I ${"x".repeat(50)}…`,
        lastMessagePreview: "plain text"
      })
      expect(sessions[1]).not.toHaveProperty("derivedTitle")
      expect(sessions[1]).not.toHaveProperty("lastMessagePreview")
    })
  )

  scenario("a session that is used comes first at once, with what its last run has left", () =>
    Effect.gen(function* () {
      const { client } = yield* listed
      yield* TestClock.adjust("1 second")
      const run = yield* begin(client, "r1", "hello there", { sessionKey: "agent:main:tg:group:7" })
      expect((yield* keys(client))[0]).toBe("agent:main:tg:group:7")
      yield* run.answer("hi")
      yield* client.terminal("r1")
      const { sessions } = yield* list(client, {
        includeLastMessage: true,
        includeDerivedTitles: true,
        limit: 1
      })
      expect(sessions).toMatchObject([{ derivedTitle: "hello there", lastMessagePreview: "hi" }])
    })
  )

  scenario("previews give the newest messages in short", () =>
    Effect.gen(function* () {
      const { client, harness } = yield* listed
      yield* harness.setTranscript("s-main.jsonl", [
        { type: "session" },
        line("user", "one", "1"),
        line("assistant", [{ type: "text", text: "two ".repeat(20) }], "2"),
        line("toolResult", "three", "3"),
        line("assistant", [{ type: "image" }], "4")
      ])
      expect(
        yield* previews(client, { keys: ["main", "work", "nobody", "../x"], limit: 3, maxChars: 20 })
      ).toEqual([
        {
          key: "main",
          status: "ok",
          items: [
            { role: "assistant", text: "two two two two two…" },
            { role: "tool", text: "three" }
          ]
        },
        { key: "work", status: "empty", items: [] },
        { key: "nobody", status: "missing", items: [] },
        { key: "../x", status: "missing", items: [] }
      ])
      const refused = yield* client.request("sessions.preview", { keys: [] })
      expect([detailOf(refused, "code"), detailOf(refused, "path")]).toEqual(["INVALID_PARAMS", "keys"])
    })
  )

  scenario("a session is found by its key, its id or its label", () =>
    Effect.gen(function* () {
      const { client } = yield* listed
      const resolve = (params: object) => client.request("sessions.resolve", params)
      expect((yield* resolve({ key: "work" })).payload).toEqual({
        ok: true,
        key: "agent:main:work",
        agentId: "main",
        displayName: "Work things"
      })
      const fix = { ok: true, key: "agent:coder:fix", agentId: "coder" }
      expect((yield* resolve({ key: "fix", agentId: "coder" })).payload).toEqual(fix)
      expect((yield* resolve({ sessionId: "s-fix" })).payload).toEqual(fix)
      expect((yield* resolve({ label: "Twin", agentId: "coder" })).payload).toEqual(fix)
      expect((yield* resolve({ label: "Home" })).payload).toMatchObject({ ok: true, key: main })
      expect((yield* resolve({ sessionId: "s-global" })).ok).toBe(false)
      expect((yield* resolve({ sessionId: "s-global", includeGlobal: true })).ok).toBe(true)
      const twins = yield* resolve({ label: "Twin" })
      expect(detailOf(twins, "code")).toBe("AMBIGUOUS_SESSION")
      expect((yield* resolve({ label: "Twin", allowMissing: true })).payload).toEqual({
        ok: false,
        candidates: [
          { key: "agent:coder:fix", agentId: "coder" },
          { key: "agent:main:tg:group:7", agentId: "main" }
        ]
      })
      const missing = yield* resolve({ key: "nobody" })
      expect([detailOf(missing, "code"), detailOf(missing, "path")]).toEqual(["UNKNOWN_SESSION", "key"])
      expect((yield* resolve({ key: "nobody", allowMissing: true })).payload).toEqual({ ok: false })
      const nothing = yield* resolve({})
      expect([detailOf(nothing, "code"), detailOf(nothing, "path")]).toEqual(["INVALID_PARAMS", "key"])
      const bad = yield* resolve({ key: "../x" })
      expect([detailOf(bad, "code"), detailOf(bad, "path")]).toEqual(["INVALID_SESSION_KEY", "key"])
    })
  )
}
