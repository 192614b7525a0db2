/** 11. Agents that fail, die or don't stop, and stores that can't write: each stays in its room. */
import { expect } from "@effect/vitest"
import { Duration, Effect, TestClock } from "effect"
import { ScriptedAgent } from "../../../src/testing/ScriptedAgent.js"
import { abort, begin, conversation, detailOf, history, send, settledChat, shown, stage } from "../Ask.js"
import { Harness, type Suite } from "../Harness.js"

export const failureSuite: Suite = (scenario) => {
  scenario("11. an agent that fails: error with its message, and the same key answers the failure", () =>
    Effect.gen(function* () {
      const { agent, client } = yield* stage
      const run = yield* begin(client, "r1")
      yield* run.say("so far")
      yield* shown(client, "r1", "so far")
      yield* run.fail("the model is overloaded")
      expect(yield* client.terminal("r1")).toMatchObject({
        state: "error",
        errorMessage: "the model is overloaded",
        message: { content: [{ text: "so far" }] }
      })
      expect(yield* send(client, "r1")).toMatchObject({
        ok: false,
        payload: { runId: "r1", status: "error", summary: "the model is overloaded" },
        error: { code: "UNAVAILABLE", message: "the model is overloaded" }
      })
      expect(yield* settledChat(client, "r1")).toHaveLength(2)
      expect((yield* history(client)).at(-1)).toMatchObject({
        stopReason: "error",
        errorMessage: "the model is overloaded"
      })
      expect(yield* agent.runs).toHaveLength(1)
    })
  )

  scenario("11. an agent that dies: the same, its defect is not shown, and nothing else is touched", () =>
    Effect.gen(function* () {
      const { agent, client } = yield* stage
      const other = yield* begin(client, "o1", "hi", { sessionKey: "other" })
      yield* send(client, "r1")
      yield* send(client, "r2")
      yield* (yield* agent.next).die(new Error("secret of the agent"))
      const terminal = yield* client.terminal("r1")
      expect(terminal).toMatchObject({ state: "error", errorMessage: "the agent died unexpectedly" })
      expect(JSON.stringify(yield* client.frames)).not.toContain("secret of the agent")
      const again = yield* send(client, "r1")
      expect(again).toMatchObject({ ok: false, payload: { status: "error" }, error: { code: "UNAVAILABLE" } })
      yield* (yield* agent.next).answer("two")
      expect(yield* client.terminal("r2")).toMatchObject({ state: "final" })
      yield* other.answer("here")
      expect(yield* client.terminal("o1")).toMatchObject({ state: "final" })
    })
  )

  scenario(
    "11. an agent that never stops when interrupted: cut off after the grace, and the lane is free again",
    () =>
      Effect.gen(function* () {
        const { agent, client } = yield* stage
        yield* agent.ignoreInterruption(true)
        const stubborn = yield* begin(client, "r1")
        yield* agent.ignoreInterruption(false)
        yield* send(client, "r2")
        expect((yield* abort(client, "r1")).payload).toMatchObject({ aborted: true })
        // Its run is over at once, its lane when it is cut off.
        expect(yield* client.terminal("r1")).toMatchObject({ state: "aborted" })
        yield* TestClock.adjust(4999)
        expect(yield* agent.runs).toHaveLength(1)
        yield* TestClock.adjust(1)
        const next = yield* agent.next
        expect(next.request.runId).toBe("r2")
        yield* stubborn.answer("I am still here")
        yield* next.answer("two")
        expect(yield* client.terminal("r2")).toMatchObject({
          state: "final",
          message: { content: [{ text: "two" }] }
        })
        expect(yield* settledChat(client, "r1")).toHaveLength(1)
        expect(yield* conversation(client)).toEqual([
          "user: message r1",
          "user: message r2",
          "assistant: two"
        ])
      }),
    { interruptGrace: Duration.seconds(5) }
  )

  scenario("11. an agent that stops slowly, but within the grace, keeps its lane until then", () =>
    Effect.gen(function* () {
      const { agent, client } = yield* stage
      yield* agent.ignoreInterruption(true)
      const slow = yield* begin(client, "r1")
      yield* send(client, "r2")
      yield* abort(client, "r1")
      yield* client.terminal("r1")
      yield* TestClock.adjust("2 seconds")
      expect(yield* agent.runs).toHaveLength(1)
      yield* slow.finish
      expect((yield* agent.next).request.runId).toBe("r2")
      yield* agent.ignoreInterruption(false)
    })
  )

  scenario(
    "11. timeoutMs: a run is aborted after it, counted from the agent's start",
    () =>
      Effect.gen(function* () {
        const { agent, client } = yield* stage
        const first = yield* begin(client, "r1", "hi", { timeoutMs: 0 })
        yield* send(client, "r2", "hi", { timeoutMs: 1000 })
        // Waiting in the lane does not count, and 0 means none.
        yield* TestClock.adjust("2 minutes")
        expect(yield* settledChat(client, "r1")).toEqual([])
        yield* first.answer("at last")
        expect(yield* client.terminal("r1")).toMatchObject({ state: "final" })
        const second = yield* agent.next
        yield* TestClock.adjust(999)
        expect(yield* settledChat(client, "r2")).toEqual([])
        yield* TestClock.adjust(1)
        yield* second.interrupted
        expect(yield* client.terminal("r2")).toMatchObject({ state: "aborted", stopReason: "timeout" })
        expect((yield* send(client, "r2", "hi")).payload).toEqual({ runId: "r2", status: "aborted" })
      }),
    { runTimeout: Duration.minutes(1) }
  )

  scenario(
    "11. without timeoutMs the setting counts",
    () =>
      Effect.gen(function* () {
        const { agent, client } = yield* stage
        yield* send(client, "r1")
        yield* agent.next
        yield* TestClock.adjust("30 seconds")
        expect(yield* client.terminal("r1")).toMatchObject({ state: "aborted", stopReason: "timeout" })
      }),
    { runTimeout: Duration.seconds(30) }
  )

  for (const kind of ["journal", "append"] as const) {
    scenario(
      `11. a send that can't be saved (${kind}): UNAVAILABLE, nothing half-written, the key is free`,
      () =>
        Effect.gen(function* () {
          const harness = yield* Harness
          const agent = yield* ScriptedAgent
          const client = yield* harness.connect()
          yield* harness.failWrites(kind, 1)
          const refused = yield* send(client, "r1")
          expect(refused).toMatchObject({
            ok: false,
            error: { code: "UNAVAILABLE", retryable: true, retryAfterMs: expect.any(Number) }
          })
          expect(detailOf(refused, "reason")).toBe("ENOSPC")
          expect(yield* conversation(client)).toEqual([])
          expect(yield* settledChat(client, "r1")).toEqual([])
          expect(yield* agent.runs).toHaveLength(0)
          expect((yield* send(client, "r1", "another text")).payload).toEqual({
            runId: "r1",
            status: "started"
          })
          yield* (yield* agent.next).answer("saved")
          yield* client.terminal("r1")
          expect(yield* conversation(client)).toEqual(["user: another text", "assistant: saved"])
        })
    )
  }

  scenario("11. an index that can't be written keeps nobody from talking; health says so meanwhile", () =>
    Effect.gen(function* () {
      const { agent, client, harness } = yield* stage
      yield* harness.failWrites("index", 1000)
      expect(yield* send(client, "r1")).toMatchObject({ ok: true, payload: { status: "started" } })
      yield* (yield* agent.next).answer("saved")
      expect(yield* client.terminal("r1")).toMatchObject({ state: "final" })
      expect(yield* conversation(client)).toEqual(["user: message r1", "assistant: saved"])
      expect(yield* harness.index).toEqual({})
      expect((yield* client.request("health")).payload).toMatchObject({
        ok: false,
        problems: [expect.stringContaining("ENOSPC")]
      })
      yield* harness.failWrites("index", 0)
      expect(yield* harness.index).toMatchObject({ "agent:main:main": { sessionId: expect.any(String) } })
      expect((yield* client.request("health")).payload).toMatchObject({ ok: true })
    })
  )

  scenario("11. an answer that can't be saved gives error, not final, and traffic goes on", () =>
    Effect.gen(function* () {
      const { agent, client, harness } = yield* stage
      const run = yield* begin(client, "r1")
      yield* run.say("lost")
      yield* shown(client, "r1", "lost")
      yield* harness.failWrites("append", 1)
      yield* run.finish
      expect(yield* client.terminal("r1")).toMatchObject({
        state: "error",
        errorMessage: "the answer could not be saved"
      })
      expect(yield* settledChat(client, "r1")).toHaveLength(2)
      expect(yield* send(client, "r1")).toMatchObject({ ok: false, payload: { status: "error" } })
      expect(yield* conversation(client)).toEqual(["user: message r1"])
      yield* send(client, "r2")
      yield* (yield* agent.next).answer("kept")
      expect(yield* client.terminal("r2")).toMatchObject({ state: "final" })
    })
  )

  scenario("11. a partial answer that can't be saved leaves the abort an abort", () =>
    Effect.gen(function* () {
      const { agent, client, harness } = yield* stage
      yield* send(client, "r1")
      yield* (yield* agent.next).say("lost")
      yield* shown(client, "r1", "lost")
      yield* harness.failWrites("append", 1)
      expect((yield* abort(client, "r1")).payload).toMatchObject({ aborted: true })
      expect(yield* client.terminal("r1")).toMatchObject({ state: "aborted", stopReason: "rpc" })
    })
  )
}
