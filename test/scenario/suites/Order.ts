/** 10. Runs of one session go one after another, different sessions in parallel, all of them under bounds. */
import { expect } from "@effect/vitest"
import { Effect, Option } from "effect"
import { ScriptedAgent } from "../../../src/testing/ScriptedAgent.js"
import { begin, detailOf, history, postSend, send, settledChat, stage, textOf } from "../Ask.js"
import { Harness, type Suite } from "../Harness.js"

const keys = ["r1", "r2", "r3", "r4", "r5"]

export const orderSuite: Suite = (scenario) => {
  scenario(
    "10. five sends at once to a new session: five messages, five answers under the five run ids, in order",
    () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const agent = yield* ScriptedAgent
        yield* agent.answerAll(Option.some(({ message }) => `answer to ${message}`))
        const client = yield* harness.connect()
        const ids = yield* Effect.forEach(keys, (key) =>
          postSend(client, key, `m-${key}`, { sessionKey: "brand new" })
        )
        for (const [at, id] of ids.entries()) {
          expect((yield* client.response(id)).payload).toEqual({ runId: keys[at], status: "started" })
        }
        for (const key of keys) {
          expect(yield* client.terminal(key)).toMatchObject({
            state: "final",
            message: { content: [{ text: `answer to m-${key}` }] }
          })
        }
        const messages = yield* history(client, "brand new")
        const said = (role: string) =>
          messages
            .filter((message) => message.role === role)
            .map((message) => [message.runId, textOf(message)])
        expect(said("user")).toEqual(keys.map((key) => [key, `m-${key}`]))
        expect(said("assistant")).toEqual(keys.map((key) => [key, `answer to m-${key}`]))
        expect(messages).toHaveLength(10)
        const finals = (yield* client.chat())
          .filter(({ state }) => state !== "delta")
          .map(({ runId }) => runId)
        expect(finals).toEqual(keys)
        expect(Object.keys(yield* harness.index)).toEqual(["agent:main:brand new"])
        expect((yield* agent.runs).map(({ request }) => request.runId)).toEqual(keys)
      })
  )

  scenario("10. one run of a session at a time, other sessions beside it", () =>
    Effect.gen(function* () {
      const { agent, client } = yield* stage
      yield* send(client, "a1", "a", { sessionKey: "a" })
      yield* send(client, "a2", "a", { sessionKey: "a" })
      const a1 = yield* begin(client, "b1", "b", { sessionKey: "b" })
      const b1 = yield* agent.next
      expect([a1.request.runId, b1.request.runId]).toEqual(["a1", "b1"])
      yield* b1.answer("b")
      yield* client.terminal("b1")
      expect(yield* agent.runs).toHaveLength(2)
      yield* a1.answer("a")
      const a2 = yield* agent.next
      expect(a2.request.runId).toBe("a2")
      // What the agent is given: the session and the conversation so far.
      expect(a2.request.sessionKey).toBe("agent:main:a")
      expect(yield* a2.request.history(10)).toMatchObject([{ runId: "a1" }, { runId: "a2" }, { runId: "a1" }])
      yield* a2.answer("a")
      yield* client.terminal("a2")
    })
  )

  scenario(
    "10. a full lane refuses with retryAfterMs, and the key is not used up",
    () =>
      Effect.gen(function* () {
        const { agent, client } = yield* stage
        yield* send(client, "r1")
        yield* send(client, "r2")
        const refused = yield* send(client, "r3")
        expect(refused).toMatchObject({
          ok: false,
          error: { code: "UNAVAILABLE", retryable: true, retryAfterMs: expect.any(Number) }
        })
        expect(detailOf(refused, "code")).toBe("QUEUE_FULL")
        expect(detailOf(refused, "scope")).toBe("lane")
        // Another session has its own lane.
        expect((yield* send(client, "o1", "hi", { sessionKey: "other" })).ok).toBe(true)
        yield* (yield* agent.next).answer("one")
        yield* client.terminal("r1")
        yield* agent.next
        yield* (yield* agent.next).answer("two")
        expect((yield* send(client, "r3")).payload).toEqual({ runId: "r3", status: "started" })
        const said = (yield* history(client)).filter(({ role }) => role === "user").map(({ runId }) => runId)
        expect(said).toEqual(["r1", "r2", "r3"])
      }),
    { maxQueuedPerSession: 1 }
  )

  scenario(
    "10. the gateway's queue is bounded too",
    () =>
      Effect.gen(function* () {
        const { agent, client } = yield* stage
        yield* send(client, "a1", "a", { sessionKey: "a" })
        yield* agent.next
        yield* send(client, "a2", "a", { sessionKey: "a" })
        yield* send(client, "b1", "b", { sessionKey: "b" })
        const refused = yield* send(client, "c1", "c", { sessionKey: "c" })
        expect(refused).toMatchObject({ ok: false, error: { code: "UNAVAILABLE", retryable: true } })
        expect(detailOf(refused, "scope")).toBe("gateway")
        expect(yield* settledChat(client, "c1")).toEqual([])
      }),
    { maxConcurrentRuns: 1, maxQueuedRuns: 2 }
  )

  scenario(
    "10. at most so many runs work at once; the others begin in the order in which they came",
    () =>
      Effect.gen(function* () {
        const { agent, client } = yield* stage
        for (const key of ["a", "b", "c", "d"]) yield* send(client, key, key, { sessionKey: key })
        const a = yield* agent.next
        const b = yield* agent.next
        const status = yield* client.request("status")
        expect(status.payload).toMatchObject({ runs: { active: 2, queued: 2, handedOff: 0 } })
        yield* b.answer("b")
        yield* client.terminal("b")
        const c = yield* agent.next
        expect(c.request.runId).toBe("c")
        yield* a.fail("no")
        yield* client.terminal("a")
        expect((yield* agent.next).request.runId).toBe("d")
        expect(yield* agent.runs).toHaveLength(4)
      }),
    { maxConcurrentRuns: 2 }
  )
}
