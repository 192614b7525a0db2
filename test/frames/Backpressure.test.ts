/** The end of a connection whose peer sends and does not read. */
import { expect, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import * as Peer from "../../src/domain/Peer.js"
import type { Sink } from "../../src/event/Outbox.js"
import { Gateway } from "../../src/gateway/Gateway.js"
import * as Harness from "../support/Harness.js"

const request = (id: string, method: string, params: unknown = {}) =>
  JSON.stringify({ type: "req", id, method, params })
const connect = request("hello", "connect", {
  minProtocol: 4,
  maxProtocol: 4,
  client: { id: "test", version: "0", platform: "test", mode: "test" }
})

/** The transport's end, with a network that takes nothing while `full`. */
const makeSink = Effect.gen(function* () {
  const calls: Array<string> = []
  const written: Array<string> = []
  const closed = yield* Deferred.make<number>()
  const state = { full: false }
  const sink: Sink = {
    write: (frame) => written.push(frame),
    buffered: () => (state.full ? 1_000_000 : 0),
    taken: () => 0,
    close: ({ code }) => {
      calls.push("close")
      Deferred.unsafeDone(closed, Effect.succeed(code))
    },
    pause: () => calls.push("pause"),
    resume: () => calls.push("resume"),
    admitted: () => undefined
  }
  return { sink, calls, written, closed, state }
})

/** A connection whose peer has sent `count` requests and reads nothing. */
const flooded = (count: number) =>
  Effect.gen(function* () {
    const gateway = yield* Gateway
    const peer = yield* makeSink
    const connection = yield* gateway.open(peer.sink, Peer.inProcess)
    connection.receive(connect)
    peer.state.full = true
    for (let n = 0; n < count; n++) connection.receive(request(`n${n}`, "nope"))
    // Lets everything happen that can happen.
    yield* Effect.yieldNow()
    return { ...peer, connection, gateway }
  })

it.effect("when it is closed it is read from again, or its goodbye would never be seen", () =>
  Effect.gen(function* () {
    const { calls, closed, gateway } = yield* flooded(200)
    yield* gateway.shutdown
    expect(yield* Deferred.await(closed)).toBe(1012)
    expect(calls).toEqual(["pause", "resume", "close"])
  }).pipe(Effect.provide(Harness.memory()))
)

it.effect("behind its end nothing is begun any more", () =>
  Effect.gen(function* () {
    const { connection, gateway, written } = yield* flooded(0)
    yield* gateway.shutdown
    const before = written.length
    connection.receive(request("late", "health"))
    connection.drained()
    connection.closed()
    connection.receive(request("later", "health"))
    yield* Effect.yieldNow()
    expect(written.length).toBe(before)
  }).pipe(Effect.provide(Harness.memory()))
)
