/** 3, 4, 6 and 8. A run can be aborted from the first instant, and only by those who mean it. */
import { expect } from "@effect/vitest"
import { Clock, Effect, TestClock } from "effect"
import { ScriptedAgent } from "../../../src/testing/ScriptedAgent.js"
import {
  abort,
  begin,
  conversation,
  history,
  postSend,
  send,
  settledChat,
  shown,
  stage,
  textOf
} from "../Ask.js"
import { Harness, type Suite } from "../Harness.js"

const aborted = (...runIds: ReadonlyArray<string>) => ({ ok: true, aborted: true, runIds })
const nothing = { ok: true, aborted: false, runIds: [] }

export const abortSuite: Suite = (scenario) => {
  scenario("3. send, started, abort: one `aborted` event with run id and session key as sent", () =>
    Effect.gen(function* () {
      const agent = yield* ScriptedAgent
      const client = yield* (yield* Harness).connect()
      const sent = yield* send(client, "r1", "hi", { sessionKey: "Main" })
      expect(sent).toMatchObject({ ok: true, payload: { runId: "r1", status: "started" } })
      const run = yield* agent.next
      expect((yield* abort(client, "r1")).payload).toEqual(aborted("r1"))
      yield* run.interrupted
      expect(yield* client.terminal("r1")).toEqual({
        runId: "r1",
        sessionKey: "Main",
        agentId: "main",
        seq: 0,
        state: "aborted",
        stopReason: "rpc"
      })
      expect(yield* settledChat(client, "r1")).toHaveLength(1)
      expect((yield* send(client, "r1", "hi", { sessionKey: "Main" })).payload).toEqual({
        runId: "r1",
        status: "aborted"
      })
    })
  )

  scenario(
    "3. the save takes 120 ms and the abort comes right behind the send: the agent is never called",
    () =>
      Effect.gen(function* () {
        const { agent, client, harness } = yield* stage
        yield* harness.setSaveDelay(120)
        const sending = yield* postSend(client, "r1")
        const aborting = yield* client.post("chat.abort", { sessionKey: "main", runId: "r1" })
        expect(yield* client.response(aborting)).toMatchObject({ ok: true, payload: aborted("r1") })
        yield* harness.saving
        yield* TestClock.adjust(120)
        expect(yield* client.response(sending)).toMatchObject({
          ok: true,
          payload: { runId: "r1", status: "started" }
        })
        expect(yield* client.terminal("r1")).toMatchObject({ state: "aborted", stopReason: "rpc", seq: 0 })
        yield* TestClock.adjust("1 minute")
        expect(yield* settledChat(client, "r1")).toHaveLength(1)
        expect(yield* agent.runs).toHaveLength(0)
        expect(yield* conversation(client)).toEqual(["user: message r1"])
      })
  )

  scenario("3. a save that takes 10 s does not make the abort wait", () =>
    Effect.gen(function* () {
      const { agent, client, harness } = yield* stage
      yield* harness.setSaveDelay("10 seconds")
      const sending = yield* postSend(client, "r1")
      yield* harness.saving
      const before = yield* Clock.currentTimeMillis
      // Without a run id: it finds the run all the same.
      expect((yield* abort(client)).payload).toEqual(aborted("r1"))
      expect(yield* Clock.currentTimeMillis).toBe(before)
      expect(yield* settledChat(client, "r1")).toEqual([])
      yield* TestClock.adjust("10 seconds")
      expect(yield* client.response(sending)).toMatchObject({ ok: true, payload: { status: "started" } })
      expect(yield* client.terminal("r1")).toMatchObject({ state: "aborted" })
      expect(yield* agent.runs).toHaveLength(0)
    })
  )

  scenario("3. an abort stands when the save fails: the key does not run later", () =>
    Effect.gen(function* () {
      const { agent, client, harness } = yield* stage
      yield* harness.setSaveDelay(120)
      yield* harness.failWrites("append", 1)
      const sending = yield* postSend(client, "r1")
      yield* harness.saving
      expect((yield* abort(client)).payload).toEqual(aborted("r1"))
      yield* TestClock.adjust(120)
      expect((yield* client.response(sending)).payload).toEqual({ runId: "r1", status: "aborted" })
      expect(yield* client.terminal("r1")).toMatchObject({ state: "aborted", stopReason: "rpc" })
      expect((yield* send(client, "r1")).payload).toEqual({ runId: "r1", status: "aborted" })
      expect(yield* conversation(client)).toEqual([])
      expect(yield* agent.runs).toHaveLength(0)
    })
  )

  scenario("3. of two aborts of one run only the first has aborted it", () =>
    Effect.gen(function* () {
      const { agent, client } = yield* stage
      yield* send(client, "r1")
      yield* agent.next
      const first = yield* client.post("chat.abort", { sessionKey: "main", runId: "r1" })
      const second = yield* client.post("chat.abort", { sessionKey: "main", runId: "r1" })
      expect((yield* client.response(first)).payload).toEqual(aborted("r1"))
      expect((yield* client.response(second)).payload).toEqual(nothing)
      yield* client.terminal("r1")
      expect(yield* settledChat(client, "r1")).toHaveLength(1)
    })
  )

  scenario("3. what was said before the abort stays in the transcript, marked as aborted", () =>
    Effect.gen(function* () {
      const { agent, client } = yield* stage
      yield* send(client, "r1")
      yield* (yield* agent.next).say("half an ans")
      yield* shown(client, "r1", "half an ans")
      yield* abort(client, "r1")
      const terminal = yield* client.terminal("r1")
      expect(terminal).toMatchObject({ state: "aborted", message: { content: [{ text: "half an ans" }] } })
      const [, answer] = yield* history(client)
      expect(answer).toMatchObject({ role: "assistant", stopReason: "aborted", runId: "r1" })
      expect(answer === undefined ? "" : textOf(answer)).toBe("half an ans")
    })
  )

  scenario("4. /stop aborts the session's run and calls no agent", () =>
    Effect.gen(function* () {
      const { agent, client } = yield* stage
      const run = yield* begin(client, "r1")
      expect(yield* send(client, "s1", "/stop")).toMatchObject({ ok: true, payload: aborted("r1") })
      yield* run.interrupted
      expect(yield* client.terminal("r1")).toMatchObject({ state: "aborted", stopReason: "stop" })
      // As people write it.
      expect((yield* send(client, "s2", "  /STOP\n")).payload).toEqual(nothing)
      expect(yield* conversation(client)).toEqual(["user: message r1"])
      expect(yield* agent.runs).toHaveLength(1)
      // A stop is no run: its key is free.
      expect((yield* send(client, "s1")).payload).toEqual({ runId: "s1", status: "started" })
      expect((yield* abort(client)).payload).toEqual(aborted("s1"))
      yield* client.terminal("s1")
    })
  )

  scenario(
    "4. which messages stop is a setting",
    () =>
      Effect.gen(function* () {
        const { agent, client } = yield* stage
        yield* send(client, "r1")
        yield* agent.next
        expect((yield* send(client, "r2", "/stop")).payload).toEqual({ runId: "r2", status: "started" })
        expect((yield* send(client, "s1", "Halt!")).payload).toEqual(aborted("r1", "r2"))
        yield* client.terminal("r2")
        expect(yield* agent.runs).toHaveLength(1)
      }),
    { stopCommands: ["halt!", "/abort"] }
  )

  scenario("6. abort without a run id: all runs of the session, queued ones too, and no other's", () =>
    Effect.gen(function* () {
      const { agent, client } = yield* stage
      for (const key of ["r1", "r2", "r3"]) yield* send(client, key)
      yield* agent.next
      const other = yield* begin(client, "o1", "hi", { sessionKey: "other" })
      expect((yield* abort(client)).payload).toEqual(aborted("r1", "r2", "r3"))
      for (const key of ["r1", "r2", "r3"]) {
        expect(yield* client.terminal(key)).toMatchObject({ state: "aborted", stopReason: "rpc" })
        expect(yield* settledChat(client, key)).toHaveLength(1)
      }
      yield* other.answer("still here")
      expect(yield* client.terminal("o1")).toMatchObject({ state: "final" })
      expect((yield* agent.runs).map(({ request }) => request.runId)).toEqual(["r1", "o1"])
      // The lane is free.
      yield* send(client, "r4")
      yield* (yield* agent.next).answer("four")
      expect(yield* client.terminal("r4")).toMatchObject({ state: "final" })
    })
  )

  scenario("8. abort of an unknown or ended run: ok, and nothing aborted", () =>
    Effect.gen(function* () {
      const { agent, client } = yield* stage
      expect(yield* abort(client, "never")).toMatchObject({ ok: true, payload: nothing })
      expect((yield* abort(client)).payload).toEqual(nothing)
      yield* send(client, "r1")
      yield* (yield* agent.next).answer("done")
      yield* client.terminal("r1")
      expect((yield* abort(client, "r1")).payload).toEqual(nothing)
      expect((yield* abort(client)).payload).toEqual(nothing)
      expect(yield* settledChat(client, "r1")).toMatchObject([{ state: "delta" }, { state: "final" }])
    })
  )

  scenario("8. a run id under another session's key is refused, and the run goes on", () =>
    Effect.gen(function* () {
      const { client } = yield* stage
      const run = yield* begin(client, "r1")
      expect(yield* abort(client, "r1", "other")).toMatchObject({
        ok: false,
        error: { code: "INVALID_REQUEST", message: "runId does not match sessionKey" }
      })
      yield* run.answer("not aborted")
      expect(yield* client.terminal("r1")).toMatchObject({ state: "final" })
    })
  )

  scenario("8. main, agent:main:main and MAIN are one session", () =>
    Effect.gen(function* () {
      const { agent, client, harness } = yield* stage
      yield* send(client, "r1", "one", { sessionKey: "MAIN" })
      yield* send(client, "r2", "two", { sessionKey: "agent:main:main" })
      yield* agent.next
      expect((yield* abort(client, "r2", "main")).payload).toEqual(aborted("r2"))
      expect((yield* abort(client, "r1", "Agent:Main:MAIN")).payload).toEqual(aborted("r1"))
      expect(yield* client.terminal("r1")).toMatchObject({ sessionKey: "MAIN" })
      expect(yield* client.terminal("r2")).toMatchObject({ sessionKey: "agent:main:main" })
      for (const key of ["main", "agent:main:main", "MAIN"]) {
        expect(yield* conversation(client, key)).toEqual(["user: one", "user: two"])
      }
      expect(Object.keys(yield* harness.index)).toEqual(["agent:main:main"])
    })
  )
}
