/** What the clock does to connections, and what the gateway says about itself. */
import { expect } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import { begin, send, stage } from "../Ask.js"
import { Harness, type Index, type Suite } from "../Harness.js"

export const timeSuite: Suite = (scenario) => {
  scenario("a tick every 30 s, to everybody who has shaken hands", () =>
    Effect.gen(function* () {
      const { client, harness } = yield* stage
      const writer = yield* harness.connect({ protocol: 3, scopes: ["operator.write"] })
      const tickAt = (ts: number) => (frame: { readonly type: string; readonly payload?: unknown }) =>
        frame.type === "event" && JSON.stringify(frame.payload) === JSON.stringify({ ts })
      yield* TestClock.adjust(29_999)
      yield* client.request("health")
      expect(yield* client.events("tick")).toEqual([])
      yield* TestClock.adjust(1)
      yield* client.awaitFrame(tickAt(30_000))
      yield* TestClock.adjust("30 seconds")
      for (const reader of [client, writer]) {
        yield* reader.awaitFrame(tickAt(60_000))
        expect((yield* reader.events("tick")).map(({ payload, seq }) => [payload, seq])).toEqual([
          [{ ts: 30_000 }, 1],
          [{ ts: 60_000 }, 2]
        ])
      }
    })
  )

  scenario("no connect within 10 s: close 1008; one that has connected stays", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const silent = yield* harness.open
      yield* silent.awaitFrame((frame) => frame.type === "event" && frame.event === "connect.challenge")
      yield* TestClock.adjust("5 seconds")
      const client = yield* harness.connect()
      yield* TestClock.adjust(4999)
      const late = yield* harness.open
      yield* late.awaitFrame((frame) => frame.type === "event" && frame.event === "connect.challenge")
      yield* TestClock.adjust(1)
      expect(yield* silent.closed).toEqual({ code: 1008, reason: "handshake timeout" })
      // Each has its own 10 s.
      expect((yield* late.connect()).ok).toBe(true)
      yield* TestClock.adjust("1 minute")
      expect((yield* client.request("health")).ok).toBe(true)
      expect((yield* late.request("health")).ok).toBe(true)
      expect(yield* silent.events("tick")).toEqual([])
    })
  )

  scenario("health and status say how things stand", () =>
    Effect.gen(function* () {
      const { agent, client, harness } = yield* stage
      yield* harness.connect()
      expect((yield* client.request("health")).payload).toMatchObject({ ok: true, ts: 0, durationMs: 0 })
      yield* TestClock.adjust("5 seconds")
      const status = yield* client.request("status")
      expect(status.payload).toMatchObject({
        version: expect.any(String),
        uptimeMs: 5000,
        connections: 2,
        runs: { active: 0, queued: 0, handedOff: 0 },
        sessions: { count: 0 },
        agents: { defaultId: "main", ids: ["main"] }
      })
      const first = yield* begin(client, "r1")
      yield* first.handOff
      yield* send(client, "r2")
      yield* agent.next
      yield* send(client, "r3")
      yield* send(client, "r4", "hi", { sessionKey: "other" })
      yield* agent.next
      expect((yield* client.request("status", {})).payload).toMatchObject({
        runs: { active: 2, queued: 1, handedOff: 1 },
        sessions: { count: 2 }
      })
      expect((yield* client.request("health")).payload).toMatchObject({ ok: true, sessions: { count: 2 } })
    })
  )

  scenario("health says when the sessions can't be read", () =>
    Effect.gen(function* () {
      const { client, harness } = yield* stage
      const broken: Index = JSON.parse("[]")
      yield* harness.setIndex(broken)
      expect(yield* client.request("health")).toMatchObject({
        ok: true,
        payload: { ok: false, problems: [expect.stringContaining("sessions.json")] }
      })
      expect(yield* client.request("status")).toMatchObject({ ok: false, error: { code: "UNAVAILABLE" } })
      expect(yield* send(client, "r1")).toMatchObject({ ok: false, error: { code: "UNAVAILABLE" } })
      yield* harness.setIndex({})
      expect((yield* send(client, "r1")).payload).toMatchObject({ status: "started" })
    })
  )
}
