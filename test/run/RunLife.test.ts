import { expect, it } from "@effect/vitest"
import * as AgentRunner from "colloquy/AgentRunner"
import { GatewayTest } from "colloquy/testing"
import { Effect, Stream, TestClock } from "effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { RunId } from "../../src/domain/Ids.js"
import { main } from "../../src/domain/SessionKey.js"
import { RunRegistry } from "../../src/run/RunRegistry.js"
import { ScriptedAgent } from "../../src/testing/ScriptedAgent.js"
import { defaultAgentId, sessionKeyDefaults } from "../contract/StoreProbe.js"
import { content, png } from "../support/Pictures.js"

// 100,000 pieces without a wait between them.
const flood = AgentRunner.fromStream(() => Stream.map(Stream.range(1, 100_000), () => "."))

it.effect("an agent that floods lets the event loop have its turns", () =>
  Effect.gen(function* () {
    const client = yield* (yield* GatewayTest.GatewayTest).connect()
    let turns = 0
    const count = () => {
      turns += 1
      next = setImmediate(count)
    }
    let next = setImmediate(count)
    yield* client.request("chat.send", { sessionKey: "main", message: "go", idempotencyKey: "r" })
    expect(yield* client.terminal("r")).toMatchObject({ state: "final" })
    clearImmediate(next)
    // One for each chunk of the stream (4,096) at least.
    expect(turns).toBeGreaterThanOrEqual(24)
  }).pipe(Effect.provide(GatewayTest.layerWith(flood)))
)

/** Accepts a run; gives a hold on its image that keeps nobody from collecting it. */
const acceptWithImage = (runId: string) =>
  Effect.gen(function* () {
    const image = content(png)
    yield* (yield* RunRegistry).accept({
      runId: RunId(runId),
      sessionKey: main(sessionKeyDefaults),
      requestedKey: "main",
      agentId: defaultAgentId,
      principal: "tester",
      message: "look",
      images: [image]
    })
    return new WeakRef(image)
  })

const collectGarbage = Effect.suspend(() => {
  setFlagsFromString("--expose-gc")
  const collect: () => void = runInNewContext("gc")
  return Effect.promise(
    () =>
      new Promise<void>((resolve) =>
        setImmediate(() => {
          collect()
          resolve()
        })
      )
  )
})

it.scoped("a run that waits for its turn does not hold the bytes of its images", () =>
  Effect.gen(function* () {
    const agent = yield* ScriptedAgent
    const held = yield* acceptWithImage("r1")
    const first = yield* agent.next
    const waiting = yield* acceptWithImage("r2")
    for (let turn = 0; turn < 20 && waiting.deref() !== undefined; turn++) yield* collectGarbage
    expect([held.deref(), waiting.deref()]).toEqual([undefined, undefined])
    yield* first.answer("done")
    const second = yield* agent.next
    expect(second.request.images).toEqual([content(png)])
  }).pipe(Effect.provide(GatewayTest.layer()))
)

it.effect("an abort interrupts the agent once: its finalizers may wait with a limit", () => {
  const steps: Array<string> = []
  const wait = Effect.timeoutOption(Effect.interruptible(Effect.never), "1 second").pipe(
    Effect.onInterrupt(() => Effect.sync(() => steps.push("cut short"))),
    Effect.zipRight(Effect.sync(() => steps.push("asked, waited, killed")))
  )
  const agent = AgentRunner.fromStream(() => Stream.ensuring(Stream.never, wait))
  return Effect.gen(function* () {
    const client = yield* (yield* GatewayTest.GatewayTest).connect()
    yield* client.request("chat.send", { sessionKey: "main", message: "go", idempotencyKey: "r" })
    yield* TestClock.adjust(1)
    yield* client.request("chat.abort", { sessionKey: "main" })
    expect(yield* client.terminal("r")).toMatchObject({ state: "aborted" })
    yield* TestClock.adjust("1 second")
    expect(steps).toEqual(["asked, waited, killed"])
  }).pipe(Effect.provide(GatewayTest.layerWith(agent)))
})
