/** Random and mutated frames. A failure prints its seed: `fc.assert(…, { seed, path })` brings it back. */
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, FastCheck as fc, Option } from "effect"
import { Gateway } from "../../src/gateway/Gateway.js"
import * as Method from "../../src/protocol/Method.js"
import { ScriptedAgent } from "../../src/testing/ScriptedAgent.js"
import { memoryWire } from "../../src/testing/TestClient.js"
import { Address } from "../../src/transport/WebSocketTransport.js"
import { violations } from "../support/Contract.js"
import * as Harness from "../support/Harness.js"
import * as Probe from "../support/Probe.js"
import { shared } from "../support/Shared.js"
import { socketWire } from "../support/SocketWire.js"

const client = { id: "test", version: "0", platform: "test", mode: "test" }
const connect = {
  type: "req",
  id: "connect",
  method: "connect",
  params: { minProtocol: 3, maxProtocol: 4, client }
}

// What a frame may be made of: mostly right, so that much of it gets past the first check.
const text = fc.oneof(
  fc.string(),
  fc.string({ unit: "binary" }),
  fc.constantFrom("__proto__", "constructor", "\ud800", "\u0000", "")
)
const mostly = <A>(right: fc.Arbitrary<A>): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 9, arbitrary: right }, { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) })
const sessionKey = mostly(
  fc.oneof(fc.constantFrom("main", "a", "agent:main:b", "agent:other:c", "global"), text)
)
const key = mostly(fc.oneof(fc.constantFrom("k1", "k2", "k3", "__proto__"), text))
const params = fc.oneof(
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
  {
    weight: 4,
    arbitrary: fc.record(
      {
        sessionKey,
        message: mostly(fc.oneof(text, fc.constant("/stop"))),
        idempotencyKey: key,
        runId: key,
        limit: mostly(fc.oneof(fc.integer(), fc.double(), fc.constantFrom(1, 1000))),
        before: mostly(text),
        label: mostly(text),
        thinking: mostly(text),
        timeoutMs: mostly(fc.oneof(fc.nat(), fc.double())),
        deliver: mostly(fc.boolean()),
        attachments: mostly(
          fc.array(fc.record({ content: text, fileName: text }, { requiredKeys: [] }), { maxLength: 2 })
        ),
        extra: fc.jsonValue()
      },
      { requiredKeys: [] }
    )
  }
)
const request = fc.record(
  {
    type: fc.oneof({ weight: 19, arbitrary: fc.constant("req") }, { weight: 1, arbitrary: text }),
    id: fc.oneof(
      { weight: 9, arbitrary: fc.string({ minLength: 1, unit: "binary" }) },
      { weight: 1, arbitrary: fc.jsonValue() }
    ),
    method: fc.oneof(
      { weight: 9, arbitrary: fc.constantFrom(...Method.names, "connect") },
      { weight: 1, arbitrary: text }
    ),
    params
  },
  { requiredKeys: ["type", "id", "method"] }
)
const parts = [
  "{",
  "}",
  "[",
  "]",
  '"',
  ":",
  ",",
  "\\",
  "\\u",
  "null",
  "1e999",
  "-",
  '"id":1,',
  '"__proto__":',
  "\u0000",
  "\ud800",
  "\ufeff",
  " "
]
const edits = fc.array(fc.tuple(fc.nat(), fc.nat(3), fc.constantFrom(...parts)), {
  minLength: 1,
  maxLength: 4
})
/** Changes a text in a few places: takes characters away, puts others in. */
const mutate = (whole: string, changes: ReadonlyArray<readonly [number, number, string]>): string =>
  changes.reduce((changed, [where, gone, put]) => {
    const at = where % (changed.length + 1)
    return changed.slice(0, at) + put + changed.slice(at + gone)
  }, whole)
const frames = (valid: fc.Arbitrary<unknown>): fc.Arbitrary<string | null> =>
  fc.oneof(
    { weight: 6, arbitrary: valid.map((value) => JSON.stringify(value)) },
    {
      weight: 4,
      arbitrary: fc.tuple(valid, edits).map(([value, changes]) => mutate(JSON.stringify(value), changes))
    },
    { weight: 1, arbitrary: fc.json() },
    { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 200 }) },
    { weight: 1, arbitrary: fc.constant(null) }
  )

/** What a frame says, read as naively as can be. */
const reading = (frame: string | null): { readonly id: string; readonly method?: string } => {
  let value: unknown
  try {
    // What can't be UTF-8 becomes U+FFFD on a socket, and stays what it is in memory.
    value = frame === null ? undefined : JSON.parse(frame)
  } catch {
    return { id: "invalid" }
  }
  const { id, method, type } = (
    typeof value === "object" && value !== null && !Array.isArray(value) ? value : {}
  ) as Record<string, unknown>
  if (typeof id !== "string" || id === "") return { id: "invalid" }
  return type === "req" && typeof method === "string" && method !== "" ? { id, method } : { id }
}

const responses = (texts: ReadonlyArray<string>): ReadonlyArray<string> =>
  texts.filter((frame) => frame.startsWith('{"type":"res"'))
const idOf = (frame: string): string => (JSON.parse(frame) as { readonly id: string }).id

/** Says hello, sends all of it, waits for as many answers, and looks whether they are the right ones. */
const conversation = (probe: Probe.Probe, sent: ReadonlyArray<string | null>) =>
  Effect.gen(function* () {
    probe.send(JSON.stringify(connect))
    for (const frame of sent) probe.send(frame)
    // Behind everything: still there, and still right.
    const last = JSON.stringify({ type: "req", id: "the last", method: "health" })
    probe.send(last)
    const read = [...sent, last].map(reading)
    yield* probe.until((texts) => responses(texts).length >= read.length + 1)
    const answers = responses(probe.texts)
    expect(answers.map(idOf).toSorted()).toEqual(["connect", ...read.map(({ id }) => id)].toSorted())

    // An id that was used more than once could be any of its methods.
    const methods = new Map<string, string | undefined>([["connect", "connect"]])
    for (const { id, method } of read) methods.set(id, methods.has(id) ? undefined : method)
    expect(probe.texts.flatMap((frame) => violations(frame, (id) => methods.get(id)))).toEqual([])
  }).pipe(Effect.ensuring(probe.leave))

/** So that a failure is told, with its seed, before the test's own time is over, however long shrinking takes. */
const limits = { interruptAfterTimeLimit: 4000 }

const memory = Harness.memory()
const socket = Harness.socket()

describe("fuzz, memory", () => {
  const run = shared(memory)
  const probe = Effect.flatMap(Gateway, (gateway) => Probe.open(memoryWire(gateway)))

  it.for([1, 2, 3])(
    "2,000 frames: no crash, each answered exactly once, every frame of the server is right (%d)",
    () =>
      run(
        Effect.gen(function* () {
          yield* Effect.flatMap(ScriptedAgent, (agent) =>
            agent.answerAll(Option.some(({ message }) => message))
          )
          const context = yield* Effect.context<Gateway>()
          yield* Effect.promise(() =>
            fc.assert(
              fc.asyncProperty(
                fc.array(frames(request), { minLength: 40, maxLength: 40, size: "max" }),
                (sent) =>
                  run(
                    Effect.provide(
                      Effect.flatMap(probe, (opened) => conversation(opened, sent)),
                      context
                    )
                  )
              ),
              { ...limits, numRuns: 50 }
            )
          )
        })
      )
  )

  it("a first frame: hello for what is right, else a close, with an answer if it was a request", () =>
    run(
      Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(frames(fc.oneof(request, fc.constant(connect))), (first) =>
            run(
              Effect.gen(function* () {
                const opened = yield* probe
                opened.send(first)
                const said = (texts: ReadonlyArray<string>) =>
                  responses(texts).some((frame) => frame.includes('"ok":true'))
                yield* Effect.raceFirst(opened.until(said), Deferred.await(opened.closed))
                const answers = responses(opened.texts)
                const { id, method } = reading(first)
                expect(answers.map(idOf)).toEqual(method === undefined ? [] : [id])
                expect(opened.texts.flatMap((frame) => violations(frame, () => method))).toEqual([])
                if (!said(opened.texts)) {
                  expect([1002, 1008]).toContain((yield* Deferred.await(opened.closed)).code)
                  // And nothing helps any more.
                  opened.send(JSON.stringify(connect))
                  expect(responses(opened.texts)).toEqual(answers)
                } else expect(method).toBe("connect")
                yield* opened.leave
              })
            )
          ),
          { ...limits, numRuns: 500 }
        )
      )
    ))
})

describe("fuzz, socket", () => {
  const run = shared(socket)

  it("1,000 frames: no crash, each answered exactly once, every frame of the server is right", () =>
    run(
      Effect.gen(function* () {
        yield* Effect.flatMap(ScriptedAgent, (agent) =>
          agent.answerAll(Option.some(({ message }) => message))
        )
        const { url } = yield* Address
        yield* Effect.promise(() =>
          fc.assert(
            fc.asyncProperty(
              fc.array(frames(request).map(overUtf8), { minLength: 100, maxLength: 100, size: "max" }),
              (sent) =>
                run(Effect.flatMap(Probe.open(socketWire(url)), (opened) => conversation(opened, sent)))
            ),
            { ...limits, numRuns: 10 }
          )
        )
      })
    ))
})

/** A text as the other end of a socket sees it. */
const overUtf8 = (frame: string | null): string | null =>
  frame === null ? null : Buffer.from(frame).toString()
