/** What clients of each kind see of an answer that grows. */
import { expect } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import * as AgentEvent from "../../../src/domain/AgentEvent.js"
import type { ChatEvent } from "../../../src/protocol/Chat.js"
import { ScriptedAgent } from "../../../src/testing/ScriptedAgent.js"
import { begin, conversation, eventText, history, send, settledChat, shown, stage, textOf } from "../Ask.js"
import { Harness, type Suite } from "../Harness.js"

/** What a reader of `deltaText` alone has put together. */
const rebuild = (text: string, event: ChatEvent): string =>
  event.state !== "delta"
    ? text
    : event.replace === true
      ? (event.deltaText ?? "")
      : text + (event.deltaText ?? "")

export const streamingSuite: Suite = (scenario) => {
  scenario("versions: v3 has no deltaText, replace or agentId; v4 has; delta-only has only deltaText", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const agent = yield* ScriptedAgent
      const v3 = yield* harness.connect({ protocol: 3 })
      const v4 = yield* harness.connect({ protocol: 4 })
      const only = yield* harness.connect({ protocol: 4, caps: ["delta-only"] })
      const only3 = yield* harness.connect({ protocol: 3, caps: ["delta-only", "something newer"] })
      yield* send(v3, "r1")
      const run = yield* agent.next
      yield* run.say("Hel")
      yield* shown(v4, "r1", "Hel")
      yield* run.say("lo")
      yield* TestClock.adjust(150)
      yield* shown(v4, "r1", "Hello")
      yield* run.emit(AgentEvent.text("Goodbye"))
      yield* TestClock.adjust(150)
      yield* shown(v4, "r1", "Goodbye")
      yield* run.finish
      for (const client of [v3, v4, only, only3]) yield* client.terminal("r1")

      const message = (text: string, timestamp: number) => ({
        message: { role: "assistant", content: [{ type: "text", text }], timestamp }
      })
      const base = { runId: "r1", sessionKey: "main" }
      expect(yield* v3.chat("r1")).toEqual([
        { ...base, seq: 0, state: "delta", ...message("Hel", 0) },
        { ...base, seq: 1, state: "delta", ...message("Hello", 150) },
        { ...base, seq: 2, state: "delta", ...message("Goodbye", 300) },
        { ...base, seq: 3, state: "final", ...message("Goodbye", 300) }
      ])
      const base4 = { ...base, agentId: "main" }
      expect(yield* v4.chat("r1")).toEqual([
        { ...base4, seq: 0, state: "delta", deltaText: "Hel", ...message("Hel", 0) },
        { ...base4, seq: 1, state: "delta", deltaText: "lo", ...message("Hello", 150) },
        { ...base4, seq: 2, state: "delta", deltaText: "Goodbye", replace: true, ...message("Goodbye", 300) },
        { ...base4, seq: 3, state: "final", stopReason: "stop", ...message("Goodbye", 300) }
      ])
      for (const [client, ref] of [
        [only, base4],
        [only3, base]
      ] as const) {
        expect((yield* client.chat("r1")).slice(0, 3)).toEqual([
          { ...ref, seq: 0, state: "delta", deltaText: "Hel" },
          { ...ref, seq: 1, state: "delta", deltaText: "lo" },
          { ...ref, seq: 2, state: "delta", deltaText: "Goodbye", replace: true }
        ])
        expect(eventText(yield* client.terminal("r1"))).toBe("Goodbye")
      }
    })
  )

  scenario("deltas of a run are at least 150 ms apart, and none is lost", () =>
    Effect.gen(function* () {
      const { client } = yield* stage
      const run = yield* begin(client, "r1")
      for (let step = 0; step < 60; step++) {
        yield* run.say(`${step} `)
        yield* TestClock.adjust(17)
      }
      yield* run.finish
      const terminal = yield* client.terminal("r1")
      const deltas = (yield* client.chat("r1")).filter(({ state }) => state === "delta")
      const times = deltas.map(({ message }) => message?.timestamp ?? Number.NaN)
      const gaps = times.slice(1).map((time, at) => time - (times[at] ?? 0))
      expect(times[0]).toBe(0)
      expect(Math.min(...gaps)).toBeGreaterThanOrEqual(150)
      // And no slower than the pace: each gap ends with the first word after it.
      expect(Math.max(...gaps)).toBeLessThan(150 + 17)
      const whole = Array.from({ length: 60 }, (_, step) => `${step} `).join("")
      expect(eventText(terminal)).toBe(whole)
      const rebuilt = deltas.reduce(rebuild, "")
      expect(whole.startsWith(rebuilt)).toBe(true)
      expect(rebuilt).toBe(eventText(deltas.at(-1) ?? terminal))
      expect((yield* client.chat("r1")).map(({ seq }) => seq)).toEqual(
        Array.from({ length: deltas.length + 1 }, (_, seq) => seq)
      )
    })
  )

  scenario("text that came too early is shown when its time has come, without further news", () =>
    Effect.gen(function* () {
      const { client } = yield* stage
      const run = yield* begin(client, "r1")
      yield* run.say("a")
      yield* shown(client, "r1", "a")
      yield* run.say("b")
      yield* TestClock.adjust(149)
      expect(yield* settledChat(client, "r1")).toHaveLength(1)
      yield* TestClock.adjust(1)
      expect(yield* shown(client, "r1", "ab")).toMatchObject({ deltaText: "b", message: { timestamp: 150 } })
      // Again, while the slower raw stream still owes its readers a piece.
      yield* run.say("c")
      yield* TestClock.adjust(150)
      expect(yield* shown(client, "r1", "abc")).toMatchObject({ deltaText: "c", message: { timestamp: 300 } })
      // Nothing new: nothing is said.
      yield* TestClock.adjust("5 seconds")
      expect(yield* settledChat(client, "r1")).toHaveLength(3)
    })
  )

  scenario("a delta-only client that joins in the middle gets the whole text, with replace", () =>
    Effect.gen(function* () {
      const { client, harness } = yield* stage
      const run = yield* begin(client, "r1")
      yield* run.say("one ")
      yield* shown(client, "r1", "one ")
      const late = yield* harness.connect({ caps: ["delta-only"] })
      yield* run.say("two ")
      yield* TestClock.adjust(150)
      yield* shown(client, "r1", "one two ")
      yield* run.say("three")
      yield* TestClock.adjust(150)
      yield* shown(client, "r1", "one two three")
      yield* run.finish
      yield* late.terminal("r1")
      const deltas = (yield* late.chat("r1")).filter(({ state }) => state === "delta")
      expect(deltas).toMatchObject([{ deltaText: "one two ", replace: true }, { deltaText: "three" }])
      expect(deltas[1]).not.toHaveProperty("replace")
    })
  )

  scenario("events carry the session key letter by letter as the sender wrote it, for every reader", () =>
    Effect.gen(function* () {
      const { agent, client, harness } = yield* stage
      const other = yield* harness.connect({ protocol: 3 })
      for (const [at, sessionKey] of ["MaIn", " main ", "agent:MAIN:Main", "Some Key"].entries()) {
        const key = `r${at}`
        yield* send(client, key, "hi", { sessionKey })
        const run = yield* agent.next
        yield* run.say("x")
        yield* run.finish
        for (const reader of [client, other]) {
          yield* reader.terminal(key)
          const keys = (yield* reader.chat(key)).map((event) => event.sessionKey)
          expect(new Set(keys)).toEqual(new Set([sessionKey]))
          const raw = (yield* reader.events("agent")).flatMap(({ payload }) =>
            typeof payload === "object" && payload !== null && "runId" in payload && payload.runId === key
              ? [payload]
              : []
          )
          expect(raw.length).toBeGreaterThan(0)
          for (const payload of raw) expect(payload).toMatchObject({ sessionKey })
        }
      }
    })
  )

  scenario(
    "chat.history right after a terminal event holds the answer, for everybody who saw the event",
    () =>
      Effect.gen(function* () {
        const { agent, client, harness } = yield* stage
        const other = yield* harness.connect()
        yield* harness.setSaveDelay(20)
        for (const key of ["r1", "r2"]) {
          const sending = yield* client.post("chat.send", {
            sessionKey: "main",
            message: "q",
            idempotencyKey: key
          })
          yield* harness.saving
          yield* TestClock.adjust(20)
          yield* client.response(sending)
          // A fresh receipt for the save of the answer.
          yield* harness.setSaveDelay(20)
          yield* (yield* agent.next).answer(`a-${key}`)
          yield* harness.saving
          expect((yield* settledChat(client, key)).filter(({ state }) => state !== "delta")).toEqual([])
          yield* TestClock.adjust(20)
          yield* harness.setSaveDelay(20)
          for (const reader of [other, client]) {
            yield* reader.terminal(key)
            const last = (yield* history(reader)).at(-1)
            expect(last).toMatchObject({ runId: key, role: "assistant", stopReason: "stop" })
            expect(last === undefined ? "" : textOf(last)).toBe(`a-${key}`)
          }
        }
      })
  )

  scenario("the raw agent stream: lifecycle, text, tools and the agent's own, with a seq of its own", () =>
    Effect.gen(function* () {
      const { client } = yield* stage
      const run = yield* begin(client, "r1")
      yield* run.emit(AgentEvent.start)
      yield* run.say("hi")
      yield* run.emit({ _tag: "Tool", phase: "start", name: "search", toolCallId: "t1", args: { q: "x" } })
      yield* run.emit({
        _tag: "Tool",
        phase: "result",
        name: "search",
        toolCallId: "t1",
        result: 7,
        isError: false
      })
      yield* run.emit({ _tag: "Custom", stream: "thinking", data: { text: "hm" } })
      yield* run.emit(AgentEvent.end({ stopReason: "max_tokens", usage: { input: 1, output: 2 } }))
      expect(yield* client.terminal("r1")).toMatchObject({
        stopReason: "max_tokens",
        usage: { input: 1, output: 2 }
      })
      const raw = (yield* client.events("agent")).map(({ payload }) => payload)
      expect(raw).toMatchObject([
        { runId: "r1", seq: 0, stream: "lifecycle", data: { phase: "start" } },
        { seq: 1, stream: "assistant", data: { text: "hi", delta: "hi" } },
        {
          seq: 2,
          stream: "tool",
          data: { phase: "start", name: "search", toolCallId: "t1", args: { q: "x" } }
        },
        { seq: 3, stream: "tool", data: { phase: "result", result: 7 } },
        { seq: 4, stream: "thinking", data: { text: "hm" } },
        { seq: 5, stream: "lifecycle", data: { phase: "end" } }
      ])
      expect((yield* history(client)).at(-1)).toMatchObject({ stopReason: "max_tokens" })
    })
  )

  scenario("an agent that says nothing and ends: an empty final, and an empty answer in the history", () =>
    Effect.gen(function* () {
      const { agent, client } = yield* stage
      yield* send(client, "r1")
      yield* (yield* agent.next).finish
      expect(eventText(yield* client.terminal("r1"))).toBe("")
      expect(yield* settledChat(client, "r1")).toHaveLength(1)
      expect(yield* conversation(client)).toEqual(["user: message r1", "assistant: "])
    })
  )
}
