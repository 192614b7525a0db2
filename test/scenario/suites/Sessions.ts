/** Lists of sessions, and what may be done to them: `sessions.*`. */
import { expect } from "@effect/vitest"
import { Effect, Schema, TestClock } from "effect"
import * as Method from "../../../src/protocol/Method.js"
import type { TestClient } from "../../../src/testing/TestClient.js"
import { abort, begin, conversation, detailOf, page, postSend, send, stage } from "../Ask.js"
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

  scenario("a patch sets what it names, null takes away, and all else stays", () =>
    Effect.gen(function* () {
      const { client, harness } = yield* listed
      const { payload } = yield* client.request("sessions.patch", {
        key: "main",
        label: "New",
        displayName: null,
        thinkingLevel: "high",
        verboseLevel: "off",
        reasoningLevel: "on",
        responseUsage: "tokens",
        sendPolicy: "allow",
        groupActivation: "always",
        model: null
      })
      const set = {
        label: "New",
        thinkingLevel: "high",
        verboseLevel: "off",
        reasoningLevel: "on",
        responseUsage: "tokens",
        sendPolicy: "allow",
        groupActivation: "always"
      }
      expect(payload).toEqual({
        ok: true,
        path: "sessions.json",
        key: main,
        entry: { ...index[main], ...set }
      })
      expect((yield* harness.index)[main]).toEqual({ ...index[main], ...set })
      const nulls = Object.fromEntries(Object.keys(set).map((name) => [name, null]))
      yield* client.request("sessions.patch", { key: "main", ...nulls })
      const { label: _, ...rest } = index[main]
      expect((yield* harness.index)[main]).toEqual(rest)
      expect((yield* harness.index)["agent:main:work"]).toEqual(index["agent:main:work"])
    })
  )

  scenario("a patch counts from the next send on", () =>
    Effect.gen(function* () {
      const { agent, client } = yield* listed
      yield* client.request("sessions.patch", { key: "main", sendPolicy: "deny" })
      const denied = yield* client.request("chat.send", {
        sessionKey: "main",
        message: "m",
        idempotencyKey: "k"
      })
      expect(detailOf(denied, "code")).toBe("SEND_DENIED")
      yield* client.request("sessions.patch", { key: "main", sendPolicy: null, thinkingLevel: "high" })
      const run = yield* begin(client, "k")
      expect(run.request.thinking).toBe("high")
      yield* run.answer("hi")
      yield* client.terminal("k")
      expect(yield* agent.runs).toHaveLength(1)
    })
  )

  scenario(
    "a patch of a session that is not there makes it; of an agent that is not there, it does not",
    () =>
      Effect.gen(function* () {
        const { client, harness } = yield* listed
        const { payload } = yield* client.request("sessions.patch", { key: "Fresh", label: "L" })
        expect(payload).toMatchObject({
          key: "agent:main:fresh",
          entry: { label: "L", updatedAt: 180 * seconds }
        })
        expect(yield* keys(client, { label: "L" })).toEqual(["agent:main:fresh"])
        const refused = yield* client.request("sessions.patch", { key: "x", agentId: "nobody", label: "L" })
        expect(detailOf(refused, "code")).toBe("UNKNOWN_AGENT")
        expect(Object.keys(yield* harness.index)).not.toContain("agent:nobody:x")
      })
  )

  scenario("what a patch can't set is refused by its name, and nothing of it is done", () =>
    Effect.gen(function* () {
      const { client, harness } = yield* listed
      for (const [field, value] of Object.entries({
        label: "",
        displayName: 7,
        thinkingLevel: "x".repeat(65),
        verboseLevel: "loud",
        sendPolicy: "maybe",
        responseUsage: true,
        groupActivation: "never",
        model: "another/model",
        execSecurity: "full",
        sessionFile: "../../etc/passwd",
        sessionId: "s-work",
        updatedAt: 1,
        ["__proto__x"]: {}
      })) {
        const refused = yield* client.request("sessions.patch", {
          key: "main",
          verboseLevel: "on",
          [field]: value
        })
        expect([field, detailOf(refused, "code"), detailOf(refused, "path")]).toEqual([
          field,
          "INVALID_PARAMS",
          field
        ])
      }
      const changed = yield* client.request("sessions.patch", {
        key: "main",
        label: "x",
        expectedSessionId: "another"
      })
      expect(detailOf(changed, "code")).toBe("SESSION_CHANGED")
      expect(yield* harness.index).toEqual(index)
    })
  )

  scenario("a patch that can't be written is refused, and may be tried again", () =>
    Effect.gen(function* () {
      const { client, harness } = yield* listed
      yield* harness.failWrites("index", 1)
      const refused = yield* client.request("sessions.patch", { key: "main", label: "x" })
      expect(refused.error).toMatchObject({ code: "UNAVAILABLE", retryable: true })
      expect(yield* harness.index).toEqual(index)
      expect((yield* client.request("sessions.patch", { key: "main", label: "x" })).ok).toBe(true)
      expect((yield* harness.index)[main]).toEqual({ ...index[main], label: "x" })
    })
  )

  const reset = (client: TestClient, key = "main") => client.request("sessions.reset", { key })
  const remove = (client: TestClient, key: string, more: object = {}) =>
    client.request("sessions.delete", { key, ...more })
  const sessionIdOf = (client: TestClient, key = "main") =>
    Effect.map(page(client, { sessionKey: key }), ({ sessionId }) => sessionId ?? "")

  scenario("a reset begins the session anew, and its old transcript stays", () =>
    Effect.gen(function* () {
      const { client, harness } = yield* listed
      yield* (yield* begin(client, "r1", "one")).answer("first")
      yield* client.terminal("r1")
      const { payload } = yield* reset(client)
      expect(payload).toMatchObject({
        ok: true,
        path: "sessions.json",
        key: main,
        entry: { label: "Home", lastChannel: "telegram", lastTo: "+49", updatedAt: 180 * seconds }
      })
      expect(yield* conversation(client)).toEqual([])
      const run = yield* begin(client, "r2", "two")
      expect(run.request.sessionId).toBe(yield* sessionIdOf(client))
      yield* run.answer("second")
      yield* client.terminal("r2")
      expect(yield* conversation(client)).toEqual(["user: two", "assistant: second"])
      expect(yield* harness.transcript("s-main.jsonl")).toHaveLength(3)
      expect((yield* harness.index)[main]).toMatchObject({ label: "Home", lastTo: "+49" })
    })
  )

  scenario(
    "a reset aborts the session's runs, those that wait too, and their ends are in the old transcript",
    () =>
      Effect.gen(function* () {
        const { agent, client, harness } = yield* listed
        const run = yield* begin(client, "working", "one")
        yield* run.say("par")
        yield* send(client, "waiting", "two")
        const other = yield* begin(client, "other", "elsewhere", { sessionKey: "work" })
        expect((yield* reset(client)).ok).toBe(true)
        yield* run.interrupted
        expect(yield* client.terminal("working")).toMatchObject({ state: "aborted", stopReason: "rpc" })
        expect(yield* client.terminal("waiting")).toMatchObject({ state: "aborted", stopReason: "rpc" })
        expect(yield* conversation(client)).toEqual([])
        const old = JSON.stringify(yield* harness.transcript("s-main.jsonl"))
        expect(old).toContain('"par"')
        expect(old).toContain('"two"')
        // The agent was never called for the one that waited, and the key has its answer.
        expect(yield* agent.runs).toHaveLength(2)
        expect((yield* send(client, "waiting", "two")).payload).toEqual({
          runId: "waiting",
          status: "aborted"
        })
        yield* other.answer("goes on")
        expect(yield* client.terminal("other")).toMatchObject({ state: "final" })
      })
  )

  scenario("a handed-off run ends at a reset, with the text so far in the old transcript", () =>
    Effect.gen(function* () {
      const { client, harness } = yield* listed
      const run = yield* begin(client, "away", "one")
      yield* run.say("so far")
      yield* run.handOff
      yield* run.ended
      expect((yield* reset(client)).ok).toBe(true)
      expect(yield* client.terminal("away")).toMatchObject({ state: "final" })
      expect(JSON.stringify(yield* harness.transcript("s-main.jsonl"))).toContain("so far")
      expect(yield* conversation(client)).toEqual([])
    })
  )

  scenario("a send that comes during a reset goes to the new transcript, and can be aborted", () =>
    Effect.gen(function* () {
      const { agent, client, harness } = yield* listed
      const run = yield* begin(client, "working", "one")
      yield* run.say("par")
      yield* harness.setSaveDelay("1 second")
      const resetting = yield* Effect.fork(reset(client))
      yield* harness.saving
      yield* postSend(client, "later", "two")
      yield* postSend(client, "unwanted", "three")
      expect((yield* abort(client, "unwanted")).payload).toMatchObject({
        aborted: true,
        runIds: ["unwanted"]
      })
      yield* harness.setSaveDelay(0)
      yield* TestClock.adjust("1 second")
      expect((yield* resetting).ok).toBe(true)
      expect((yield* send(client, "later", "two")).payload).toEqual({ runId: "later", status: "in_flight" })
      expect(yield* client.terminal("unwanted")).toMatchObject({ state: "aborted" })
      const next = yield* agent.next
      expect(next.request.message).toBe("two")
      yield* next.answer("hi")
      yield* client.terminal("later")
      expect(yield* conversation(client)).toContain("user: two")
      expect(JSON.stringify(yield* harness.transcript("s-main.jsonl"))).not.toContain('"two"')
    })
  )

  scenario("a reset of a session whose runs can't be ended in time is refused, and nothing is done", () =>
    Effect.gen(function* () {
      const { client, harness } = yield* listed
      const run = yield* begin(client, "working", "one")
      yield* run.say("par")
      yield* harness.setSaveDelay("1 minute")
      const resetting = yield* Effect.fork(reset(client))
      yield* harness.saving
      yield* TestClock.adjust("10 seconds")
      const refused = yield* resetting
      expect(refused.error).toMatchObject({
        code: "UNAVAILABLE",
        retryable: true,
        details: { code: "SESSION_BUSY" }
      })
      yield* harness.setSaveDelay(0)
      yield* TestClock.adjust("50 seconds")
      yield* client.terminal("working")
      expect(yield* sessionIdOf(client)).toBe("s-main")
      expect((yield* reset(client)).ok).toBe(true)
    })
  )

  scenario("two resets at once are two resets", () =>
    Effect.gen(function* () {
      const { client } = yield* listed
      const replies = yield* Effect.all([reset(client), reset(client)], { concurrency: 2 })
      const ids = replies.map(({ payload }) => (payload as { entry: { sessionId: string } }).entry.sessionId)
      expect(new Set(ids).size).toBe(2)
      expect(ids).toContain(yield* sessionIdOf(client))
    })
  )

  scenario("a deleted session is gone, its transcript is kept under another name", () =>
    Effect.gen(function* () {
      const { client, harness } = yield* listed
      const run = yield* begin(client, "r1", "one", { sessionKey: "work" })
      yield* run.say("par")
      yield* send(client, "r2", "two", { sessionKey: "work" })
      const { payload } = yield* remove(client, "work")
      expect(payload).toEqual({
        ok: true,
        key: "agent:main:work",
        deleted: true,
        archived: [expect.stringMatching(/^s-work\.jsonl\.deleted\./)]
      })
      yield* run.interrupted
      for (const id of ["r1", "r2"]) expect(yield* client.terminal(id)).toMatchObject({ state: "aborted" })
      expect(yield* keys(client)).not.toContain("agent:main:work")
      expect(yield* page(client, { sessionKey: "work" })).toMatchObject({ messages: [] })
      const { ["agent:main:work"]: _, ...others } = index
      expect(yield* harness.index).toEqual(others)
      expect(yield* harness.transcript("s-work.jsonl")).toEqual([])
      expect((yield* remove(client, "work")).payload).toEqual({
        ok: true,
        key: "agent:main:work",
        deleted: false,
        archived: []
      })
      // What is sent there now begins another one.
      yield* (yield* begin(client, "r3", "three", { sessionKey: "work" })).answer("new")
      yield* client.terminal("r3")
      expect(yield* conversation(client, "work")).toEqual(["user: three", "assistant: new"])
    })
  )

  scenario("a delete may leave the transcript, and refuses what it must not or can't do", () =>
    Effect.gen(function* () {
      const { client, harness } = yield* listed
      yield* harness.setTranscript("s-fix.jsonl", [line("user", "one")])
      const codeOf = (key: string, more: object) =>
        Effect.map(remove(client, key, more), (refused) => [
          detailOf(refused, "code"),
          detailOf(refused, "path")
        ])
      expect(yield* codeOf("main", {})).toEqual(["MAIN_SESSION", "key"])
      expect(yield* codeOf("agent:coder:fix", { expectedSessionId: "x" })).toEqual([
        "SESSION_CHANGED",
        "expectedSessionId"
      ])
      expect(yield* codeOf("agent:coder:fix", { archivedOnly: true })).toEqual([
        "INVALID_PARAMS",
        "archivedOnly"
      ])
      expect(yield* codeOf("../x", {})).toEqual(["INVALID_SESSION_KEY", "key"])
      expect(yield* harness.index).toEqual(index)
      const left = yield* remove(client, "agent:coder:fix", {
        deleteTranscript: false,
        expectedSessionId: "s-fix"
      })
      expect(left.payload).toMatchObject({ deleted: true, archived: [] })
      expect(yield* harness.transcript("s-fix.jsonl")).toHaveLength(1)
      yield* harness.failWrites("journal", 1)
      const failed = yield* remove(client, "agent:main:tg:group:7")
      expect(failed.error).toMatchObject({ code: "UNAVAILABLE", retryable: true })
      expect(yield* keys(client)).toContain("agent:main:tg:group:7")
    })
  )
}
