/** What becomes of a connection when what it has logged in with is not what it was. */
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Layer, Queue, Stream, TestClock } from "effect"
import * as Authenticator from "../../src/auth/Authenticator.js"
import * as Principal from "../../src/auth/Principal.js"
import * as Peer from "../../src/domain/Peer.js"
import * as GatewayLayers from "../../src/Gateway.js"
import { Gateway } from "../../src/gateway/Gateway.js"
import * as GatewayConfig from "../../src/GatewayConfig.js"
import { RunRegistry } from "../../src/run/RunRegistry.js"
import * as SessionStoreMemory from "../../src/session/SessionStoreMemory.js"
import * as ClosingTime from "../../src/testing/ClosingTime.js"
import * as ScriptedAgent from "../../src/testing/ScriptedAgent.js"
import * as TestClient from "../../src/testing/TestClient.js"
import * as FakeSink from "../support/FakeSink.js"

/** An authenticator whose mind a test changes. Tokens are names; all of them are owners. */
const fakeWith = (config: Partial<GatewayConfig.GatewayConfigShape>) =>
  Effect.gen(function* () {
    const changes = yield* Queue.unbounded<void>()
    const states = new Map<string, Authenticator.LoginState>()
    let gate: Effect.Effect<void> = Effect.void
    const layer = Layer.succeed(Authenticator.Authenticator, {
      method: "token",
      authenticate: (auth) =>
        Effect.as(
          Effect.suspend(() => gate),
          { principal: Principal.owner, credentialId: auth?.token ?? "" }
        ),
      unsafeState: ({ credentialId }) => states.get(credentialId) ?? "same",
      changes: Stream.fromQueue(changes)
    })
    return {
      /** Without a word to those who listen for changes. */
      become: (token: string, state: Authenticator.LoginState) => void states.set(token, state),
      tell: Queue.offer(changes, undefined),
      /** Logins wait for this from now on, with their mind made up. */
      hold: (until: Effect.Effect<void>) => {
        gate = until
      },
      gateway: ClosingTime.layer(
        GatewayLayers.layer.pipe(
          Layer.provideMerge(
            Layer.mergeAll(
              ScriptedAgent.layer,
              layer,
              SessionStoreMemory.layer({ sessionKeyDefaults: GatewayConfig.defaults, cwd: "/" }),
              GatewayConfig.layer(config)
            )
          )
        )
      )
    }
  })

const fake = fakeWith({})

const come = (token: string) =>
  Effect.gen(function* () {
    const client = yield* TestClient.open(TestClient.memoryWire(yield* Gateway))
    yield* client.connect({ token })
    return client
  })
const rest = TestClock.adjust(0)
const send = (key: string) => ({ sessionKey: "main", message: "hi", idempotencyKey: key })
const frameCount = (client: TestClient.TestClient) => Effect.map(client.frames, (frames) => frames.length)
const revoked = { code: 1008, reason: "access revoked" }
const changed = { code: 1012, reason: "access changed" }

describe("a login that does not hold any more", () => {
  it.effect("revoked: closed with 1008 as soon as it is told, and not a frame more", () =>
    Effect.gen(function* () {
      const door = yield* fake
      yield* Effect.gen(function* () {
        const store = yield* SessionStoreMemory.SessionStoreMemory
        const agent = yield* ScriptedAgent.ScriptedAgent
        const [mine, other] = [yield* come("mine"), yield* come("other")]
        yield* other.request("chat.send", send("k1"))
        const run = yield* agent.next
        // One request is under way.
        yield* store.setSaveDelay("1 second")
        yield* mine.post("chat.send", { ...send("k2"), sessionKey: "side" })
        yield* rest
        const before = yield* frameCount(mine)
        door.become("mine", "revoked")
        yield* door.tell
        expect(yield* mine.closed).toEqual(revoked)
        yield* store.setSaveDelay(0)
        yield* run.answer("secret")
        yield* rest
        yield* TestClock.adjust("1 minute")
        expect(yield* frameCount(mine)).toBe(before)
        // The others are still there, and its runs go on.
        yield* other.terminal("k1")
        yield* (yield* agent.next).answer("done")
        yield* other.terminal("k2")
      }).pipe(Effect.provide(door.gateway))
    })
  )

  it.effect("changed: closed with 1012, to come back", () =>
    Effect.gen(function* () {
      const door = yield* fake
      yield* Effect.gen(function* () {
        const [mine, other] = [yield* come("mine"), yield* come("other")]
        door.become("mine", "changed")
        yield* door.tell
        expect(yield* mine.closed).toEqual(changed)
        expect((yield* other.request("health")).ok).toBe(true)
        expect((yield* other.request("status")).payload).toMatchObject({ connections: 1 })
      }).pipe(Effect.provide(door.gateway))
    })
  )

  it.effect("a request that comes before the change is told is refused already, and not begun", () =>
    Effect.gen(function* () {
      const door = yield* fake
      yield* Effect.gen(function* () {
        const client = yield* come("mine")
        const before = yield* frameCount(client)
        door.become("mine", "revoked")
        yield* client.post("chat.send", send("k"))
        expect(yield* client.closed).toEqual(revoked)
        yield* rest
        expect(yield* frameCount(client)).toBe(before)
        expect(yield* (yield* RunRegistry).list).toEqual([])
      }).pipe(Effect.provide(door.gateway))
    })
  )

  it.effect("requests that have arrived and wait for their turn are not begun", () =>
    Effect.gen(function* () {
      const door = yield* fakeWith({ maxInFlightRequests: 1 })
      yield* Effect.gen(function* () {
        const store = yield* SessionStoreMemory.SessionStoreMemory
        const client = yield* come("mine")
        yield* store.setSaveDelay("1 second")
        yield* client.post("chat.send", send("first"))
        yield* client.post("chat.send", { ...send("waits"), sessionKey: "side" })
        yield* rest
        door.become("mine", "revoked")
        yield* door.tell
        expect(yield* client.closed).toEqual(revoked)
        yield* TestClock.adjust("2 seconds")
        const runs = yield* (yield* RunRegistry).list
        expect(runs.map(({ runId }) => runId)).toEqual(["first"])
      }).pipe(Effect.provide(door.gateway))
    })
  )

  for (const [state, disconnect] of [
    ["revoked", revoked],
    ["changed", changed]
  ] as const) {
    it.effect(`${state}: what waits for a slow reader is not sent any more`, () =>
      Effect.gen(function* () {
        const door = yield* fake
        yield* Effect.gen(function* () {
          const agent = yield* ScriptedAgent.ScriptedAgent
          const gateway = yield* Gateway
          const sink = FakeSink.make()
          const connection = yield* gateway.open(sink, Peer.inProcess)
          const request = (id: string, method: string, params: object) =>
            connection.receive(JSON.stringify({ type: "req", id, method, params }))
          request("c", "connect", {
            minProtocol: 4,
            maxProtocol: 4,
            client: { id: "test", version: "0", platform: "test", mode: "test" },
            auth: { token: "mine" }
          })
          yield* rest
          sink.stall()
          const other = yield* come("other")
          yield* other.request("chat.send", send("k"))
          const run = yield* agent.next
          // More than the socket takes; what comes then waits in the gateway.
          yield* run.answer("x".repeat(100_000))
          yield* other.terminal("k")
          yield* other.request("chat.inject", { sessionKey: "main", message: "secret" })
          request("h", "chat.inject", { sessionKey: "main", message: "another one" })
          yield* rest
          const before = sink.frames.length
          door.become("mine", state)
          yield* door.tell
          yield* rest
          expect(sink.closedWith).toEqual(disconnect)
          sink.take()
          connection.drained()
          yield* rest
          expect(sink.frames).toHaveLength(before)
          expect(JSON.stringify(sink.frames)).not.toContain("secret")
        }).pipe(Effect.provide(door.gateway))
      })
    )

    it.effect(`${state} between the login and the welcome: there is no welcome`, () =>
      Effect.gen(function* () {
        const door = yield* fake
        yield* Effect.gen(function* () {
          const going = yield* Deferred.make<void>()
          door.hold(Deferred.await(going))
          const client = yield* TestClient.open(TestClient.memoryWire(yield* Gateway))
          yield* Effect.fork(client.connect({ token: "mine" }))
          yield* rest
          door.become("mine", state)
          yield* door.tell
          yield* rest
          yield* Deferred.succeed(going, undefined)
          expect(yield* client.closed).toEqual(disconnect)
          // The challenge alone.
          expect(yield* frameCount(client)).toBe(1)
        }).pipe(Effect.provide(door.gateway))
      })
    )
  }

  it.effect("a reader who has stopped reading is read from again, so that its goodbye arrives", () =>
    Effect.gen(function* () {
      const door = yield* fake
      yield* Effect.gen(function* () {
        const sink = FakeSink.make()
        const going = yield* Deferred.make<void>()
        door.hold(Deferred.await(going))
        const connection = yield* (yield* Gateway).open(sink, Peer.inProcess)
        const connect = {
          minProtocol: 4,
          maxProtocol: 4,
          client: { id: "test", version: "0", platform: "test", mode: "test" },
          auth: { token: "mine" }
        }
        connection.receive(JSON.stringify({ type: "req", id: "c", method: "connect", params: connect }))
        yield* rest
        // Before the login hardly anything is taken in.
        const pad = "x".repeat(40_000)
        const frame = JSON.stringify({ type: "req", id: "h", method: "health", params: { pad } })
        connection.receive(frame)
        expect(sink.paused).toBe(false)
        connection.receive(frame)
        expect(sink.paused).toBe(true)
        door.become("mine", "revoked")
        yield* Deferred.succeed(going, undefined)
        yield* rest
        expect(sink.paused).toBe(false)
        expect(sink.closedWith).toEqual(revoked)
      }).pipe(Effect.provide(door.gateway))
    })
  )
})
