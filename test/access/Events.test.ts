/** Every event × who may see it, who may not, who may read nothing. Typed by the list of events. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, TestClock } from "effect"
import * as AgentEvent from "../../src/domain/AgentEvent.js"
import { Gateway } from "../../src/gateway/Gateway.js"
import * as Event from "../../src/protocol/Event.js"
import { GatewayTest } from "../../src/testing/GatewayTest.js"
import type { TestClient } from "../../src/testing/TestClient.js"
import * as World from "./World.js"

type Reader = "alice" | "boss" | "bob" | "alice, who may not read" | "a node of alice" | "nobody yet"

const sees: ReadonlyArray<Reader> = ["alice", "boss"]
const connected: ReadonlyArray<Reader> = [
  "alice",
  "boss",
  "bob",
  "alice, who may not read",
  "a node of alice"
]

/** Who gets an event of alice's session, or one of no session. */
const readers: { readonly [E in Event.EventName]: ReadonlyArray<Reader> } = {
  "connect.challenge": [...connected, "nobody yet"],
  chat: sees,
  agent: sees,
  "permission.requested": sees,
  "permission.resolved": sees,
  "sessions.changed": sees,
  tick: connected,
  shutdown: connected,
  // All of them come back with a position of another life.
  "resume.reset": connected
}

/** All of them ask for it. */
const caps = ["sessions"]

/** A client that has the role of a node. */
const node = Effect.gen(function* () {
  const client = yield* (yield* GatewayTest).open
  yield* client.raw(
    JSON.stringify({
      type: "req",
      id: "connect",
      method: "connect",
      params: {
        minProtocol: 4,
        maxProtocol: 4,
        role: "node",
        caps,
        client: { id: "test", version: "0", platform: "test", mode: "node" },
        resume: { epoch: "another life", pos: 1 },
        auth: { token: "alice" }
      }
    })
  )
  yield* client.response("connect")
  return client
})

const everybody = Effect.gen(function* () {
  const test = yield* GatewayTest
  const resume = { epoch: "another life", pos: 1 }
  const clients: Record<Reader, TestClient> = {
    alice: yield* test.connect({ token: "alice", resume, caps }),
    boss: yield* test.connect({ token: "boss", resume, caps }),
    bob: yield* test.connect({ token: "bob", resume, caps }),
    "alice, who may not read": yield* test.connect({
      token: "alice",
      resume,
      caps,
      scopes: ["operator.write"]
    }),
    "a node of alice": yield* node,
    "nobody yet": yield* test.open
  }
  return clients
})

/** All kinds of events, of alice's session and of none. */
const everything = Effect.gen(function* () {
  const clients = yield* everybody
  const { asked, belongings, run } = yield* World.furnish("alice")
  yield* run.emit(AgentEvent.tool({ phase: "start", name: "peek", toolCallId: "t", args: { path: "a" } }))
  yield* run.emit(AgentEvent.thinking("pondering"))
  yield* clients.alice.request("permission.resolve", { id: belongings.questionId, optionId: "y" })
  yield* asked
  yield* run.answer("the answer")
  yield* clients.alice.terminal(belongings.key)
  yield* clients.alice.request("chat.inject", { sessionKey: belongings.sessionKey, message: "a note" })
  yield* TestClock.adjust("30 seconds")
  const stopping = yield* Effect.fork((yield* Gateway).shutdown)
  yield* TestClock.adjust("10 seconds")
  yield* Fiber.join(stopping)
  return clients
}).pipe(Effect.provide(World.layer))

describe("who sees what", () => {
  for (const name of Object.keys(Event.events).filter((name): name is Event.EventName =>
    Object.hasOwn(Event.events, name)
  )) {
    it.effect(name, () =>
      Effect.gen(function* () {
        const clients = yield* everything
        const got = yield* Effect.filter(Object.entries(clients), ([, client]) =>
          Effect.map(client.events(name), (events) => events.length > 0)
        )
        expect(got.map(([reader]) => reader).toSorted()).toEqual(readers[name].toSorted())
      })
    )
  }

  it.effect("who may not see a session is told nothing of it, in no frame", () =>
    Effect.gen(function* () {
      const clients = yield* everything
      for (const reader of ["bob", "alice, who may not read", "a node of alice", "nobody yet"] as const) {
        const text = JSON.stringify(yield* clients[reader].frames)
        expect([reader, /alice|answer|note|peek|pondering/.exec(text)?.[0]]).toEqual([reader, undefined])
      }
    })
  )

  it.effect("an injected message is told to those who may see the session", () =>
    Effect.gen(function* () {
      const clients = yield* everything
      const injected = ([, client]: readonly [string, TestClient]) =>
        Effect.map(client.chat(), (events) => events.some(({ runId }) => runId.startsWith("inject-")))
      const got = yield* Effect.filter(Object.entries(clients), injected)
      expect(got.map(([reader]) => reader)).toEqual(sees)
    })
  )
})
