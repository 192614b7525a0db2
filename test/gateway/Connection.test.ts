/** One connection among others: what it may ask at once, what happens when it doesn't read, and when a handler dies. */
import { describe, expect, it } from "@effect/vitest"
import { Context, Duration, Effect, Layer, TestClock } from "effect"
import * as Peer from "../../src/domain/Peer.js"
import * as Authenticator from "../../src/auth/Authenticator.js"
import * as GatewayLayers from "../../src/Gateway.js"
import { Gateway } from "../../src/gateway/Gateway.js"
import * as GatewayConfig from "../../src/GatewayConfig.js"
import { SessionStore } from "../../src/session/SessionStore.js"
import * as Memory from "../../src/session/SessionStoreMemory.js"
import * as GatewayTest from "../../src/testing/GatewayTest.js"
import * as ScriptedAgent from "../../src/testing/ScriptedAgent.js"
import * as TestClient from "../../src/testing/TestClient.js"
import * as FakeSink from "../support/FakeSink.js"

const connectFrame = (id: string) =>
  JSON.stringify({
    type: "req",
    id,
    method: "connect",
    params: {
      minProtocol: 4,
      maxProtocol: 4,
      client: { id: "test", version: "0", platform: "test", mode: "test" }
    }
  })
const requestFrame = (id: string, method: string, params: object = {}) =>
  JSON.stringify({ type: "req", id, method, params })
const sendTo = (sessionKey: string) => ({ sessionKey, message: "hi", idempotencyKey: `key of ${sessionKey}` })
const answered = (client: TestClient.TestClient) =>
  Effect.map(client.frames, (frames) => frames.flatMap((frame) => (frame.type === "res" ? [frame.id] : [])))
/** Reaches every fiber that can still do something. */
const rest = TestClock.adjust(0)

describe("Connection", () => {
  it.effect("one request that waits holds up no other", () =>
    Effect.gen(function* () {
      const client = yield* (yield* GatewayTest.GatewayTest).connect()
      yield* (yield* Memory.SessionStoreMemory).setSaveDelay("1 second")
      const slow = yield* client.post("chat.send", sendTo("a"))
      expect((yield* client.request("health")).ok).toBe(true)
      expect(yield* answered(client)).not.toContain(slow)
      yield* TestClock.adjust("1 second")
      expect((yield* client.response(slow)).ok).toBe(true)
    }).pipe(Effect.provide(GatewayTest.layer()))
  )

  it.effect("so many requests are under way at once; more wait for one of them, in order", () =>
    Effect.gen(function* () {
      const test = yield* GatewayTest.GatewayTest
      const client = yield* test.connect()
      const other = yield* test.connect()
      const store = yield* Memory.SessionStoreMemory
      yield* store.setSaveDelay("1 second")
      const ids = yield* Effect.forEach(["a", "b", "c"], (session) =>
        client.post("chat.send", sendTo(session))
      )
      const health = yield* client.post("health")
      yield* rest
      // `connect` alone has been answered.
      expect(yield* answered(client)).toHaveLength(1)
      // Another connection has its own measure.
      expect((yield* other.request("health")).ok).toBe(true)
      yield* TestClock.adjust("1 second")
      expect((yield* answered(client)).slice(1).sort()).toEqual([ids[0], ids[1], health].sort())
      yield* TestClock.adjust("1 second")
      expect((yield* answered(client)).at(-1)).toBe(ids[2])
    }).pipe(Effect.provide(GatewayTest.layer({ config: { maxInFlightRequests: 2 } })))
  )

  it.effect(
    "who doesn't read the replies can still send and abort; what only reads waits for the reader",
    () =>
      Effect.gen(function* () {
        const client = yield* (yield* GatewayTest.GatewayTest).connect()
        const agent = yield* ScriptedAgent.ScriptedAgent
        const store = yield* Memory.SessionStoreMemory
        yield* client.request("chat.inject", { sessionKey: "main", message: "x".repeat(100_000) })
        yield* client.stall
        // The first goes into the socket and fills it, the second waits for it, the third is not begun.
        const pages = yield* Effect.forEach([1, 2, 3], () =>
          client.post("chat.history", { sessionKey: "main" })
        )
        yield* rest
        const send = yield* client.post("chat.send", sendTo("late"))
        const run = yield* agent.next
        const abort = yield* client.post("chat.abort", { sessionKey: "late" })
        yield* run.interrupted
        yield* store.setFile([...(yield* store.files).keys()][0] ?? "", "")
        yield* client.resume
        expect((yield* client.response(send)).ok).toBe(true)
        expect((yield* client.response(abort)).payload).toMatchObject({ aborted: true })
        const sizes = yield* Effect.forEach(pages, (id) =>
          Effect.map(client.response(id), ({ payload }) => JSON.stringify(payload).length > 100_000)
        )
        expect(sizes).toEqual([true, false, false])
      }).pipe(Effect.provide(GatewayTest.layer()))
  )

  it.effect("a peer that sends faster than it is served is not read from, until there is room again", () =>
    Effect.gen(function* () {
      const sink = FakeSink.make()
      const connection = yield* (yield* Gateway).open(sink, Peer.inProcess)
      connection.receive(connectFrame("c"))
      yield* rest
      yield* (yield* Memory.SessionStoreMemory).setSaveDelay("1 second")
      connection.receive(requestFrame("slow", "chat.send", sendTo("a")))
      const more = Array.from({ length: 100 }, (_, at) => `h${at}`)
      const pausedAt = more.map((id) => {
        connection.receive(requestFrame(id, "health"))
        return sink.paused
      })
      expect(pausedAt.indexOf(true)).toBe(64)
      yield* TestClock.adjust("1 second")
      expect(sink.paused).toBe(false)
      expect(sink.frames.filter(({ type }) => type === "res").map(({ id }) => id)).toEqual([
        "c",
        "slow",
        ...more
      ])
    }).pipe(Effect.provide(GatewayTest.layer({ config: { maxInFlightRequests: 1 } })))
  )

  it.effect("a stalled reader is closed as a slow consumer; its run and the others go on", () =>
    Effect.gen(function* () {
      const test = yield* GatewayTest.GatewayTest
      const agent = yield* ScriptedAgent.ScriptedAgent
      const stalled = yield* test.connect()
      const well = yield* test.connect()
      yield* stalled.request("chat.send", sendTo("main"))
      const run = yield* agent.next
      yield* stalled.stall
      yield* run.say("x".repeat(100_000))
      yield* well.awaitChat(({ state }) => state === "delta")
      yield* TestClock.adjust("20 seconds")
      expect(yield* stalled.closed).toEqual({ code: 1008, reason: "slow consumer" })
      yield* run.finish
      expect(yield* well.terminal("key of main")).toMatchObject({ state: "final" })
      // It comes back and finds the answer.
      const back = yield* test.connect()
      expect((yield* back.request("chat.send", sendTo("main"))).payload).toMatchObject({ status: "ok" })
    }).pipe(Effect.provide(GatewayTest.layer()))
  )

  it.effect("a stalled reader that goes on in time sees the newest text once, and the end", () =>
    Effect.gen(function* () {
      const test = yield* GatewayTest.GatewayTest
      const agent = yield* ScriptedAgent.ScriptedAgent
      const client = yield* test.connect({ caps: ["delta-only"] })
      yield* client.request("chat.send", sendTo("main"))
      const run = yield* agent.next
      yield* run.say("start ")
      yield* client.awaitChat(({ state }) => state === "delta")
      yield* client.stall
      // This one goes into the socket, and fills it.
      yield* run.say("a".repeat(100_000))
      for (let at = 0; at < 20; at++) {
        yield* TestClock.adjust(500)
        yield* run.say(`b${at}`)
      }
      yield* TestClock.adjust(500)
      yield* run.finish
      yield* rest
      yield* client.resume
      yield* client.terminal("key of main")
      const deltas = (yield* client.chat()).filter(({ state }) => state === "delta")
      expect(deltas.map((event) => (event.state === "delta" ? event.deltaText : ""))).toEqual([
        "start ",
        "a".repeat(100_000),
        Array.from({ length: 20 }, (_, at) => `b${at}`).join("")
      ])
    }).pipe(Effect.provide(GatewayTest.layer()))
  )

  it.effect("who has left is counted no more and is sent nothing", () =>
    Effect.gen(function* () {
      const gateway = yield* Gateway
      const client = yield* (yield* GatewayTest.GatewayTest).connect()
      const sink = FakeSink.make()
      const connection = yield* gateway.open(sink, Peer.inProcess)
      connection.receive(connectFrame("c"))
      yield* rest
      expect((yield* client.request("status")).payload).toMatchObject({ connections: 2 })
      connection.receive(requestFrame("s", "chat.send", sendTo("main")))
      connection.closed()
      connection.closed()
      connection.receive(requestFrame("late", "health"))
      connection.drained()
      const frames = sink.frames.length
      yield* TestClock.adjust("1 minute")
      expect((yield* client.request("status")).payload).toMatchObject({ connections: 1 })
      expect(sink.frames).toHaveLength(frames)
    }).pipe(Effect.provide(GatewayTest.layer()))
  )

  it.effect("a connection that opens behind the stop is closed at once", () =>
    Effect.gen(function* () {
      const gateway = yield* Gateway
      yield* gateway.shutdown
      const sink = FakeSink.make()
      yield* gateway.open(sink, Peer.inProcess)
      expect(sink.closedWith).toMatchObject({ code: 1012 })
    }).pipe(Effect.provide(GatewayTest.layer()))
  )

  const dying = Layer.succeed(SessionStore, {
    get: () => Effect.dieMessage("secret"),
    list: Effect.dieMessage("secret"),
    newest: Effect.dieMessage("secret"),
    glance: () => Effect.dieMessage("secret"),
    update: () => Effect.dieMessage("secret"),
    reset: () => Effect.dieMessage("secret"),
    remove: () => Effect.dieMessage("secret"),
    accept: () => Effect.dieMessage("secret"),
    append: () => Effect.dieMessage("secret"),
    patch: () => Effect.dieMessage("secret"),
    history: () => Effect.dieMessage("secret"),
    image: () => Effect.dieMessage("secret"),
    findImage: () => Effect.dieMessage("secret"),
    flush: Effect.dieMessage("secret"),
    problems: Effect.dieMessage("secret")
  })

  it.effect(
    "a handler that dies gives UNAVAILABLE to its request, without the defect, and the connection lives",
    () =>
      Effect.gen(function* () {
        const client = yield* TestClient.open(TestClient.memoryWire(yield* Gateway))
        yield* client.connect()
        for (const [method, params] of [
          ["chat.history", { sessionKey: "main" }],
          ["chat.send", sendTo("main")],
          ["chat.inject", { sessionKey: "main", message: "x" }],
          ["health", {}],
          ["status", {}]
        ] as const) {
          const { error, ok } = yield* client.request(method, params)
          expect([method, ok, error?.code]).toEqual([method, false, "UNAVAILABLE"])
          expect(JSON.stringify(error)).not.toContain("secret")
        }
        expect((yield* client.request("chat.abort", { sessionKey: "main" })).ok).toBe(true)
      }).pipe(
        Effect.provide(
          GatewayLayers.layer.pipe(
            Layer.provide([
              dying,
              Memory.layer().pipe(Layer.map(Context.omit(Memory.SessionStoreMemory, SessionStore))),
              ScriptedAgent.layer.pipe(Layer.map(Context.omit(ScriptedAgent.ScriptedAgent))),
              Authenticator.layerNone,
              GatewayConfig.layer({ shutdownGrace: Duration.seconds(1) })
            ])
          )
        )
      )
  )
})
