/**
 * Mutated requests of every method: 50,000, or as many as `npm run fuzz` says. A failure names its seed;
 * `npm run fuzz -- --seed SEED` brings it back.
 */
import { expect, it } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { Gateway } from "../../src/gateway/Gateway.js"
import { RunRegistry } from "../../src/run/RunRegistry.js"
import { ScriptedAgent } from "../../src/testing/ScriptedAgent.js"
import { memoryWire } from "../../src/testing/TestClient.js"
import * as Prng from "../crash/Prng.js"
import { violations } from "../support/Contract.js"
import * as Harness from "../support/Harness.js"
import * as Probe from "../support/Probe.js"
import { quiet } from "../support/Shared.js"
import * as Mutation from "./Mutation.js"

const asked = Number(process.env["COLLOQUY_TEST_FRAMES"])
const total = Number.isSafeInteger(asked) && asked > 0 ? asked : 50_000
const seed = process.env["COLLOQUY_TEST_SEED"] ?? String(Math.floor(Math.random() * 1e9))
const perGateway = 1250
const perConnection = 250

// The test's clock stands still, and a quota would never be filled up again.
const plenty = { requestsPerSecond: 1e9, bytesPerSecond: 1e12 }
const run = <A>(effect: Effect.Effect<A, unknown, Gateway | ScriptedAgent | RunRegistry>): Promise<A> =>
  Effect.runPromise(
    effect.pipe(Effect.provide(Layer.provideMerge(Harness.memory({ config: plenty }), quiet)), Effect.scoped)
  )

const connect = JSON.stringify({
  type: "req",
  id: "connect",
  method: "connect",
  params: {
    minProtocol: 3,
    maxProtocol: 4,
    client: { id: "test", version: "0", platform: "test", mode: "test" }
  }
})
const enter = Effect.gen(function* () {
  const gateway = yield* Gateway
  const probe = yield* Probe.open(memoryWire(gateway))
  probe.send(connect)
  yield* probe.until((texts) => texts.some((text) => text.includes('"hello-ok"')))
  return probe
})

/** Id and method, if it is a request; read as naively as can be. */
const requestIn = (frame: string | null): { readonly id: string; readonly method: string } | undefined => {
  let value: unknown
  try {
    value = frame === null ? undefined : JSON.parse(frame)
  } catch {
    return undefined
  }
  if (typeof value !== "object" || value === null) return undefined
  const { id, method, type } = value as Record<string, unknown>
  return type === "req" && typeof id === "string" && id !== "" && typeof method === "string" && method !== ""
    ? { id, method }
    : undefined
}

/** Ids of the responses, behind that to `connect`, with how often each was answered. */
const answersIn = (texts: ReadonlyArray<string>): Map<string, number> => {
  const counts = new Map<string, number>()
  for (const text of texts) {
    if (!text.startsWith('{"type":"res"')) continue
    const { id } = JSON.parse(text) as { readonly id: string }
    counts.set(id, (counts.get(id) ?? 0) + 1)
  }
  return counts
}

/** Sends all of it over one connection, while another client is served; looks whether each is answered as it should be. */
const conversation = (sent: ReadonlyArray<string | null>, healthy: Probe.Probe, name: string) =>
  Effect.gen(function* () {
    const probe = yield* enter
    for (const frame of sent) probe.send(frame)
    healthy.send(JSON.stringify({ type: "req", id: name, method: "health" }))
    yield* healthy.until((texts) =>
      texts.some((text) => text.startsWith(`{"type":"res","id":"${name}","ok":true`))
    )
    const responses = (texts: ReadonlyArray<string>): number =>
      texts.filter((text) => text.startsWith('{"type":"res"')).length
    yield* probe.until((texts) => responses(texts) >= sent.length + 1)

    const requests = sent.flatMap((frame) => requestIn(frame) ?? [])
    const wanted = new Map<string, number>([["connect", 1]])
    const methods = new Map<string, string | undefined>([["connect", "connect"]])
    for (const { id, method } of requests) {
      wanted.set(id, (wanted.get(id) ?? 0) + 1)
      // An id that was used more than once could be any of its methods.
      methods.set(id, methods.has(id) ? undefined : method)
    }
    const answers = answersIn(probe.texts)
    expect([...answers.values()].reduce((sum, count) => sum + count, 0)).toBe(sent.length + 1)
    for (const [id, count] of wanted) {
      // What is no request is answered by its id, if it has one, or as "invalid".
      if ((answers.get(id) ?? 0) < count) throw new Error(`${JSON.stringify(id)} was not answered`)
    }
    for (const text of probe.texts) {
      const [wrong] = violations(text, (id) =>
        wanted.get(id) === answers.get(id) ? methods.get(id) : undefined
      )
      if (wrong !== undefined) throw new Error(`${text.slice(0, 500)}\n${wrong}`)
    }
    yield* probe.leave
  })

const batches = Array.from({ length: Math.ceil(total / perGateway) }, (_, batch) => batch)

it.for(batches)(
  `each request among ${perGateway} mutated frames is answered once, and others are served (batch %d, seed ${seed})`,
  (batch) =>
    run(
      Effect.gen(function* () {
        const random = Prng.make(seed, batch)
        const agent = yield* ScriptedAgent
        yield* agent.answerAll(Option.some(({ message }) => message))
        const healthy = yield* enter
        for (let from = 0; from < perGateway; from += perConnection) {
          const sent = Array.from({ length: perConnection }, (_, at) =>
            Mutation.frame(random, `f${from + at}`)
          )
          yield* conversation(sent, healthy, `h${from}`)
        }
        // Nothing of it is left.
        const registry = yield* RunRegistry
        yield* Effect.repeat(Effect.zipRight(Effect.yieldNow(), registry.list), {
          until: (runs) => runs.length === 0
        })
        healthy.send(JSON.stringify({ type: "req", id: "last", method: "status" }))
        const last = (text: string): boolean => text.startsWith('{"type":"res","id":"last"')
        yield* healthy.until((texts) => texts.some(last))
        expect(JSON.parse(healthy.texts.find(last) ?? "{}")).toMatchObject({
          ok: true,
          payload: { connections: 1, runs: { active: 0, queued: 0, handedOff: 0 } }
        })
      })
    )
)

const collected = Effect.promise(async () => {
  setFlagsFromString("--expose-gc")
  const collect: () => void = runInNewContext("gc")
  await new Promise((resolve) => setImmediate(resolve))
  collect()
  return process.memoryUsage().heapUsed
})

it(`frames that begin nothing leave nothing in memory (seed ${seed})`, () =>
  run(
    Effect.gen(function* () {
      const random = Prng.make(seed, "memory")
      const healthy = yield* enter
      const round = Effect.gen(function* () {
        for (let turn = 0; turn < 10; turn++) {
          const sent = Array.from({ length: 200 }, (_, at) => {
            const frame = Mutation.frame(random, `f${at}`)
            const method = requestIn(frame)?.method
            return method === "chat.send" || method === "chat.inject" ? null : frame
          })
          yield* conversation(sent, healthy, `h${turn}`)
        }
        return yield* collected
      })
      // What is compiled and cached comes first.
      yield* round
      const before = yield* round
      yield* round
      const after = yield* round
      // 4,000 frames of 2 kB on the average: a tenth of them kept would be seen.
      expect(after - before).toBeLessThan(800_000)
    })
  ))
