/** 2. The session's entry belongs to other programs too. */
import { expect } from "@effect/vitest"
import { Effect } from "effect"
import { ScriptedAgent } from "../../../src/testing/ScriptedAgent.js"
import { conversation, page, send, stage } from "../Ask.js"
import { Harness, type Suite } from "../Harness.js"

const main = "agent:main:main"
const foreign = {
  sessionId: "s1",
  updatedAt: -1,
  lastChannel: "telegram",
  lastTo: "+491700000000",
  label: "Mum",
  plugin: { nested: [1, { deep: true }], none: null }
}

export const entrySuite: Suite = (scenario) => {
  scenario("2. lastChannel, lastTo and unknown fields survive a send", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const agent = yield* ScriptedAgent
      yield* harness.setIndex({
        [main]: foreign,
        "agent:main:other": { sessionId: "s2", updatedAt: 5, x: null }
      })
      const client = yield* harness.connect()
      yield* send(client, "r1")
      yield* (yield* agent.next).answer("hello")
      yield* client.terminal("r1")
      const index = yield* harness.index
      expect(index[main]).toEqual({ ...foreign, updatedAt: 0 })
      expect(index["agent:main:other"]).toEqual({ sessionId: "s2", updatedAt: 5, x: null })
      expect((yield* page(client)).sessionId).toBe("s1")
    })
  )

  scenario("2. also when another program has edited the file since the last send", () =>
    Effect.gen(function* () {
      const { agent, client, harness } = yield* stage
      yield* send(client, "r1")
      yield* (yield* agent.next).answer("one")
      yield* client.terminal("r1")
      const before = (yield* harness.index)[main]
      const edited = { ...before, lastChannel: "signal", lastTo: "someone", added: { by: "another program" } }
      yield* harness.setIndex({ [main]: edited, elsewhere: { sessionId: "s9", updatedAt: 9 } })
      yield* send(client, "r2")
      yield* (yield* agent.next).answer("two")
      yield* client.terminal("r2")
      const after = yield* harness.index
      expect(after[main]).toEqual({ ...edited, updatedAt: 0 })
      expect(after["elsewhere"]).toEqual({ sessionId: "s9", updatedAt: 9 })
      expect(yield* conversation(client)).toEqual([
        "user: message r1",
        "assistant: one",
        "user: message r2",
        "assistant: two"
      ])
    })
  )

  scenario("2. a session that another program has given a new transcript goes on there", () =>
    Effect.gen(function* () {
      const { agent, client, harness } = yield* stage
      yield* send(client, "r1")
      yield* (yield* agent.next).answer("old")
      yield* client.terminal("r1")
      yield* harness.setIndex({ [main]: { sessionId: "fresh", updatedAt: 1 } })
      expect(yield* conversation(client)).toEqual([])
      yield* send(client, "r2")
      yield* (yield* agent.next).answer("new")
      yield* client.terminal("r2")
      expect(yield* conversation(client)).toEqual(["user: message r2", "assistant: new"])
      expect(yield* harness.transcript("fresh.jsonl")).toHaveLength(3)
    })
  )

  scenario("2. sendPolicy deny refuses a send, and its key is not used up", () =>
    Effect.gen(function* () {
      const { agent, client, harness } = yield* stage
      yield* harness.setIndex({ [main]: { sessionId: "s1", updatedAt: 1, sendPolicy: "deny" } })
      const refused = yield* send(client, "r1")
      expect(refused).toMatchObject({
        ok: false,
        error: { code: "INVALID_REQUEST", message: "send blocked by session policy" }
      })
      expect(yield* harness.transcript("s1.jsonl")).toEqual([])
      expect(yield* agent.runs).toHaveLength(0)
      yield* harness.setIndex({ [main]: { sessionId: "s1", updatedAt: 1, sendPolicy: "allow" } })
      expect((yield* send(client, "r1")).payload).toEqual({ runId: "r1", status: "started" })
      yield* (yield* agent.next).answer("allowed")
      yield* client.terminal("r1")
      expect(yield* agent.runs).toHaveLength(1)
    })
  )
}
