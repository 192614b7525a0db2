/** Promise 7 of the design: nobody waits for a slow reader, and it misses nothing that counts. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import * as CloseCode from "../../src/protocol/CloseCode.js"
import * as GatewayTest from "../../src/testing/GatewayTest.js"
import { ScriptedAgent } from "../../src/testing/ScriptedAgent.js"
import type { TestClient } from "../../src/testing/TestClient.js"

const caps = ["resume"]
const keys = Array.from({ length: 20 }, (_, at) => `r${at}`)
const answer = "x".repeat(20_000)

const connect = Effect.flatMap(GatewayTest.GatewayTest, (test) => test.connect({ caps }))

/** A run to its end, as everybody else hears it. */
const run = (key: string, heardBy: ReadonlyArray<TestClient>) =>
  Effect.gen(function* () {
    const [sender] = heardBy
    yield* (
      sender?.request("chat.send", { sessionKey: "main", message: "go", idempotencyKey: key }) ?? Effect.void
    )
    yield* Effect.flatMap(
      Effect.flatMap(ScriptedAgent, (agent) => agent.next),
      (scripted) => scripted.answer(answer)
    )
    yield* Effect.forEach(heardBy, (client) => client.terminal(key), { discard: true })
  })

const endsOf = (client: TestClient) =>
  Effect.map(client.chat(), (events) =>
    events.filter(({ state }) => state === "final").map(({ runId }) => runId)
  )

const gateway = GatewayTest.layer({ config: { maxBufferedBytes: 100_000 } })

describe("a reader that stops reading, with 100 others on the same stream", () => {
  it.effect(
    "holds up nobody, is closed when it takes nothing for 15 s, and gets every end when it is back",
    () =>
      Effect.gen(function* () {
        const others = yield* Effect.replicateEffect(connect, 100)
        const stalled = yield* connect
        yield* stalled.stall
        const [first] = others
        for (const key of keys) yield* run(key, first === undefined ? [] : others)
        // Everybody else has heard everything, while it has taken nothing.
        expect(yield* endsOf(stalled)).toEqual([])
        for (const other of others) expect(yield* endsOf(other)).toEqual(keys)
        yield* TestClock.adjust("20 seconds")
        expect(yield* stalled.closed).toEqual(CloseCode.slowConsumer)
        const back = yield* Effect.flatMap(GatewayTest.GatewayTest, (test) =>
          Effect.flatMap(stalled.position, (resume) => test.connect({ caps, resume }))
        )
        yield* Effect.forEach(keys, (key) => back.terminal(key))
        expect(yield* endsOf(back)).toEqual(keys)
      }).pipe(Effect.provide(gateway))
  )

  it.effect(
    "is not closed when it takes a little now and then, and gets every end over that connection",
    () =>
      Effect.gen(function* () {
        const other = yield* connect
        const slow = yield* connect
        yield* slow.stall
        for (const key of keys) {
          yield* run(key, [other])
          // Ten seconds without taking anything, each time.
          yield* TestClock.adjust("10 seconds")
          yield* slow.resume
          yield* slow.stall
        }
        yield* slow.resume
        yield* Effect.forEach(keys, (key) => slow.terminal(key))
        expect(yield* endsOf(slow)).toEqual(keys)
      }).pipe(Effect.provide(gateway))
  )

  it.effect("one that is fast but 200 ms away is not slow", () =>
    Effect.gen(function* () {
      const other = yield* connect
      const far = yield* connect
      yield* far.stall
      // What is on its way counts as not taken, for 200 ms each time: a minute long, more than may wait.
      for (let round = 0; round < 300; round++) {
        const key = keys[round / 15]
        if (key !== undefined) yield* run(key, [other])
        yield* TestClock.adjust("200 millis")
        yield* far.resume
        yield* far.stall
      }
      yield* far.resume
      yield* Effect.forEach(keys, (key) => far.terminal(key))
      expect(yield* endsOf(far)).toEqual(keys)
    }).pipe(Effect.provide(gateway))
  )
})
