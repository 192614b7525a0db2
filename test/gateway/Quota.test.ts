/** How much a principal may ask for: per second, at once, and in how many connections and runs. */
import { describe, expect, it } from "@effect/vitest"
import { Clock, Effect, FastCheck as fc, Layer, TestClock } from "effect"
import * as Principal from "../../src/auth/Principal.js"
import * as Peer from "../../src/domain/Peer.js"
import type { RateLimited } from "../../src/domain/RequestError.js"
import { Gateway } from "../../src/gateway/Gateway.js"
import * as Quota from "../../src/gateway/Quota.js"
import * as GatewayConfig from "../../src/GatewayConfig.js"
import * as SessionStoreMemory from "../../src/session/SessionStoreMemory.js"
import * as GatewayTest from "../../src/testing/GatewayTest.js"
import { ScriptedAgent } from "../../src/testing/ScriptedAgent.js"
import * as World from "../access/World.js"
import * as FakeSink from "../support/FakeSink.js"

const quota = (config: Partial<GatewayConfig.GatewayConfigShape>) =>
  Layer.provide(Quota.layer, GatewayConfig.layer(config))
const rest = TestClock.adjust(0)

describe("Quota", () => {
  it.effect("four seconds' worth may come at once, then as many as there are in a second", () =>
    Effect.gen(function* () {
      const { unsafeTake } = yield* Quota.Quota
      const taken = (count: number) =>
        Array.from({ length: count }, () => unsafeTake("a", 0)).filter((limited) => limited === undefined)
      expect(taken(100)).toHaveLength(40)
      yield* TestClock.adjust("1 second")
      expect(taken(100)).toHaveLength(10)
      yield* TestClock.adjust("1 hour")
      expect(taken(100)).toHaveLength(40)
    }).pipe(Effect.provide(quota({ requestsPerSecond: 10 })))
  )

  it.effect("what is larger than the rest is taken, and owed", () =>
    Effect.gen(function* () {
      const { unsafeTake } = yield* Quota.Quota
      expect(unsafeTake("a", 3999)).toBeUndefined()
      expect(unsafeTake("a", 10_000)).toBeUndefined()
      expect(unsafeTake("a", 0)).toMatchObject({ what: "bytes", limit: 1000, retryAfterMs: 10_000 })
      yield* TestClock.adjust(9_999)
      expect(unsafeTake("a", 0)).toMatchObject({ retryAfterMs: 1 })
      yield* TestClock.adjust(1)
      expect(unsafeTake("a", 0)).toBeUndefined()
    }).pipe(Effect.provide(quota({ bytesPerSecond: 1000 })))
  )

  it.effect("what is refused costs nothing, and a principal pays for itself alone", () =>
    Effect.gen(function* () {
      const { unsafeTake } = yield* Quota.Quota
      const take = (principal: string) => unsafeTake(principal, 1)?.retryAfterMs
      for (let at = 0; at < 4; at++) expect(take("a")).toBeUndefined()
      for (let at = 0; at < 1000; at++) expect(take("a")).toBe(1000)
      expect(take("b")).toBeUndefined()
      yield* TestClock.adjust("1 second")
      expect(take("a")).toBeUndefined()
    }).pipe(Effect.provide(quota({ requestsPerSecond: 1 })))
  )

  it("after exactly the time that was told it is taken, and not before", () => {
    const step = fc.record({ wait: fc.nat(2000), requests: fc.nat(30), bytes: fc.nat(5000) })
    const rates = fc.record({
      requestsPerSecond: fc.integer({ min: 1, max: 3000 }),
      bytesPerSecond: fc.integer({ min: 1, max: 100_000 })
    })
    fc.assert(
      fc.property(rates, fc.array(step, { minLength: 1, maxLength: 8 }), (config, steps) => {
        let now = 1_750_000_000_000
        const clock = { ...Clock.make(), unsafeCurrentTimeMillis: () => now }
        const { unsafeTake } = Effect.runSync(
          Effect.withClock(Effect.provide(Quota.Quota, quota(config)), clock)
        )
        for (const { bytes, requests, wait } of steps) {
          now += wait
          let limited: RateLimited | undefined
          for (let at = 0; at < requests; at++) limited ??= unsafeTake("a", bytes)
          if (limited === undefined) continue
          now += limited.retryAfterMs - 1
          expect(unsafeTake("a", bytes)).toMatchObject({ retryAfterMs: 1 })
          now += 1
          expect(unsafeTake("a", bytes)).toBeUndefined()
        }
      }),
      { numRuns: 500 }
    )
  })

  it.effect("whoever asks stays known, however many others come", () =>
    Effect.gen(function* () {
      const { unsafeTake } = yield* Quota.Quota
      for (let at = 0; at < 4; at++) unsafeTake("a", 0)
      for (let at = 0; at < 30_000; at++) {
        unsafeTake(`p${at}`, 0)
        if (at % 5000 === 0) expect(unsafeTake("a", 0)).toMatchObject({ retryAfterMs: 1000 })
      }
    }).pipe(Effect.provide(quota({ requestsPerSecond: 1 })))
  )
})

const principals = {
  alice: World.principal("alice", ["agent:main:alice:*"]),
  bob: World.principal("bob", ["agent:main:bob:*"]),
  boss: Principal.owner
}
const gateway = (config: Partial<GatewayConfig.GatewayConfigShape>) =>
  GatewayTest.layer({ principals, config })
const limited = (what: "requests" | "bytes", limit: number, retryAfterMs: number) => ({
  ok: false,
  error: {
    code: "UNAVAILABLE",
    message: `too many ${what} per second (${limit} are allowed)`,
    details: { code: "RATE_LIMITED", what, limit },
    retryable: true,
    retryAfterMs
  }
})

describe("limits, over connections", () => {
  it.effect("two connections of one principal share its quota; another one has its own", () =>
    Effect.gen(function* () {
      const test = yield* GatewayTest.GatewayTest
      const [one, two] = [yield* test.connect({ token: "alice" }), yield* test.connect({ token: "alice" })]
      const bob = yield* test.connect({ token: "bob" })
      for (let at = 0; at < 4; at++) {
        expect((yield* (at % 2 === 0 ? one : two).request("health")).ok).toBe(true)
      }
      for (const client of [one, two]) {
        expect(yield* client.request("health")).toMatchObject(limited("requests", 1, 1000))
      }
      expect((yield* bob.request("health")).ok).toBe(true)
      yield* TestClock.adjust("1 second")
      expect((yield* one.request("health")).ok).toBe(true)
      expect((yield* two.request("health")).ok).toBe(false)
      // Coming anew is no way around it.
      yield* one.leave
      const back = yield* test.connect({ token: "alice" })
      expect(yield* back.request("health")).toMatchObject(limited("requests", 1, 1000))
    }).pipe(Effect.provide(gateway({ requestsPerSecond: 1 })))
  )

  it.effect("bytes are counted, too, whatever they say", () =>
    Effect.gen(function* () {
      const client = yield* (yield* GatewayTest.GatewayTest).connect({ token: "alice" })
      yield* client.raw("x".repeat(8_000))
      expect(yield* client.request("health")).toMatchObject(limited("bytes", 1000, 4001))
      yield* TestClock.adjust(4001)
      expect((yield* client.request("health")).ok).toBe(true)
    }).pipe(Effect.provide(gateway({ bytesPerSecond: 1000 })))
  )

  it.effect("whoever goes on all the same is read from more slowly, and is answered each time", () =>
    Effect.gen(function* () {
      const sink = FakeSink.make()
      const connection = yield* (yield* Gateway).open(sink, Peer.inProcess)
      const request = (id: string, method: string, params: object = {}) =>
        connection.receive(JSON.stringify({ type: "req", id, method, params }))
      request("c", "connect", {
        minProtocol: 4,
        maxProtocol: 4,
        client: { id: "test", version: "0", platform: "test", mode: "test" },
        auth: { token: "alice" }
      })
      yield* rest
      for (let at = 0; at < 8; at++) request(`h${at}`, "health")
      expect(sink.paused).toBe(false)
      request("h8", "health")
      expect(sink.paused).toBe(true)
      // What had arrived by then.
      request("h9", "health")
      connection.receive("{")
      yield* TestClock.adjust(499)
      expect(sink.paused).toBe(true)
      yield* TestClock.adjust(1)
      expect(sink.paused).toBe(false)
      request("h10", "health")
      yield* rest
      const told = sink.frames.filter(({ type }) => type === "res").map(({ id }) => id)
      expect(told.toSorted()).toEqual(
        ["c", ...Array.from({ length: 11 }, (_, at) => `h${at}`), "invalid"].toSorted()
      )
    }).pipe(Effect.provide(gateway({ requestsPerSecond: 2 })))
  )

  it.effect("so many connections of a principal; one that leaves makes room", () =>
    Effect.gen(function* () {
      const test = yield* GatewayTest.GatewayTest
      const first = yield* test.connect({ token: "alice" })
      yield* test.connect({ token: "alice" })
      const third = yield* test.open
      expect(yield* third.connect({ token: "alice" })).toEqual({
        type: "res",
        id: "t1",
        ok: false,
        error: {
          code: "UNAVAILABLE",
          message: "too many connections of this principal (2 are allowed)",
          details: { code: "TOO_MANY_CONNECTIONS", limit: 2 },
          retryable: true,
          retryAfterMs: 5000
        }
      })
      expect(yield* third.closed).toEqual({ code: 1008, reason: "too many connections" })
      // Another principal, and one who has not logged in, have their own measure.
      expect((yield* (yield* test.open).connect({ token: "bob" })).ok).toBe(true)
      yield* test.open
      expect((yield* (yield* test.open).connect({ token: "alice" })).ok).toBe(false)
      yield* first.leave
      yield* first.leave
      expect((yield* (yield* test.open).connect({ token: "alice" })).ok).toBe(true)
      expect((yield* (yield* test.open).connect({ token: "alice" })).ok).toBe(false)
    }).pipe(Effect.provide(gateway({ maxConnectionsPerPrincipal: 2 })))
  )

  it.effect("runs at work and runs that wait, of one principal; others go on", () =>
    Effect.gen(function* () {
      const test = yield* GatewayTest.GatewayTest
      const agent = yield* ScriptedAgent
      const [alice, bob] = [yield* test.connect({ token: "alice" }), yield* test.connect({ token: "bob" })]
      const send = (key: string, name = "alice") =>
        (name === "alice" ? alice : bob).request("chat.send", {
          sessionKey: `agent:main:${name}:${key}`,
          message: "hi",
          idempotencyKey: key
        })
      expect((yield* send("a1")).ok).toBe(true)
      const first = yield* agent.next
      expect((yield* send("a2")).ok).toBe(true)
      expect((yield* send("a3")).ok).toBe(true)
      expect(yield* send("a4")).toMatchObject({
        ok: false,
        error: {
          code: "UNAVAILABLE",
          message: "too many messages wait of this principal (2)",
          details: { code: "QUEUE_FULL", scope: "principal", limit: 2 },
          retryable: true,
          retryAfterMs: expect.any(Number)
        }
      })
      // The key was not used up, the other principal has its own measure.
      expect((yield* send("a4", "bob")).payload).toEqual({ runId: "a4", status: "started" })
      expect((yield* agent.next).request.sessionKey).toBe("agent:main:bob:a4")
      expect((yield* alice.request("status")).payload).toMatchObject({ runs: { active: 1, queued: 2 } })
      yield* first.answer("done")
      yield* alice.terminal("a1")
      expect((yield* agent.next).request.sessionKey).toBe("agent:main:alice:a2")
      expect((yield* send("a4")).payload).toEqual({ runId: "a4", status: "started" })
      // What an abort takes away makes room, too.
      yield* alice.request("chat.abort", { sessionKey: "agent:main:alice:a3" })
      expect((yield* send("a5")).ok).toBe(true)
      expect((yield* send("a6")).ok).toBe(false)
    }).pipe(Effect.provide(gateway({ maxConcurrentRunsPerPrincipal: 1, maxQueuedRunsPerPrincipal: 2 })))
  )

  it.effect("runs of the owner count as its own, in whosever session they are", () =>
    Effect.gen(function* () {
      const test = yield* GatewayTest.GatewayTest
      const [alice, boss] = [yield* test.connect({ token: "alice" }), yield* test.connect({ token: "boss" })]
      const send = (key: string) => ({
        sessionKey: `agent:main:alice:${key}`,
        message: "hi",
        idempotencyKey: key
      })
      yield* boss.request("chat.send", send("b1"))
      yield* (yield* ScriptedAgent).next
      yield* boss.request("chat.send", send("b2"))
      expect((yield* boss.request("chat.send", send("b3"))).ok).toBe(false)
      expect((yield* alice.request("chat.send", send("a1"))).ok).toBe(true)
      expect((yield* (yield* ScriptedAgent).next).request.sessionKey).toBe("agent:main:alice:a1")
    }).pipe(Effect.provide(gateway({ maxConcurrentRunsPerPrincipal: 1, maxQueuedRunsPerPrincipal: 1 })))
  )

  it.effect("large sends that come faster than they are saved are not read in without end", () =>
    Effect.gen(function* () {
      const maxPayload = 10_000
      const sink = FakeSink.make()
      const connection = yield* (yield* Gateway).open(sink, Peer.inProcess)
      const request = (id: string, method: string, params: object) =>
        connection.receive(JSON.stringify({ type: "req", id, method, params }))
      request("c", "connect", {
        minProtocol: 4,
        maxProtocol: 4,
        client: { id: "test", version: "0", platform: "test", mode: "test" },
        auth: { token: "alice" }
      })
      yield* rest
      yield* (yield* SessionStoreMemory.SessionStoreMemory).setSaveDelay("1 second")
      let sent = 0
      while (!sink.paused && sent < 1000) {
        sent += 1
        request(`s${sent}`, "chat.send", {
          sessionKey: `agent:main:alice:${sent}`,
          message: "x".repeat(maxPayload - 500),
          idempotencyKey: `k${sent}`
        })
      }
      // Eight of the largest frames under way, eight that wait, and one over each time.
      expect(sent).toBeLessThanOrEqual(20)
      // Each second what was saved makes room, and at the end all of it was answered.
      yield* TestClock.adjust("1 minute")
      expect(sink.paused).toBe(false)
      expect(sink.frames.filter(({ type }) => type === "res")).toHaveLength(sent + 1)
    }).pipe(Effect.provide(gateway({ maxPayload: 10_000 })))
  )
})
