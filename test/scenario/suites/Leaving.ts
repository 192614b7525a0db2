/** 14 and 15. Clients that go away, and a gateway that does. */
import { expect } from "@effect/vitest"
import { Clock, Duration, Effect, Fiber, TestClock } from "effect"
import { ScriptedAgent } from "../../../src/testing/ScriptedAgent.js"
import { begin, conversation, detailOf, eventText, history, postSend, send, shown, stage } from "../Ask.js"
import { Harness, type Scenario, type Suite } from "../Harness.js"

const restart = { code: 1012, reason: "service restart" }

export const leavingSuite: Suite = (scenario) => {
  /** The gateway stops without letting its runs go on first. */
  const atOnce: Scenario = (title, body) => scenario(title, body, { drainGrace: Duration.zero })

  scenario("14. a client that goes away mid-run: the run goes on, and another connection sees its end", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const agent = yield* ScriptedAgent
      const sender = yield* harness.connect()
      const watcher = yield* harness.connect()
      yield* send(sender, "r1")
      const run = yield* agent.next
      yield* run.say("one ")
      yield* shown(sender, "r1", "one ")
      yield* sender.leave
      yield* run.say("two")
      yield* TestClock.adjust(150)
      yield* shown(watcher, "r1", "one two")
      yield* run.finish
      expect(yield* watcher.terminal("r1")).toMatchObject({ state: "final" })
      // The sender comes back and asks what became of it.
      const again = yield* harness.connect()
      expect((yield* send(again, "r1")).payload).toEqual({ runId: "r1", status: "ok" })
      expect(yield* conversation(again)).toEqual(["user: message r1", "assistant: one two"])
      expect(yield* agent.runs).toHaveLength(1)
    })
  )

  scenario("14. a client that goes away while its send is being saved has sent it", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const agent = yield* ScriptedAgent
      const sender = yield* harness.connect()
      const watcher = yield* harness.connect()
      yield* harness.setSaveDelay(50)
      yield* postSend(sender, "r1")
      yield* harness.saving
      yield* sender.leave
      yield* TestClock.adjust(50)
      yield* harness.setSaveDelay(0)
      yield* (yield* agent.next).answer("hello?")
      expect(yield* watcher.terminal("r1")).toMatchObject({ state: "final" })
    })
  )

  scenario("14. one that leaves and one that sends nonsense do not disturb the others", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const agent = yield* ScriptedAgent
      const stays = yield* harness.connect()
      const leaves = yield* harness.open
      const nonsense = yield* harness.open
      yield* leaves.leave
      yield* nonsense.raw("{")
      expect(yield* nonsense.closed).toMatchObject({ code: 1008 })
      yield* send(stays, "r1")
      yield* (yield* agent.next).answer("fine")
      expect(yield* stays.terminal("r1")).toMatchObject({ state: "final" })
    })
  )

  atOnce("15. a stop with runs alive: aborted with stopReason shutdown, then shutdown, then close 1012", () =>
    Effect.gen(function* () {
      const { agent, client, harness } = yield* stage
      const watcher = yield* harness.connect({ protocol: 3 })
      const run = yield* begin(client, "r1")
      yield* run.say("half")
      yield* shown(client, "r1", "half")
      yield* send(client, "r2")
      yield* send(client, "o1", "hi", { sessionKey: "other" })
      yield* agent.next
      yield* harness.stop
      yield* run.interrupted
      for (const member of [client, watcher]) {
        expect(yield* member.closed).toEqual(restart)
        const told = (yield* member.frames).flatMap((frame) =>
          frame.type === "event" && (frame.event === "chat" || frame.event === "shutdown") ? [frame] : []
        )
        // The shutdown is the last thing said.
        expect(told.map(({ event }) => event).slice(-4)).toEqual(["chat", "chat", "chat", "shutdown"])
        expect(told.at(-1)?.payload).toMatchObject({ reason: expect.any(String) })
        for (const key of ["r1", "r2", "o1"]) {
          const ends = (yield* member.chat(key)).filter(({ state }) => state !== "delta")
          expect(ends).toMatchObject([{ state: "aborted", stopReason: "shutdown" }])
        }
        expect(eventText(yield* member.terminal("r1"))).toBe("half")
      }
      expect(yield* agent.runs).toHaveLength(2)
    })
  )

  atOnce("15. the partial answer of a run that the stop has aborted is in the transcript", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const agent = yield* ScriptedAgent
      const client = yield* harness.connect()
      yield* send(client, "r1")
      yield* (yield* agent.next).say("half")
      yield* shown(client, "r1", "half")
      const sessionId = (yield* harness.index)["agent:main:main"]?.["sessionId"]
      yield* harness.stop
      expect((yield* harness.transcript(`${String(sessionId)}.jsonl`)).at(-1)).toMatchObject({
        message: { role: "assistant", content: [{ text: "half" }], stopReason: "aborted", runId: "r1" }
      })
    })
  )

  atOnce("15. neither a stalled client nor a stubborn agent delays the stop past the grace", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const agent = yield* ScriptedAgent
      const client = yield* harness.connect()
      const stalled = yield* harness.connect()
      yield* agent.ignoreInterruption(true)
      const run = yield* begin(client, "r1")
      yield* stalled.stall
      yield* run.say("x".repeat(100_000))
      yield* client.awaitChat(({ state }) => state === "delta")
      const before = yield* Clock.currentTimeMillis
      const stopping = yield* Effect.fork(harness.stop)
      expect(yield* client.terminal("r1")).toMatchObject({ state: "aborted", stopReason: "shutdown" })
      expect(yield* client.closed).toEqual(restart)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(stopping)
      expect((yield* Clock.currentTimeMillis) - before).toBe(1000)
      yield* run.finish
    })
  )

  atOnce("15. while it stops no send is taken, and what is being saved is waited for, up to the grace", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const agent = yield* ScriptedAgent
      const client = yield* harness.connect()
      yield* send(client, "r1")
      yield* (yield* agent.next).say("half")
      yield* shown(client, "r1", "half")
      yield* harness.setSaveDelay("2 seconds")
      const stopping = yield* Effect.fork(harness.stop)
      yield* harness.saving
      const refused = yield* send(client, "r2")
      expect(refused).toMatchObject({ ok: false, error: { code: "UNAVAILABLE", retryable: true } })
      expect(detailOf(refused, "code")).toBe("SHUTTING_DOWN")
      // Those whose key is known get their answer still.
      expect((yield* send(client, "r1")).payload).toEqual({ runId: "r1", status: "aborted" })
      expect(yield* client.events("shutdown")).toEqual([])
      yield* TestClock.adjust("2 seconds")
      expect(yield* client.terminal("r1")).toMatchObject({ state: "aborted", stopReason: "shutdown" })
      expect(yield* client.closed).toEqual(restart)
      yield* Fiber.join(stopping)
    })
  )

  scenario("15. a stop lets the runs end by themselves, the waiting ones too; new sends are refused", () =>
    Effect.gen(function* () {
      const { agent, client, harness } = yield* stage
      yield* send(client, "r1")
      const first = yield* begin(client, "r2")
      const stopping = yield* Effect.fork(harness.stop)
      yield* TestClock.adjust("4 seconds")
      expect(detailOf(yield* send(client, "r3"), "code")).toBe("SHUTTING_DOWN")
      expect((yield* send(client, "r1")).payload).toEqual({ runId: "r1", status: "in_flight" })
      yield* first.answer("one")
      expect(yield* client.terminal("r1")).toMatchObject({ state: "final" })
      yield* (yield* agent.next).answer("two")
      expect(yield* client.terminal("r2")).toMatchObject({ state: "final" })
      // Nobody waits for a grace when nothing is left to wait for.
      expect(yield* client.closed).toEqual(restart)
      yield* Fiber.join(stopping)
      expect(yield* agent.runs).toHaveLength(2)
    })
  )

  scenario(
    "15. what is not over when the grace is over is ended",
    () =>
      Effect.gen(function* () {
        const { agent, client, harness } = yield* stage
        yield* send(client, "r1")
        yield* (yield* agent.next).say("half")
        yield* shown(client, "r1", "half")
        const stopping = yield* Effect.fork(harness.stop)
        yield* TestClock.adjust(9_999)
        expect((yield* send(client, "r1")).payload).toEqual({ runId: "r1", status: "in_flight" })
        yield* TestClock.adjust(1)
        expect(yield* client.terminal("r1")).toMatchObject({ state: "aborted", stopReason: "shutdown" })
        expect(yield* client.closed).toEqual(restart)
        yield* Fiber.join(stopping)
      }),
    { drainGrace: Duration.seconds(10) }
  )

  atOnce("15. a save that takes longer than the grace does not hold the stop up", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const agent = yield* ScriptedAgent
      const client = yield* harness.connect()
      yield* send(client, "r1")
      yield* (yield* agent.next).say("half")
      yield* shown(client, "r1", "half")
      yield* harness.setSaveDelay("30 seconds")
      const stopping = yield* Effect.fork(harness.stop)
      yield* harness.saving
      yield* TestClock.adjust("3 seconds")
      expect(yield* client.closed).toEqual(restart)
      yield* Fiber.join(stopping)
      expect(yield* client.events("shutdown")).toHaveLength(1)
      // Nobody was told an end that is not saved.
      expect((yield* client.chat("r1")).map(({ state }) => state)).toEqual(["delta"])
    })
  )

  atOnce("15. a handed-off run that the stop meets ends with error: nobody will hear its end", () =>
    Effect.gen(function* () {
      const { client, harness } = yield* stage
      const run = yield* begin(client, "r1")
      yield* run.handOff
      yield* run.ended
      yield* TestClock.adjust(0)
      expect(yield* history(client)).toHaveLength(1)
      yield* harness.stop
      expect(yield* client.closed).toEqual(restart)
      expect(yield* client.terminal("r1")).toMatchObject({ state: "error" })
    })
  )
}
