/** What operators look at: the runs that are not over, and who is connected. */
import { expect } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import { abort, begin, postSend, send, stage } from "../Ask.js"
import type { Suite } from "../Harness.js"

export const operatorSuite: Suite = (scenario) => {
  scenario(
    "runs that are not over are listed in their order, with what they are at, until their ends are told",
    () =>
      Effect.gen(function* () {
        const { client, harness } = yield* stage
        const runs = Effect.map(client.request("runs.list"), ({ payload }) => payload)
        expect(yield* runs).toEqual({ ts: 0, runs: [], maxConcurrentRuns: 1 })
        const first = yield* begin(client, "r1")
        yield* TestClock.adjust("2 seconds")
        yield* send(client, "r2", "hi", { sessionKey: "OTHER" })
        yield* harness.setSaveDelay("1 minute")
        const third = yield* postSend(client, "r3")
        yield* harness.saving
        const row = { agentId: "main", principal: "owner" }
        expect(yield* runs).toEqual({
          ts: 2000,
          runs: [
            { ...row, runId: "r1", sessionKey: "agent:main:main", phase: "running", acceptedAt: 0 },
            { ...row, runId: "r2", sessionKey: "agent:main:other", phase: "queued", acceptedAt: 2000 },
            { ...row, runId: "r3", sessionKey: "agent:main:main", phase: "accepting", acceptedAt: 2000 }
          ],
          maxConcurrentRuns: 1
        })
        yield* harness.setSaveDelay(0)
        yield* TestClock.adjust("1 minute")
        yield* client.response(third)
        yield* abort(client, "r2", "other")
        yield* client.terminal("r2")
        yield* abort(client, "r3")
        yield* client.terminal("r3")
        yield* first.answer("done")
        yield* client.terminal("r1")
        expect(yield* runs).toMatchObject({ runs: [] })
      }),
    { maxConcurrentRuns: 1 }
  )

  scenario("who comes in the middle of an answer can ask for what there is of it", () =>
    Effect.gen(function* () {
      const { client } = yield* stage
      const first = yield* begin(client, "r1")
      yield* begin(client, "r2", "hi", { sessionKey: "OTHER" })
      yield* first.say("half an")
      yield* client.awaitChat(({ runId, state }) => runId === "r1" && state === "delta")
      const runs = (params: object) =>
        Effect.map(client.request("runs.list", params), ({ error, payload }) => payload ?? error)
      const row = { agentId: "main", principal: "owner", phase: "running", acceptedAt: 0 }
      expect(yield* runs({ sessionKey: "main" })).toMatchObject({
        runs: [{ ...row, runId: "r1", sessionKey: "agent:main:main", text: "half an" }]
      })
      expect(yield* runs({ sessionKey: "other" })).toMatchObject({ runs: [{ runId: "r2", text: "" }] })
      expect(yield* runs({ sessionKey: "none" })).toMatchObject({ runs: [] })
      expect(yield* runs({ sessionKey: "../x" })).toMatchObject({
        code: "INVALID_REQUEST",
        message: expect.stringContaining("sessionKey")
      })
    })
  )

  scenario("connections are listed from their login on", () =>
    Effect.gen(function* () {
      const { client, harness } = yield* stage
      const presence = Effect.map(client.request("system-presence"), ({ payload }) => payload)
      yield* harness.open
      yield* TestClock.adjust("1 second")
      const second = yield* harness.connect({ scopes: ["operator.read"] })
      const row = {
        ts: 1000,
        version: "0",
        mode: "test",
        reason: "connect",
        connId: expect.stringMatching(/^[0-9a-f-]{36}$/),
        principal: "owner",
        client: { id: "test", version: "0", platform: "test", mode: "test" }
      }
      expect(yield* presence).toMatchObject([
        { ...row, connectedAt: 0 },
        { ...row, connectedAt: 1000 }
      ])
      // Without the rights of an administrator, too, one's own are seen.
      expect((yield* second.request("system-presence")).payload).toMatchObject([{}, { connectedAt: 1000 }])
    })
  )
}
