/** 5. One key, one run. */
import { expect } from "@effect/vitest"
import { Duration, Effect, TestClock } from "effect"
import { ScriptedAgent } from "../../../src/testing/ScriptedAgent.js"
import { abort, begin, conversation, detailOf, postSend, send, stage } from "../Ask.js"
import { Harness, type Suite } from "../Harness.js"

const status = (runId: string, is: string) => ({ ok: true, payload: { runId, status: is } })

export const idempotencySuite: Suite = (scenario) => {
  scenario(
    "5. the same key: started, in_flight while it runs, ok afterwards, and one call of the agent",
    () =>
      Effect.gen(function* () {
        const { agent, client, harness } = yield* stage
        const other = yield* harness.connect()
        expect(yield* send(client, "r1")).toMatchObject(status("r1", "started"))
        expect(yield* send(client, "r1")).toMatchObject(status("r1", "in_flight"))
        const run = yield* agent.next
        yield* run.say("a")
        expect(yield* send(other, "r1")).toMatchObject(status("r1", "in_flight"))
        yield* run.finish
        yield* other.terminal("r1")
        expect(yield* send(client, "r1")).toMatchObject(status("r1", "ok"))
        expect(yield* send(other, "r1")).toMatchObject(status("r1", "ok"))
        expect(yield* agent.runs).toHaveLength(1)
        expect(yield* conversation(client)).toEqual(["user: message r1", "assistant: a"])
      })
  )

  scenario("5. in_flight also while it waits in its lane", () =>
    Effect.gen(function* () {
      const { agent, client } = yield* stage
      yield* send(client, "r1")
      expect(yield* send(client, "r2")).toMatchObject(status("r2", "started"))
      const first = yield* agent.next
      expect(yield* send(client, "r2")).toMatchObject(status("r2", "in_flight"))
      yield* first.answer("one")
      const second = yield* agent.next
      expect(second.request.runId).toBe("r2")
      expect(yield* send(client, "r2")).toMatchObject(status("r2", "in_flight"))
      yield* second.answer("two")
      yield* client.terminal("r2")
      expect(yield* send(client, "r2")).toMatchObject(status("r2", "ok"))
      expect(yield* agent.runs).toHaveLength(2)
    })
  )

  scenario("5. the same key twice at once, from two connections: one run", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const agent = yield* ScriptedAgent
      const one = yield* harness.connect()
      const two = yield* harness.connect()
      yield* harness.setSaveDelay(50)
      const first = yield* postSend(one, "r1")
      const twin = yield* postSend(one, "r1")
      yield* harness.saving
      const second = yield* postSend(two, "r1")
      // Its answer says that the sends before it have been taken in.
      yield* two.request("health")
      yield* TestClock.adjust(50)
      expect(yield* one.response(first)).toMatchObject(status("r1", "started"))
      expect(yield* one.response(twin)).toMatchObject(status("r1", "in_flight"))
      expect(yield* two.response(second)).toMatchObject(status("r1", "in_flight"))
      yield* harness.setSaveDelay(0)
      yield* (yield* agent.next).answer("once")
      yield* one.terminal("r1")
      expect(yield* agent.runs).toHaveLength(1)
      expect(yield* conversation(one)).toEqual(["user: message r1", "assistant: once"])
    })
  )

  scenario(
    "5. other text or another session under the same key: IDEMPOTENCY_MISMATCH, and the run goes on",
    () =>
      Effect.gen(function* () {
        const { agent, client } = yield* stage
        const run = yield* begin(client, "r1", "hello")
        const mismatches = Effect.gen(function* () {
          for (const mismatch of [
            yield* send(client, "r1", "hello!"),
            yield* send(client, "r1", "hello", { sessionKey: "other" }),
            yield* send(client, "r1", "hello", { attachments: [{ content: "iVBORw0KGgoAAAANSUhEUg==" }] })
          ]) {
            expect(mismatch).toMatchObject({ ok: false, error: { code: "INVALID_REQUEST" } })
            expect(detailOf(mismatch, "code")).toBe("IDEMPOTENCY_MISMATCH")
          }
        })
        yield* mismatches
        // The same session under another name, and another timeout, are the same send.
        expect(
          yield* send(client, "r1", "hello", { sessionKey: "agent:main:main", timeoutMs: 7 })
        ).toMatchObject(status("r1", "in_flight"))
        yield* run.answer("hi")
        expect(yield* client.terminal("r1")).toMatchObject({ state: "final" })
        yield* mismatches
        expect(yield* agent.runs).toHaveLength(1)
      })
  )

  scenario("5. a send refused for its parameters does not use its key up", () =>
    Effect.gen(function* () {
      const { agent, client } = yield* stage
      const refusals = [
        yield* send(client, "r1", "   "),
        yield* send(client, "r1", "hi", { timeoutMs: -1 }),
        yield* send(client, "r1", "hi", { sessionKey: "../etc" }),
        yield* send(client, "r1", "hi", { sessionKey: "" }),
        yield* send(client, "r1", "hi", { attachments: [{ content: "%%%" }] }),
        yield* send(client, "r1", "hi", { attachments: "none" })
      ]
      for (const refusal of refusals) {
        expect(refusal).toMatchObject({ ok: false, error: { code: "INVALID_REQUEST" } })
      }
      expect(refusals[0]?.error?.message).toBe("message or attachment required")
      expect(yield* send(client, "", "hi")).toMatchObject({ ok: false, error: { code: "INVALID_REQUEST" } })
      expect(yield* agent.runs).toHaveLength(0)
      expect(yield* send(client, "r1", "something else")).toMatchObject(status("r1", "started"))
      yield* (yield* agent.next).answer("hi")
      yield* client.terminal("r1")
      expect(yield* conversation(client)).toEqual(["user: something else", "assistant: hi"])
    })
  )

  scenario("5. the key of an aborted run answers aborted, also while the abort is being saved", () =>
    Effect.gen(function* () {
      const { agent, client, harness } = yield* stage
      yield* send(client, "r1")
      yield* (yield* agent.next).say("partial")
      yield* client.awaitChat((event) => event.state === "delta")
      yield* harness.setSaveDelay(100)
      yield* abort(client, "r1")
      yield* harness.saving
      expect(yield* send(client, "r1")).toMatchObject(status("r1", "aborted"))
      expect(yield* client.chat("r1")).toHaveLength(1)
      yield* TestClock.adjust(100)
      yield* client.terminal("r1")
      expect(yield* send(client, "r1")).toMatchObject(status("r1", "aborted"))
    })
  )

  scenario(
    "5. a key is free again when its time is over",
    () =>
      Effect.gen(function* () {
        const { agent, client } = yield* stage
        yield* send(client, "r1")
        yield* (yield* agent.next).answer("one")
        yield* client.terminal("r1")
        yield* TestClock.adjust(60_000)
        expect(yield* send(client, "r1")).toMatchObject(status("r1", "ok"))
        yield* TestClock.adjust(1)
        expect(yield* send(client, "r1")).toMatchObject(status("r1", "started"))
        yield* (yield* agent.next).answer("two")
        yield* client.awaitChat(
          (event) => event.state === "final" && event.message?.content[0]?.text === "two"
        )
      }),
    { idempotencyTtl: Duration.minutes(1) }
  )
}
