/** Several agents: who answers, what they are given, what of their work is shown. The numbers are those of issue 4. */
import { expect } from "@effect/vitest"
import { Duration, Effect, Fiber, Option, TestClock } from "effect"
import type { ConversationMessage, PermissionRequest } from "../../../src/agent/AgentRunner.js"
import * as AgentEvent from "../../../src/domain/AgentEvent.js"
import * as Usage from "../../../src/domain/Usage.js"
import type { ServerFrame } from "../../../src/protocol/Frame.js"
import * as ScriptedAgent from "../../../src/testing/ScriptedAgent.js"
import type { TestClient } from "../../../src/testing/TestClient.js"
import { abort, detailOf, history, send, settledChat, shown } from "../Ask.js"
import { Harness, type Suite } from "../Harness.js"

const model = { id: "m-1", provider: "acme", contextWindow: 4096, reasoning: true }
const agents = ScriptedAgent.cast({
  main: { name: "Main", model },
  coder: { kind: "acp", images: false, runTimeout: Duration.seconds(7) },
  slow: { maxConcurrentRuns: 1, model: { ...model, name: "M one" } }
})
const pixel =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="

/** Payloads of the events of that name, `agent` events of one stream only. */
const payloads = (client: TestClient, name: string, stream?: string) =>
  Effect.map(Effect.zipRight(client.request("health"), client.frames), (frames) =>
    frames.flatMap((frame: ServerFrame) => {
      if (frame.type !== "event" || frame.event !== name) return []
      const payload: Readonly<Record<string, unknown>> = Object.fromEntries(
        Object.entries(frame.payload ?? {})
      )
      return stream === undefined || payload["stream"] === stream ? [payload] : []
    })
  )

const budget = { messages: 100, bytes: 10_000, images: true }
const words = (messages: ReadonlyArray<ConversationMessage>) =>
  messages.map(
    ({ content, role }) =>
      `${role}: ${content.map((block) => (block.type === "text" ? block.text : `<${block.mimeType}>`)).join("|")}`
  )

const question: PermissionRequest = {
  title: "Remove a file?",
  toolCallId: "t1",
  args: { path: "a.txt" },
  options: [
    { id: "y", name: "Yes", kind: "allow_once" },
    { id: "n", name: "No", kind: "reject_once" }
  ],
  timeout: Duration.minutes(1)
}

export const agentSuite: Suite = (scenario) => {
  scenario(
    "1. the agent id in the key chooses; one that is not there is refused, naming those there are",
    () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const script = yield* ScriptedAgent.ScriptedAgent
        const client = yield* harness.connect()
        yield* send(client, "r1", "hi", { sessionKey: "agent:coder:x" })
        const run = yield* script.next
        expect(run.request.agentId).toBe("coder")
        yield* run.answer("done")
        expect((yield* client.terminal("r1")).state).toBe("final")
        const refused = yield* send(client, "r2", "hi", { sessionKey: "agent:typo:x" })
        expect(refused.error).toMatchObject({
          code: "INVALID_REQUEST",
          message: expect.stringMatching(/no agent typo \(agents: main, coder, slow\)/),
          details: { code: "UNKNOWN_AGENT", agentId: "typo", agents: ["main", "coder", "slow"] }
        })
        // The key is not used up, and no session was made.
        expect((yield* send(client, "r2", "hi")).payload).toMatchObject({ status: "started" })
        expect(Object.keys(yield* harness.index)).not.toContain("agent:typo:x")
        const injected = yield* client.request("chat.inject", { sessionKey: "agent:typo:x", message: "m" })
        expect(detailOf(injected, "code")).toBe("UNKNOWN_AGENT")
      }),
    { agents }
  )

  scenario(
    "9. agents.list, models.list and status say what is configured",
    () =>
      Effect.gen(function* () {
        const client = yield* Effect.flatMap(Harness, (harness) => harness.connect())
        expect((yield* client.request("agents.list", {})).payload).toEqual({
          defaultId: "main",
          mainKey: "main",
          scope: "per-sender",
          agents: [
            { id: "main", name: "Main", kind: "scripted", model: "m-1", images: true },
            { id: "coder", kind: "acp", images: false },
            { id: "slow", kind: "scripted", model: "m-1", images: true }
          ]
        })
        expect((yield* client.request("models.list")).payload).toEqual({
          models: [{ ...model, name: "m-1" }]
        })
        expect((yield* client.request("status")).payload).toMatchObject({
          agents: { defaultId: "main", ids: ["main", "coder", "slow"] }
        })
      }),
    { agents }
  )

  scenario(
    "8. an agent that can't see images is not given any, and the key is not used up",
    () =>
      Effect.gen(function* () {
        const script = yield* ScriptedAgent.ScriptedAgent
        const client = yield* Effect.flatMap(Harness, (harness) => harness.connect())
        const attachments = [{ content: pixel }]
        const refused = yield* send(client, "r1", "see", { sessionKey: "agent:coder:x", attachments })
        expect(refused.error).toMatchObject({
          code: "INVALID_REQUEST",
          details: { code: "IMAGES_NOT_SUPPORTED", agentId: "coder" }
        })
        yield* send(client, "r1", "see", { attachments })
        const { request } = yield* script.next
        expect(request.images).toMatchObject([{ mimeType: "image/png", data: pixel }])
        expect(words(yield* request.conversation(budget))).toEqual(["user: see|<image/png>"])
        expect(words(yield* request.conversation({ ...budget, images: false }))).toEqual(["user: see"])
      }),
    { agents }
  )

  scenario(
    "1. an agent has its own timeout, and its own number of runs at once, which hold up nobody else",
    () =>
      Effect.gen(function* () {
        const script = yield* ScriptedAgent.ScriptedAgent
        const client = yield* Effect.flatMap(Harness, (harness) => harness.connect())
        yield* send(client, "c1", "hi", { sessionKey: "agent:coder:x" })
        yield* send(client, "s1", "hi", { sessionKey: "agent:slow:x" })
        yield* send(client, "s2", "hi", { sessionKey: "agent:slow:y" })
        yield* send(client, "m1", "hi")
        const begun = yield* Effect.replicateEffect(script.next, 3)
        expect((yield* client.request("status")).payload).toMatchObject({ runs: { active: 3, queued: 1 } })
        expect(begun.map(({ request }) => request.runId).toSorted()).toEqual(["c1", "m1", "s1"])
        yield* TestClock.adjust("7 seconds")
        expect(yield* client.terminal("c1")).toMatchObject({ state: "aborted", stopReason: "timeout" })
        yield* abort(client, "s1", "agent:slow:x")
        expect((yield* script.next).request.runId).toBe("s2")
        expect(yield* settledChat(client, "m1")).toEqual([])
      }),
    { agents }
  )

  scenario(
    "a conversation has each answer behind its question, partial ones too, and nothing of those that wait",
    () =>
      Effect.gen(function* () {
        const script = yield* ScriptedAgent.ScriptedAgent
        const client = yield* Effect.flatMap(Harness, (harness) => harness.connect())
        for (const key of ["r1", "r2", "r3", "r4"]) yield* send(client, key)
        yield* (yield* script.next).answer("one")
        const second = yield* script.next
        yield* second.say("tw")
        yield* shown(client, "r2", "tw")
        yield* abort(client, "r2")
        const third = yield* script.next
        expect(words(yield* third.request.conversation(budget))).toEqual([
          "user: message r1",
          "assistant: one",
          "user: message r2",
          "assistant: tw",
          "user: message r3"
        ])
        // Whole turns, the newest that fit.
        expect(words(yield* third.request.conversation({ ...budget, messages: 4 }))).toEqual([
          "user: message r2",
          "assistant: tw",
          "user: message r3"
        ])
        expect(words(yield* third.request.conversation({ ...budget, bytes: 1 }))).toEqual([
          "user: message r3"
        ])
        yield* third.fail("overloaded")
        const fourth = yield* script.next
        // A question without an answer and the next one are one message: roles alternate.
        expect(words(yield* fourth.request.conversation(budget)).at(-1)).toBe("user: message r3|message r4")
      })
  )

  scenario(
    "2. tokens and stop reason are in the terminal event, the transcript and the session's entry",
    () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const script = yield* ScriptedAgent.ScriptedAgent
        const client = yield* harness.connect()
        const usage = Usage.make({ input: 10, output: 5, cacheRead: 100 })
        yield* send(client, "r1")
        const first = yield* script.next
        yield* first.say("cut off by the mo")
        yield* first.emit(AgentEvent.end({ stopReason: "length", usage }))
        expect(yield* client.terminal("r1")).toMatchObject({ state: "final", stopReason: "length", usage })
        expect((yield* harness.index)["agent:main:main"]).toMatchObject({
          inputTokens: 110,
          outputTokens: 5,
          totalTokens: 115,
          stopReason: "length",
          abortedLastRun: false
        })
        // What is known of an answer that does not end is kept with its partial text.
        yield* send(client, "r2")
        const second = yield* script.next
        const soFar = Usage.make({ input: 20, output: 1 })
        yield* second.emit({ _tag: "UsageSoFar", usage: soFar })
        yield* second.say("par")
        yield* shown(client, "r2", "par")
        yield* abort(client)
        yield* client.terminal("r2")
        expect((yield* harness.index)["agent:main:main"]).toMatchObject({
          totalTokens: 21,
          stopReason: "rpc",
          abortedLastRun: true
        })
        const { payload } = yield* client.request("chat.history", { sessionKey: "main", limit: 1 })
        expect(payload).toMatchObject({ messages: [{ stopReason: "aborted", usage: soFar }] })
      })
  )

  scenario("7. tool events as the session's verboseLevel says", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const script = yield* ScriptedAgent.ScriptedAgent
      const long = "x".repeat(20_000)
      yield* harness.setIndex({
        "agent:main:off": { sessionId: "s1", updatedAt: 1, verboseLevel: "off" },
        "agent:main:full": { sessionId: "s2", updatedAt: 1, verboseLevel: "full" }
      })
      const client = yield* harness.connect()
      const call = { name: "read", toolCallId: "t1" }
      const seen = (sessionKey: string) =>
        Effect.gen(function* () {
          yield* send(client, sessionKey, "go", { sessionKey })
          const run = yield* script.next
          yield* run.emit(AgentEvent.tool({ ...call, phase: "start", args: { path: "a" } }))
          yield* run.emit(AgentEvent.tool({ ...call, phase: "result", result: long, isError: true }))
          yield* run.answer("ok")
          yield* client.terminal(sessionKey)
          return (yield* payloads(client, "agent", "tool"))
            .filter(({ runId }) => runId === sessionKey)
            .map(({ data }) => data)
        })
      const start = { ...call, phase: "start", args: { path: "a" } }
      const result = { ...call, phase: "result", isError: true }
      expect(yield* seen("off")).toEqual([])
      expect(yield* seen("on")).toEqual([start, { ...result, result: `${long.slice(0, 8192)}…` }])
      expect(yield* seen("full")).toEqual([start, { ...result, result: long }])
    })
  )

  scenario("7. what the agent thinks is shown in batches, in its place, and is no part of the answer", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedAgent.ScriptedAgent
      const client = yield* Effect.flatMap(Harness, (harness) => harness.connect())
      yield* send(client, "r1", "think", { thinking: "high" })
      const run = yield* script.next
      expect(run.request.thinking).toBe("high")
      for (const word of ["let ", "me ", "see"]) yield* run.emit(AgentEvent.thinking(word))
      const thoughts = Effect.map(payloads(client, "agent", "thinking"), (all) => all.map(({ data }) => data))
      yield* client.awaitFrame(
        (frame) => frame.type === "event" && JSON.stringify(frame.payload).includes('"thinking"')
      )
      expect(yield* thoughts).toEqual([{ delta: "let " }])
      yield* TestClock.adjust("1 second")
      expect(yield* thoughts).toEqual([{ delta: "let " }, { delta: "me see" }])
      yield* run.emit(AgentEvent.thinking(". So"))
      yield* run.answer("42")
      yield* client.terminal("r1")
      expect(yield* thoughts).toEqual([{ delta: "let " }, { delta: "me see" }, { delta: ". So" }])
      expect((yield* history(client)).at(-1)?.content).toEqual([{ type: "text", text: "42" }])
    })
  )

  scenario("6. an error has its code, and the partial text is kept and marked", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedAgent.ScriptedAgent
      const client = yield* Effect.flatMap(Harness, (harness) => harness.connect())
      yield* send(client, "r1")
      const run = yield* script.next
      yield* run.say("half an ans")
      yield* run.emit(AgentEvent.failed("the provider has hung up", { code: "STREAM_CUT" }))
      expect(yield* client.terminal("r1")).toMatchObject({
        state: "error",
        errorMessage: "the provider has hung up",
        details: { code: "STREAM_CUT" },
        message: { content: [{ text: "half an ans" }] }
      })
      expect((yield* history(client)).at(-1)).toMatchObject({
        role: "assistant",
        stopReason: "error",
        errorMessage: "the provider has hung up"
      })
      const again = yield* send(client, "r1")
      expect(again.error).toMatchObject({ code: "UNAVAILABLE", details: { code: "STREAM_CUT" } })
    })
  )

  scenario("3. a client answers an agent's question, the first answer counts, and everybody is told", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const script = yield* ScriptedAgent.ScriptedAgent
      const client = yield* harness.connect()
      const other = yield* harness.connect({ scopes: ["operator.read"] })
      yield* send(client, "r1")
      const run = yield* script.next
      const answer = yield* Effect.fork(run.request.ask(question))
      yield* client.awaitFrame((frame) => frame.type === "event" && frame.event === "permission.requested")
      const [asked] = yield* payloads(other, "permission.requested")
      expect(asked).toMatchObject({
        runId: "r1",
        sessionKey: "main",
        agentId: "main",
        title: "Remove a file?",
        toolCallId: "t1",
        args: { path: "a.txt" },
        options: question.options,
        expiresAtMs: 60_000
      })
      const id = asked?.["id"]
      const resolve = (by: TestClient, optionId: string) => by.request("permission.resolve", { id, optionId })
      expect((yield* client.request("permission.list", { sessionKey: "main" })).payload).toMatchObject({
        permissions: [{ id, args: { path: "a.txt" } }]
      })
      expect((yield* client.request("permission.list", { sessionKey: "x" })).payload).toEqual({
        permissions: []
      })
      expect(detailOf(yield* resolve(client, "maybe"), "options")).toEqual(["y", "n"])
      expect(detailOf(yield* resolve(other, "y"), "code")).toBe("FORBIDDEN")
      expect((yield* resolve(client, "y")).payload).toEqual({ ok: true, id, optionId: "y" })
      expect(detailOf(yield* resolve(client, "n"), "code")).toBe("UNKNOWN_PERMISSION")
      expect(yield* Fiber.join(answer)).toEqual(Option.some(question.options[0]))
      expect(yield* payloads(other, "permission.resolved")).toMatchObject([
        { id, runId: "r1", outcome: "answered", optionId: "y", optionKind: "allow_once" }
      ])
      expect((yield* client.request("permission.list")).payload).toEqual({ permissions: [] })
    })
  )

  scenario(
    "3. a question that nobody answers expires; an abort takes it back before the run's end is told",
    () =>
      Effect.gen(function* () {
        const script = yield* ScriptedAgent.ScriptedAgent
        const client = yield* Effect.flatMap(Harness, (harness) => harness.connect())
        yield* send(client, "r1")
        const run = yield* script.next
        const first = yield* Effect.fork(run.request.ask(question))
        yield* client.awaitFrame((frame) => frame.type === "event" && frame.event === "permission.requested")
        yield* TestClock.adjust("1 minute")
        expect(yield* Fiber.join(first)).toEqual(Option.none())
        yield* Effect.fork(run.request.ask(question))
        yield* Effect.yieldNow()
        yield* abort(client)
        yield* client.terminal("r1")
        expect((yield* payloads(client, "permission.resolved")).map(({ outcome }) => outcome)).toEqual([
          "expired",
          "withdrawn"
        ])
        const order = (yield* client.frames).flatMap((frame) => (frame.type === "event" ? [frame.event] : []))
        expect(order.lastIndexOf("permission.resolved")).toBeLessThan(order.lastIndexOf("chat"))
        expect((yield* client.request("permission.list")).payload).toEqual({ permissions: [] })
      })
  )
}
