/** 7 and 9. Agents that report from elsewhere: in time, too late, or after their runner has returned. */
import { expect } from "@effect/vitest"
import { Duration, Effect, TestClock } from "effect"
import * as AgentEvent from "../../../src/domain/AgentEvent.js"
import { RunId } from "../../../src/domain/Ids.js"
import { AgentEvents } from "../../../src/run/AgentEvents.js"
import { ScriptedAgent } from "../../../src/testing/ScriptedAgent.js"
import { abort, begin, conversation, eventText, history, send, settledChat, shown, stage } from "../Ask.js"
import { Harness, type Suite } from "../Harness.js"

const r1 = RunId("r1")
const r2 = RunId("r2")

export const lateEventSuite: Suite = (scenario) => {
  scenario("7. text and end from outside after an abort: no delta, no final", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const agent = yield* ScriptedAgent
      const events = yield* AgentEvents
      const client = yield* harness.connect()
      yield* send(client, "r1")
      yield* agent.next
      yield* abort(client, "r1")
      expect(yield* events.emit(r1, AgentEvent.textDelta("late"))).toBe(false)
      expect(yield* events.emit(r1, AgentEvent.text("late"))).toBe(false)
      expect(yield* events.emit(r1, AgentEvent.end())).toBe(false)
      expect(yield* events.emit(r1, AgentEvent.failed("late"))).toBe(false)
      yield* client.terminal("r1")
      expect(yield* events.emit(r1, AgentEvent.end())).toBe(false)
      yield* TestClock.adjust("1 minute")
      expect(yield* settledChat(client, "r1")).toMatchObject([{ state: "aborted" }])
      expect(yield* conversation(client)).toEqual(["user: message r1"])
    })
  )

  scenario("7. an agent that ignores its interruption and talks on: nothing of it is shown or kept", () =>
    Effect.gen(function* () {
      const { agent, client } = yield* stage
      yield* agent.ignoreInterruption(true)
      const run = yield* begin(client, "r1")
      yield* run.say("before")
      yield* shown(client, "r1", "before")
      // Waits for its turn of 150 ms when the abort comes.
      yield* run.say(" unseen")
      yield* TestClock.adjust(1)
      yield* abort(client, "r1")
      yield* run.say(" and after")
      yield* run.finish
      yield* TestClock.adjust("1 minute")
      yield* client.terminal("r1")
      expect((yield* settledChat(client, "r1")).map((event) => [event.state, eventText(event)])).toEqual([
        ["delta", "before"],
        ["aborted", "before unseen"]
      ])
      expect(yield* conversation(client)).toEqual(["user: message r1", "assistant: before unseen"])
    })
  )

  scenario("7. events of a run that never was, or that waits in its lane, change nothing", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const agent = yield* ScriptedAgent
      const events = yield* AgentEvents
      const client = yield* harness.connect()
      expect(yield* events.emit(RunId("never"), AgentEvent.end())).toBe(false)
      yield* send(client, "r1")
      yield* send(client, "r2")
      const first = yield* agent.next
      expect(yield* events.emit(r2, AgentEvent.textDelta("too soon"))).toBe(false)
      expect(yield* events.emit(r2, AgentEvent.end())).toBe(false)
      yield* first.answer("one")
      yield* (yield* agent.next).answer("two")
      expect(yield* client.terminal("r2")).toMatchObject({
        state: "final",
        message: { content: [{ text: "two" }] }
      })
    })
  )

  scenario("9. two handed-off runs end in the order of their lifecycle ends, each under its run id", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const agent = yield* ScriptedAgent
      const events = yield* AgentEvents
      const client = yield* harness.connect()
      yield* send(client, "r1")
      const first = yield* agent.next
      yield* first.say("first ")
      yield* shown(client, "r1", "first ")
      yield* first.handOff
      // The lane is free though the first has not ended.
      yield* send(client, "r2")
      const second = yield* agent.next
      yield* second.handOff
      yield* second.ended
      // Lets the gateway, too, see that the runner has returned.
      yield* TestClock.adjust(0)
      expect((yield* send(client, "r1")).payload).toEqual({ runId: "r1", status: "ok" })
      expect((yield* send(client, "r2")).payload).toEqual({ runId: "r2", status: "ok" })
      expect((yield* abort(client, "r1")).payload).toEqual({ ok: true, aborted: false, runIds: [] })
      expect((yield* abort(client)).payload).toMatchObject({ aborted: false })
      expect(yield* events.emit(r1, AgentEvent.textDelta("done"))).toBe(true)
      expect(yield* events.emit(r1, AgentEvent.end())).toBe(true)
      yield* client.terminal("r1")
      expect(yield* events.emit(r2, AgentEvent.end({ stopReason: "length" }))).toBe(true)
      yield* client.terminal("r2")
      const chat = yield* client.chat()
      expect(
        chat.filter(({ state }) => state !== "delta").map((event) => [event.runId, event.state])
      ).toEqual([
        ["r1", "final"],
        ["r2", "final"]
      ])
      expect(eventText(yield* client.terminal("r1"))).toBe("first done")
      expect(yield* client.terminal("r2")).toMatchObject({ stopReason: "length" })
      expect((yield* history(client)).slice(-2)).toMatchObject([
        { runId: "r1", content: [{ text: "first done" }], stopReason: "stop" },
        { runId: "r2", stopReason: "length" }
      ])
    })
  )

  scenario(
    "9. without a lifecycle end the final comes after the grace, with the text so far",
    () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const agent = yield* ScriptedAgent
        const events = yield* AgentEvents
        const client = yield* harness.connect()
        yield* send(client, "r1")
        yield* (yield* agent.next).handOff
        yield* TestClock.adjust("9 seconds")
        // News from the agent begins the grace anew.
        expect(yield* events.emit(r1, AgentEvent.textDelta("still at it"))).toBe(true)
        yield* shown(client, "r1", "still at it")
        yield* TestClock.adjust(9999)
        expect(yield* settledChat(client, "r1")).toMatchObject([{ state: "delta" }])
        yield* TestClock.adjust(1)
        expect(yield* client.terminal("r1")).toMatchObject({
          state: "final",
          message: { content: [{ text: "still at it" }] }
        })
        expect(yield* events.emit(r1, AgentEvent.textDelta("too late"))).toBe(false)
        expect(yield* conversation(client)).toEqual(["user: message r1", "assistant: still at it"])
      }),
    { handOffGrace: Duration.seconds(10) }
  )

  scenario(
    "9. the grace begins when the runner returns, however long it was silent before",
    () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const agent = yield* ScriptedAgent
        const events = yield* AgentEvents
        const client = yield* harness.connect()
        yield* send(client, "r1")
        const run = yield* agent.next
        yield* TestClock.adjust("1 minute")
        yield* run.handOff
        yield* run.ended
        yield* TestClock.adjust(9999)
        expect(yield* settledChat(client, "r1")).toEqual([])
        expect(yield* events.emit(r1, AgentEvent.text("from elsewhere"))).toBe(true)
        expect(yield* events.emit(r1, AgentEvent.end())).toBe(true)
        expect(eventText(yield* client.terminal("r1"))).toBe("from elsewhere")
      }),
    { handOffGrace: Duration.seconds(10) }
  )

  scenario("9. a lifecycle error from outside ends the run with error", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const agent = yield* ScriptedAgent
      const events = yield* AgentEvents
      const client = yield* harness.connect()
      yield* send(client, "r1")
      yield* (yield* agent.next).handOff
      expect(yield* events.emit(r1, AgentEvent.failed("the worker is gone"))).toBe(true)
      expect(yield* client.terminal("r1")).toMatchObject({
        state: "error",
        errorMessage: "the worker is gone"
      })
      expect(yield* send(client, "r1")).toMatchObject({
        ok: false,
        payload: { runId: "r1", status: "error", summary: "the worker is gone" },
        error: { code: "UNAVAILABLE" }
      })
    })
  )

  scenario("9. an end from outside while the runner still works ends the run and stops the runner", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const agent = yield* ScriptedAgent
      const events = yield* AgentEvents
      const client = yield* harness.connect()
      yield* send(client, "r1")
      const run = yield* agent.next
      expect(yield* events.emit(r1, AgentEvent.end())).toBe(true)
      yield* run.interrupted
      expect(yield* client.terminal("r1")).toMatchObject({ state: "final" })
      yield* send(client, "r2")
      expect((yield* agent.next).request.runId).toBe("r2")
      yield* abort(client)
      yield* client.terminal("r2")
    })
  )
}
