/** Several tabs and people who list the same sessions: `sessions.changed`. */
import { expect } from "@effect/vitest"
import { Effect, Schema, TestClock } from "effect"
import * as Event from "../../../src/protocol/Event.js"
import type { TestClient } from "../../../src/testing/TestClient.js"
import { begin, conversation, postSend, send, stage } from "../Ask.js"
import { Harness, type Suite } from "../Harness.js"

const caps = ["resume", "sessions"]
const main = "agent:main:main"
const other = "agent:main:other"

const decode = Schema.decodeUnknown(Event.events["sessions.changed"].payload)

/** What a client was told of sessions, as `<reason> <key> <runId>`. */
const told = (client: TestClient) =>
  Effect.flatMap(client.events("sessions.changed"), (events) =>
    Effect.forEach(events, ({ payload }) =>
      Effect.map(decode(payload), ({ reason, runId, sessionKey }) =>
        [reason, sessionKey, ...(runId === undefined ? [] : [runId])].join(" ")
      )
    )
  )

/** The same, when everything that happened before has been told. */
const toldBy = (client: TestClient, by: TestClient) =>
  Effect.zipRight(
    mark(by, [client]),
    Effect.map(told(client), (all) => all.slice(0, -1))
  )

/** Puts a message into a session and waits until it was shown to those. */
const mark = (by: TestClient, clients: ReadonlyArray<TestClient>) =>
  Effect.gen(function* () {
    const { payload } = yield* by.request("chat.inject", { sessionKey: "marks", message: "mark" })
    const messageId = new Map(Object.entries(payload ?? {})).get("messageId")
    yield* Effect.forEach(clients, (client) => client.terminal(`inject-${String(messageId)}`))
  })

const resets = (client: TestClient) =>
  Effect.map(client.events("resume.reset"), (events) => events.map(({ payload }) => payload))

export const sessionEventSuite: Suite = (scenario) => {
  scenario("what anybody does to a session is told to all who asked for it, and to nobody else", () =>
    Effect.gen(function* () {
      const { agent, client: old, harness } = yield* stage
      const tab = yield* harness.connect({ caps })
      const second = yield* harness.connect({ caps: ["sessions"], protocol: 3 })
      yield* send(old, "r1")
      yield* Effect.flatMap(agent.next, ({ answer }) => answer("done"))
      yield* send(tab, "r2", "hi", { sessionKey: "OTHER" })
      yield* Effect.flatMap(agent.next, ({ answer }) => answer("done"))
      yield* second.terminal("r2")
      yield* old.request("sessions.patch", { key: "main", label: "Home" })
      yield* tab.request("sessions.reset", { key: "main" })
      yield* second.request("chat.inject", { sessionKey: "other", message: "note" })
      yield* old.request("sessions.delete", { key: "other" })
      const all = [
        `message ${main} r1`,
        `message ${other} r2`,
        `patch ${main}`,
        `reset ${main}`,
        `inject ${other}`,
        `delete ${other}`
      ]
      expect(yield* toldBy(tab, old)).toEqual(all)
      expect(yield* toldBy(second, old)).toEqual([...all, "inject agent:main:marks"])
      expect(yield* told(old)).toEqual([])
      // What it was sent is numbered without holes: the client has looked.
      expect((yield* old.chat("r2")).at(-1)).toMatchObject({ state: "final" })
    })
  )

  scenario("a message is told when it is durable, and before its run begins", () =>
    Effect.gen(function* () {
      const { agent, client, harness } = yield* stage
      const tab = yield* harness.connect({ caps })
      yield* harness.setSaveDelay("100 millis")
      const sent = yield* postSend(client, "r1")
      yield* harness.saving
      yield* tab.request("health")
      expect(yield* told(tab)).toEqual([])
      yield* harness.setSaveDelay(0)
      yield* TestClock.adjust("100 millis")
      yield* tab.awaitFrame((frame) => frame.type === "event" && frame.event === "sessions.changed")
      expect(yield* conversation(tab)).toEqual(["user: message r1"])
      yield* client.response(sent)
      yield* Effect.flatMap(agent.next, ({ answer }) => answer("done"))
      yield* tab.terminal("r1")
      const events = (yield* tab.frames).flatMap((frame) =>
        frame.type === "event" && frame.seq !== undefined ? [frame.event] : []
      )
      expect(events.indexOf("sessions.changed")).toBe(0)
      expect(events.filter((name) => name === "sessions.changed")).toHaveLength(1)
    })
  )

  scenario("what changes nothing is not told", () =>
    Effect.gen(function* () {
      const { client, harness } = yield* stage
      const tab = yield* harness.connect({ caps })
      const run = yield* begin(client, "r1")
      yield* send(client, "r1")
      yield* client.request("sessions.patch", { key: "main", label: 1 })
      yield* client.request("sessions.patch", { key: "main", label: "x", expectedSessionId: "another" })
      yield* client.request("sessions.delete", { key: "main" })
      yield* client.request("sessions.delete", { key: "nobody" })
      yield* client.request("sessions.reset", { key: "agent:nobody:x" })
      yield* harness.failWrites("journal", 1)
      expect((yield* send(client, "r2", "hi", { sessionKey: "other" })).ok).toBe(false)
      yield* run.answer("done")
      yield* client.terminal("r1")
      expect(yield* toldBy(tab, client)).toEqual([`message ${main} r1`])
    })
  )

  scenario("who comes back is told the newest of each kind in each session", () =>
    Effect.gen(function* () {
      const { agent, client, harness } = yield* stage
      const leaves = yield* harness.connect({ caps })
      yield* leaves.leave
      for (const key of ["r1", "r2"]) {
        yield* send(client, key)
        yield* Effect.flatMap(agent.next, ({ answer }) => answer("done"))
        yield* client.terminal(key)
      }
      yield* client.request("sessions.patch", { key: "main", label: "A" })
      yield* client.request("sessions.patch", { key: "other", label: "B" })
      yield* client.request("sessions.patch", { key: "main", label: "C" })
      const resume = yield* leaves.position
      const back = yield* harness.connect({ caps, resume })
      const old = yield* harness.connect({ caps: ["resume"], resume })
      yield* mark(client, [back, old])
      expect((yield* told(back)).slice(0, -1)).toEqual([
        `message ${main} r2`,
        `patch ${other}`,
        `patch ${main}`
      ])
      expect(yield* told(old)).toEqual([])
      const ends = Effect.map(back.chat(), (events) => events.map(({ runId }) => runId).slice(0, -1))
      expect([...new Set(yield* ends)]).toEqual(["r1", "r2"])
      // Before its run.
      const order = (yield* back.frames).flatMap((frame) =>
        JSON.stringify(frame).includes('"r2"') && frame.type === "event" ? [frame.event] : []
      )
      expect(order[0]).toBe("sessions.changed")
      expect([...(yield* resets(back)), ...(yield* resets(old))]).toEqual([])
      // Both are where everybody is.
      expect(yield* old.position).toEqual(yield* back.position)
      yield* back.leave
      const again = yield* harness.connect({ caps, resume: yield* back.position })
      expect(yield* toldBy(again, client)).toEqual([])
    })
  )

  scenario(
    "when too much was done to sessions, those who asked for it are told to reload; the others have missed nothing",
    () =>
      Effect.gen(function* () {
        const { client, harness } = yield* stage
        const leaves = yield* harness.connect({ caps })
        yield* leaves.leave
        for (const key of ["a", "b", "c"]) yield* client.request("sessions.patch", { key, label: "x" })
        const resume = yield* leaves.position
        const back = yield* harness.connect({ caps, resume })
        const old = yield* harness.connect({ caps: ["resume"], resume })
        yield* mark(client, [back, old])
        expect(yield* resets(back)).toEqual([
          { reason: "expired", ...resume, reload: ["chat.history", "permission.list", "sessions.list"] }
        ])
        expect((yield* told(back)).slice(0, -1)).toEqual(["patch agent:main:b", "patch agent:main:c"])
        expect(yield* resets(old)).toEqual([])
        // From here on it has missed nothing.
        yield* back.leave
        const again = yield* harness.connect({ caps, resume: yield* back.position })
        yield* mark(client, [again])
        expect(yield* resets(again)).toEqual([])
      }),
    { replayMaxEvents: 8 }
  )

  scenario("who comes from another life reloads the sessions, too, if it asked for them", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const resume = { epoch: "an older life", pos: 7 }
      const tab = yield* harness.connect({ caps, resume })
      const old = yield* harness.connect({ caps: ["resume"], resume })
      yield* mark(old, [tab, old])
      expect(yield* resets(tab)).toMatchObject([
        { reason: "epoch", reload: ["chat.history", "permission.list", "sessions.list"] }
      ])
      expect(yield* resets(old)).toMatchObject([
        { reason: "epoch", reload: ["chat.history", "permission.list"] }
      ])
    })
  )
}
