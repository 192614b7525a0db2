/** Clients that come back and ask for what they missed. */
import { expect } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import type { EventFrame, ServerFrame } from "../../../src/protocol/Frame.js"
import { ScriptedAgent } from "../../../src/testing/ScriptedAgent.js"
import { helloOf, type TestClient } from "../../../src/testing/TestClient.js"
import { eventText, send, shown } from "../Ask.js"
import { Harness, type Suite } from "../Harness.js"

const caps = ["resume"]

const fieldOf = (frame: ServerFrame | undefined, field: string): unknown =>
  typeof frame?.payload === "object" && frame.payload !== null
    ? new Map(Object.entries(frame.payload)).get(field)
    : undefined
const isReset = (frame: ServerFrame): frame is EventFrame =>
  frame.type === "event" && frame.event === "resume.reset"

/** Puts a message into a session and waits until the client is shown it: whatever was to come before has come. */
const mark = (client: TestClient, by: TestClient, sessionKey = "main") =>
  Effect.gen(function* () {
    const { payload } = yield* by.request("chat.inject", { sessionKey, message: "mark" })
    const messageId = new Map(Object.entries(payload ?? {})).get("messageId")
    yield* client.terminal(`inject-${String(messageId)}`)
  })

/** What was shown of chats, in order, but for the marks. */
const shownTo = (client: TestClient) =>
  Effect.map(client.chat(), (events) =>
    events
      .filter(({ runId }) => !runId.startsWith("inject-"))
      .map((event) => {
        const text = eventText(event) ?? (event.state === "delta" ? event.deltaText : undefined)
        return `${event.runId} ${event.state} ${text ?? ""}`
      })
  )

export const resumeSuite: Suite = (scenario) => {
  scenario("who comes back during a run gets the text so far, whole, then what comes, then the end", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const agent = yield* ScriptedAgent
      const stays = yield* harness.connect()
      const leaves = yield* harness.connect({ caps })
      yield* send(stays, "r1")
      const run = yield* agent.next
      yield* run.say("one ")
      yield* shown(leaves, "r1", "one ")
      yield* leaves.leave
      const resume = yield* leaves.position
      for (const [word, text] of [
        ["two ", "one two "],
        ["three ", "one two three "]
      ] as const) {
        yield* run.say(word)
        yield* TestClock.adjust(150)
        yield* shown(stays, "r1", text)
      }
      const back = yield* harness.connect({ caps, resume })
      const only = yield* harness.connect({ caps: [...caps, "delta-only"], resume })
      const third = yield* harness.connect({ protocol: 3, caps, resume })
      // While it catches up it is served as usual.
      expect((yield* back.request("health")).ok).toBe(true)
      yield* shown(back, "r1", "one two three ")
      yield* only.awaitChat((event) => event.state === "delta" && event.replace === true)
      yield* shown(third, "r1", "one two three ")
      yield* run.say("four")
      yield* TestClock.adjust(150)
      yield* shown(back, "r1", "one two three four")
      yield* only.awaitChat((event) => event.state === "delta" && event.deltaText === "four")
      yield* run.finish
      for (const client of [stays, back, only, third]) yield* client.terminal("r1")
      expect(yield* shownTo(back)).toEqual([
        "r1 delta one two three ",
        "r1 delta one two three four",
        "r1 final one two three four"
      ])
      expect(yield* shownTo(only)).toEqual([
        "r1 delta one two three ",
        "r1 delta four",
        "r1 final one two three four"
      ])
      expect(yield* third.chat("r1")).toMatchObject([{ pos: expect.any(Number) }, {}, {}])
      expect((yield* back.frames).filter(isReset)).toEqual([])
    })
  )

  scenario("an end that was missed is told, once; who comes back again is not told again", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const agent = yield* ScriptedAgent
      const stays = yield* harness.connect()
      const leaves = yield* harness.connect({ caps })
      yield* send(stays, "r1")
      const run = yield* agent.next
      yield* run.say("half")
      yield* shown(leaves, "r1", "half")
      yield* leaves.leave
      yield* run.answer(" and half")
      yield* stays.terminal("r1")
      yield* send(stays, "r2", "hi", { sessionKey: "other" })
      yield* Effect.flatMap(agent.next, ({ fail }) => fail("no"))
      yield* stays.terminal("r2")

      const back = yield* harness.connect({ caps, resume: yield* leaves.position })
      yield* mark(back, stays)
      expect(yield* shownTo(back)).toEqual(["r1 final half and half", "r2 error "])
      yield* back.leave
      const again = yield* harness.connect({ caps, resume: yield* back.position })
      yield* mark(again, stays)
      expect(yield* shownTo(again)).toEqual([])
    })
  )

  scenario("hello-ok says where the events of a connection begin; who does not ask gets no older ones", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const agent = yield* ScriptedAgent
      const first = yield* harness.connect({ caps })
      const start = yield* first.position
      yield* send(first, "r1")
      yield* Effect.flatMap(agent.next, ({ answer }) => answer("done"))
      yield* first.terminal("r1")
      const { epoch, pos } = yield* first.position
      expect(epoch).toBe(start.epoch)
      expect(pos).toBeGreaterThan(start.pos)
      const fresh = [yield* harness.open, yield* harness.open]
      for (const [at, client] of fresh.entries()) {
        const hello = helloOf(yield* client.connect({ protocol: at === 0 ? 3 : 4 }))
        expect(hello?.resume).toEqual({ epoch, pos })
      }
      for (const client of fresh) {
        yield* mark(client, first)
        expect(yield* shownTo(client)).toEqual([])
        expect((yield* client.frames).filter(isReset)).toEqual([])
      }
    })
  )

  scenario("without the cap a client is resumed too, and its events have no pos", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const agent = yield* ScriptedAgent
      const first = yield* harness.connect()
      const resume = yield* first.position
      yield* first.leave
      const stays = yield* harness.connect()
      yield* send(stays, "r1")
      yield* Effect.flatMap(agent.next, ({ answer }) => answer("done"))
      yield* stays.terminal("r1")
      // The client checks that there is none.
      const back = yield* harness.connect({ resume })
      yield* back.terminal("r1")
      expect((yield* shownTo(back)).at(-1)).toBe("r1 final done")
    })
  )

  scenario(
    "who was away for too long is told so, with what to reload, and gets the ends that are kept",
    () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const agent = yield* ScriptedAgent
        const leaves = yield* harness.connect({ caps })
        const stays = yield* harness.connect()
        yield* leaves.leave
        for (const key of ["r1", "r2", "r3"]) {
          yield* send(stays, key)
          yield* Effect.flatMap(agent.next, ({ answer }) => answer(`a-${key}`))
          yield* stays.terminal(key)
        }
        const resume = yield* leaves.position
        const back = yield* harness.connect({ caps, resume })
        yield* mark(back, stays)
        const events = (yield* back.frames).flatMap((frame) =>
          frame.type === "event" && frame.seq !== undefined ? [frame] : []
        )
        expect(events[0]).toMatchObject({
          event: "resume.reset",
          seq: 1,
          payload: {
            reason: "expired",
            epoch: resume.epoch,
            pos: resume.pos,
            reload: ["chat.history", "permission.list"]
          }
        })
        expect(events.filter(isReset)).toHaveLength(1)
        expect((yield* shownTo(back)).slice(-2)).toEqual(["r2 final a-r2", "r3 final a-r3"])
        // What it is told to reload has the rest.
        expect(yield* back.request("chat.history", { sessionKey: "main" })).toMatchObject({
          payload: { messages: { length: 7 } }
        })
        // From here on it has missed nothing.
        yield* back.leave
        const again = yield* harness.connect({ caps, resume: yield* back.position })
        yield* mark(again, stays)
        expect((yield* again.frames).filter(isReset)).toEqual([])
      }),
    { replayMaxEvents: 5 }
  )

  scenario("who comes from another life of the gateway is told so, and gets all of this one", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const agent = yield* ScriptedAgent
      const stays = yield* harness.connect({ caps })
      const { epoch } = yield* stays.position
      yield* send(stays, "r1")
      yield* Effect.flatMap(agent.next, ({ answer }) => answer("done"))
      yield* stays.terminal("r1")
      const back = yield* harness.connect({ caps, resume: { epoch: "an older life", pos: 1_000_000 } })
      yield* back.terminal("r1")
      expect((yield* back.frames).filter(isReset).map(({ payload }) => payload)).toEqual([
        { reason: "epoch", epoch, pos: 0, reload: ["chat.history", "permission.list"] }
      ])
      expect(yield* back.position).toEqual(yield* stays.position)
      const agentEvents = yield* back.events("agent")
      expect(agentEvents.map((frame) => fieldOf(frame, "stream"))).toContain("assistant")
    })
  )

  scenario("who may not read gets no chat events, and is resumed without harm", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const agent = yield* ScriptedAgent
      const blind = yield* harness.connect({ caps, scopes: ["operator.write"] })
      const stays = yield* harness.connect({ caps })
      yield* blind.leave
      yield* send(stays, "r1")
      yield* Effect.flatMap(agent.next, ({ answer }) => answer("secret"))
      yield* stays.terminal("r1")
      const resume = yield* blind.position
      const back = yield* harness.connect({ caps, scopes: ["operator.write"], resume })
      expect((yield* send(back, "r1")).ok).toBe(true)
      yield* TestClock.adjust("30 seconds")
      const tick = yield* back.awaitFrame((frame) => frame.type === "event" && frame.event === "tick")
      // How much happens that it may not read can't be told from its positions.
      expect(fieldOf(tick, "pos")).toBe(0)
      expect(yield* back.chat()).toEqual([])
      expect(yield* back.events("agent")).toEqual([])
      expect(yield* back.position).toEqual(yield* blind.position)
    })
  )

  scenario("ticks and the shutdown say up to where a connection has been told everything", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const agent = yield* ScriptedAgent
      const client = yield* harness.connect({ caps })
      const isTick = (frame: ServerFrame) => frame.type === "event" && frame.event === "tick"
      yield* TestClock.adjust("30 seconds")
      expect(fieldOf(yield* client.awaitFrame(isTick), "pos")).toBe(0)
      yield* send(client, "r1")
      yield* Effect.flatMap(agent.next, ({ answer }) => answer("done"))
      yield* client.terminal("r1")
      const { pos } = yield* client.position
      yield* TestClock.adjust("30 seconds")
      yield* client.awaitFrame((frame) => isTick(frame) && fieldOf(frame, "pos") === pos)
      yield* harness.stop
      yield* client.closed
      expect(fieldOf((yield* client.events("shutdown"))[0], "pos")).toBe(pos)
    })
  )

  scenario("a client that stalled and was cut off gets what its socket had not taken", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const agent = yield* ScriptedAgent
      const stays = yield* harness.connect()
      const stalls = yield* harness.connect({ caps })
      yield* send(stays, "r0")
      yield* Effect.flatMap(agent.next, ({ answer }) => answer("read"))
      yield* stalls.terminal("r0")
      yield* stalls.stall
      for (const key of ["r1", "r2", "r3"]) {
        yield* send(stays, key)
        yield* Effect.flatMap(agent.next, ({ answer }) => answer(`${key} `.repeat(20_000)))
        yield* stays.terminal(key)
      }
      yield* stalls.leave
      const back = yield* harness.connect({ caps, resume: yield* stalls.position })
      yield* mark(back, stays)
      const ends = (yield* back.chat()).filter(({ state }) => state === "final")
      expect(ends.slice(0, 3).map((event) => [event.runId, eventText(event)?.length])).toEqual(
        ["r1", "r2", "r3"].map((key) => [key, 60_000])
      )
    })
  )

  scenario("a resume that can't be read is refused", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const client = yield* harness.open
      expect(yield* client.connect({ resume: { epoch: "e", pos: -1 } })).toMatchObject({
        ok: false,
        error: { code: "INVALID_REQUEST" }
      })
      expect(yield* client.closed).toMatchObject({ code: 1008 })
    })
  )
}
