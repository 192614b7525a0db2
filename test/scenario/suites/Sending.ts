/** chat.inject, and who may do what. */
import { expect } from "@effect/vitest"
import { Effect } from "effect"
import { ScriptedAgent } from "../../../src/testing/ScriptedAgent.js"
import { conversation, detailOf, history, send, settledChat, stage } from "../Ask.js"
import { Harness, type Suite } from "../Harness.js"

export const sendingSuite: Suite = (scenario) => {
  scenario("chat.inject appends a message, with its label, and tells everybody, without an agent", () =>
    Effect.gen(function* () {
      const { agent, client, harness } = yield* stage
      const v3 = yield* harness.connect({ protocol: 3 })
      const plain = yield* client.request("chat.inject", { sessionKey: "Main", message: "news" })
      const labelled = yield* client.request("chat.inject", {
        sessionKey: "main",
        message: "more",
        label: "cron"
      })
      const messages = yield* history(client)
      expect(plain).toMatchObject({ ok: true, payload: { ok: true, messageId: messages[0]?.id } })
      expect(labelled).toMatchObject({ ok: true, payload: { ok: true, messageId: messages[1]?.id } })
      const message = (text: string) => ({
        message: { role: "assistant", content: [{ type: "text", text }], timestamp: 0 }
      })
      yield* v3.terminal(`inject-${messages[1]?.id}`)
      expect(yield* v3.chat()).toEqual([
        {
          runId: `inject-${messages[0]?.id}`,
          sessionKey: "Main",
          seq: 0,
          state: "final",
          ...message("news")
        },
        {
          runId: `inject-${messages[1]?.id}`,
          sessionKey: "main",
          seq: 0,
          state: "final",
          ...message("[cron]\n\nmore")
        }
      ])
      expect(yield* client.chat()).toMatchObject([{ agentId: "main" }, { agentId: "main" }])
      expect(yield* conversation(client)).toEqual(["assistant: news", "assistant: [cron]\n\nmore"])
      expect(yield* agent.runs).toHaveLength(0)
    })
  )

  scenario("chat.inject refuses nothing to say and a label over 100 characters", () =>
    Effect.gen(function* () {
      const client = yield* (yield* Harness).connect()
      const inject = (params: object) => client.request("chat.inject", { sessionKey: "main", ...params })
      for (const [params, path] of [
        [{ message: "" }, "message"],
        [{}, "message"],
        [{ message: "x", label: "l".repeat(101) }, "label"],
        [{ message: "x", label: 7 }, "label"]
      ] as const) {
        const refused = yield* inject(params)
        expect(refused).toMatchObject({ ok: false, error: { code: "INVALID_REQUEST" } })
        expect(detailOf(refused, "path")).toBe(path)
      }
      expect((yield* inject({ message: "x", label: "l".repeat(100) })).ok).toBe(true)
      expect((yield* client.request("chat.inject", { sessionKey: "a/b", message: "x" })).ok).toBe(false)
      expect(yield* history(client)).toHaveLength(1)
    })
  )

  scenario("chat.inject into a store that can't write: UNAVAILABLE, and no event", () =>
    Effect.gen(function* () {
      const { client, harness } = yield* stage
      yield* harness.failWrites("append", 1)
      expect(yield* client.request("chat.inject", { sessionKey: "main", message: "lost" })).toMatchObject({
        ok: false,
        error: { code: "UNAVAILABLE", retryable: true }
      })
      yield* client.request("health")
      expect(yield* client.chat()).toEqual([])
      expect(yield* history(client)).toEqual([])
    })
  )

  scenario(
    "scopes: read-only can't send, write-only gets no chat events, and each is told so in its version",
    () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const agent = yield* ScriptedAgent
        const reader3 = yield* harness.connect({ protocol: 3, scopes: ["operator.read"] })
        const reader4 = yield* harness.connect({ protocol: 4, scopes: ["operator.read"] })
        const writer = yield* harness.connect({ scopes: ["operator.write"] })
        const nobody = yield* harness.connect({ scopes: ["something.else"] })
        for (const method of ["chat.send", "chat.abort", "chat.inject"]) {
          const refused3 = yield* reader3.request(method, { sessionKey: "main" })
          expect(refused3).toMatchObject({
            ok: false,
            error: { code: "INVALID_REQUEST", message: "missing scope: operator.write" }
          })
          expect(detailOf(refused3, "code")).toBe("FORBIDDEN")
          const refused4 = yield* reader4.request(method, { sessionKey: "main" })
          expect(refused4).toMatchObject({
            ok: false,
            error: { code: "FORBIDDEN", message: "missing scope: operator.write" }
          })
        }
        for (const method of ["chat.history", "chat.image", "health", "status"]) {
          expect(yield* writer.request(method, { sessionKey: "main" })).toMatchObject({
            ok: false,
            error: { code: "FORBIDDEN", message: "missing scope: operator.read" }
          })
          expect((yield* nobody.request(method, { sessionKey: "main" })).ok).toBe(false)
        }
        expect((yield* send(writer, "r1")).payload).toEqual({ runId: "r1", status: "started" })
        yield* (yield* agent.next).answer("not for the writer")
        expect(yield* reader3.terminal("r1")).toMatchObject({ state: "final" })
        expect(yield* settledChat(reader4, "r1")).toHaveLength(2)
        // The answer to a request sent after the event would come behind it.
        yield* writer.request("health")
        yield* nobody.request("health")
        for (const client of [writer, nobody]) {
          expect(yield* client.chat()).toEqual([])
          expect(yield* client.events("agent")).toEqual([])
        }
      })
  )

  scenario("an operator that names admin, or no scope at all, may do everything", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const agent = yield* ScriptedAgent
      const admin = yield* harness.connect({ scopes: ["operator.admin"] })
      const any = yield* harness.connect({ scopes: [] })
      expect((yield* send(admin, "r1")).ok).toBe(true)
      yield* (yield* agent.next).answer("x")
      yield* admin.terminal("r1")
      yield* any.terminal("r1")
      expect(yield* conversation(any)).toHaveLength(2)
    })
  )
}
