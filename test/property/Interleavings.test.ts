/**
 * Whatever races: random programs over a whole gateway in memory, and what must be true of every one of them.
 * A program's seed and path are in the report of a failure; `fastCheck: { seed, path }` runs it again.
 */
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Either, Fiber, Option, TestClock } from "effect"
import * as AgentEvent from "../../src/domain/AgentEvent.js"
import { RunId } from "../../src/domain/Ids.js"
import * as SessionKey from "../../src/domain/SessionKey.js"
import { Gateway } from "../../src/gateway/Gateway.js"
import { AgentEvents } from "../../src/run/AgentEvents.js"
import { RunRegistry } from "../../src/run/RunRegistry.js"
import { SessionStore } from "../../src/session/SessionStore.js"
import { SessionStoreMemory } from "../../src/session/SessionStoreMemory.js"
import * as GatewayTest from "../../src/testing/GatewayTest.js"
import { ScriptedAgent } from "../../src/testing/ScriptedAgent.js"
import type { TestClient } from "../../src/testing/TestClient.js"
import { canonicalKeys, canonicalOf, type Operation, program, sessionOf, type Weights } from "./Program.js"

/** What an abort answered, and which agents had been called by then. */
interface Abort {
  readonly runIds: ReadonlyArray<string>
  readonly reason: "rpc" | "stop"
  readonly called: ReadonlySet<string>
}

const fieldOf = (value: unknown, field: string): unknown =>
  typeof value === "object" && value !== null ? new Map(Object.entries(value)).get(field) : undefined

const runIdsOf = (payload: unknown): ReadonlyArray<string> => {
  const runIds = fieldOf(payload, "runIds")
  return Array.isArray(runIds) ? runIds.map(String) : []
}

/** Runs a program to its end and the gateway to its stop; gives what happened. */
const perform = (operations: ReadonlyArray<Operation>) =>
  Effect.gen(function* () {
    const { connect } = yield* GatewayTest.GatewayTest
    const agent = yield* ScriptedAgent
    const events = yield* AgentEvents
    const store = yield* SessionStoreMemory
    const gateway = yield* Gateway
    // One who stays and one who need not; one is told what is new, the other everything.
    const stays = yield* connect()
    const other = yield* connect({ caps: ["delta-only"] })
    let otherStayed = true
    let writesFailed = false
    const sends: Array<readonly [key: string, id: string]> = []
    const mismatches: Array<readonly [key: string, id: string]> = []
    const aborts: Array<Abort> = []
    const handedOff = new Set<string>()

    const called = Effect.map(agent.runs, (runs) => new Set<string>(runs.map(({ request }) => request.runId)))
    const abort = (method: string, params: object, reason: Abort["reason"]) =>
      Effect.gen(function* () {
        // Without the clock's help: an abort is answered at once.
        const { ok, payload } = yield* stays.request(method, params)
        if (ok) aborts.push({ runIds: runIdsOf(payload), reason, called: yield* called })
      })
    const lever = (key: string) =>
      Effect.map(agent.runs, (runs) => Option.fromNullable(runs.find(({ request }) => request.runId === key)))
    let words = 0

    const step = (operation: Operation): Effect.Effect<unknown, unknown> => {
      switch (operation.op) {
        case "send":
        case "mismatch": {
          const { key, op } = operation
          return Effect.map(
            stays.post("chat.send", {
              sessionKey: sessionOf(key),
              message: op === "send" ? `message ${key}` : "something else",
              idempotencyKey: key
            }),
            (id) => (op === "send" ? sends : mismatches).push([key, id])
          )
        }
        case "abort":
          return abort("chat.abort", { sessionKey: sessionOf(operation.key), runId: operation.key }, "rpc")
        case "abortAll":
          return abort("chat.abort", { sessionKey: operation.sessionKey }, "rpc")
        case "stop":
          return abort(
            "chat.send",
            { sessionKey: operation.sessionKey, message: "/stop", idempotencyKey: "stop" },
            "stop"
          )
        case "say":
        case "rewrite":
        case "finish":
        case "fail":
        case "die":
        case "handOff":
          if (operation.op === "handOff") handedOff.add(operation.key)
          return Effect.flatMap(
            lever(operation.key),
            Option.match({
              onNone: () => Effect.void,
              onSome: (run) => {
                if (operation.op === "say") return run.say(`w${words++} `)
                if (operation.op === "rewrite") return run.emit(AgentEvent.text(`all new ${words++} `))
                if (operation.op === "fail") return run.fail("told to fail")
                if (operation.op === "die") return run.die("told to die")
                return operation.op === "finish" ? run.finish : run.handOff
              }
            })
          )
        case "outsideText":
          return events.emit(RunId(operation.key), AgentEvent.textDelta(`o${words++} `))
        case "outsideEnd":
          return events.emit(RunId(operation.key), AgentEvent.end())
        case "outsideFailure":
          return events.emit(RunId(operation.key), AgentEvent.failed("failed elsewhere"))
        case "clock":
          return TestClock.adjust(operation.ms)
        case "yield":
          return Effect.yieldNow()
        case "saveDelay":
          return store.setSaveDelay(operation.ms)
        case "failWrite":
          writesFailed = true
          return store.failWrites(1, { kind: operation.kind })
        case "finishUnsaved":
          writesFailed = true
          return Effect.zipRight(
            store.failWrites(1, { kind: "append" }),
            Effect.flatMap(
              lever(operation.key),
              Option.match({ onNone: () => Effect.void, onSome: ({ finish }) => finish })
            )
          )
        case "stubborn":
          return agent.ignoreInterruption(operation.on)
        case "stall":
          return other.stall
        case "resume":
          return other.resume
        case "leave":
          otherStayed = false
          return other.leave
      }
    }

    for (const operation of operations) yield* step(operation)
    yield* other.resume
    const stopping = yield* Effect.fork(gateway.shutdown)
    // More than any save and any grace takes.
    yield* TestClock.adjust("10 seconds")
    yield* Fiber.join(stopping)
    return {
      stays,
      other: Option.liftPredicate(other, () => otherStayed),
      writesFailed,
      handedOff,
      sends,
      mismatches,
      aborts,
      called: (yield* agent.runs).map(({ request }) => request)
    }
  })

/** What a client was told of each run, in order. */
const tellings = (client: TestClient) =>
  Effect.map(client.frames, (frames) => {
    const told = new Map<string, Array<{ readonly event: string; readonly state: string }>>()
    for (const frame of frames) {
      if (frame.type !== "event" || (frame.event !== "chat" && frame.event !== "agent")) continue
      const runId = String(fieldOf(frame.payload, "runId"))
      const of = told.get(runId) ?? []
      told.set(runId, of)
      of.push({ event: frame.event, state: String(fieldOf(frame.payload, "state")) })
    }
    return told
  })

const canonical = (key: string) =>
  Either.getOrThrow(SessionKey.parse(key, { defaultAgentId: SessionKey.defaultAgentId, mainKey: "main" }))

const transcripts = Effect.gen(function* () {
  const store = yield* SessionStore
  const pages = yield* Effect.forEach(canonicalKeys, (key) =>
    Effect.map(
      store.history(canonical(key), { limit: 1000, maxBytes: 10_000_000 }),
      ({ messages }) => [key, messages] as const
    )
  )
  return new Map(pages)
})

const textOf = (message: { readonly [field: string]: unknown } | undefined): string => {
  const content = message?.["content"]
  return Array.isArray(content) ? String(fieldOf(content[0], "text") ?? "") : ""
}

const check = (operations: ReadonlyArray<Operation>) =>
  Effect.gen(function* () {
    const happened = yield* perform(operations)
    const { aborts, called, stays } = happened
    const registry = yield* RunRegistry
    const books = yield* transcripts

    // No run is left alive.
    expect(yield* registry.list).toEqual([])

    // Every send was answered; a key was accepted at most once, and a mismatch never.
    const accepted: Array<string> = []
    const unsaved = new Set<string>()
    // A send that says something else may come first: then it is the one that is accepted.
    const acceptedAs = new Map<string, string>()
    const taken: Array<readonly [key: string, kind: string]> = []
    for (const [kind, all] of Object.entries({ same: happened.sends, other: happened.mismatches })) {
      for (const [key, id] of all) {
        const { error, ok, payload } = yield* stays.response(id)
        const status = fieldOf(payload, "status")
        if (status === "started") {
          accepted.push(key)
          acceptedAs.set(key, kind)
        } else if (ok) expect(["in_flight", "ok", "aborted"]).toContain(status)
        if (ok || status === "error") taken.push([key, kind])
        else {
          const code = fieldOf(error?.details, "code")
          if (code === "STORE_UNAVAILABLE") unsaved.add(key)
          else expect(code).toBe("IDEMPOTENCY_MISMATCH")
        }
      }
    }
    // Aborted while they were being saved, and the save failed: over, without ever having been accepted.
    const stopped = new Set<string>()
    for (const [key, kind] of taken) {
      if (acceptedAs.has(key)) continue
      stopped.add(key)
      acceptedAs.set(key, kind)
    }
    if (!happened.writesFailed) expect(stopped.size).toBe(0)
    // Whoever says something else under an accepted key is told so.
    for (const [key, kind] of taken) expect(kind).toBe(acceptedAs.get(key))
    if (!happened.writesFailed) expect(unsaved.size).toBe(0)
    expect(new Set(accepted).size).toBe(accepted.length)

    // Agents were called once per run, for accepted runs only.
    const calls = called.map(({ runId }): string => runId)
    expect(new Set(calls).size).toBe(calls.length)
    expect(accepted).toEqual(expect.arrayContaining(calls))

    // `frames` and `chat` fail when a frame breaks the contract or `seq` has a hole.
    const chat = yield* stays.chat()
    const terminals = new Map(
      chat.filter(({ state }) => state !== "delta").map((event) => [event.runId, event])
    )
    const readers = Option.match(happened.other, { onNone: () => [stays], onSome: (other) => [stays, other] })
    for (const reader of readers) {
      const told = yield* tellings(reader)
      // Exactly one terminal for each accepted run, nothing behind it, and nothing of runs that were not accepted.
      expect([...told.keys()].sort()).toEqual([...accepted, ...stopped].sort())
      for (const events of told.values()) {
        const ends = events.filter(({ event, state }) => event === "chat" && state !== "delta")
        expect(ends).toHaveLength(1)
        expect(events.at(-1)).toBe(ends[0])
      }
    }

    // One run of a session at a time: none begins before the one before has ended or was handed off.
    const begun = new Map<string, string>()
    const ended = new Set<string>()
    for (const frame of yield* stays.frames) {
      if (frame.type !== "event" || (frame.event !== "chat" && frame.event !== "agent")) continue
      const runId = String(fieldOf(frame.payload, "runId"))
      if (frame.event === "chat" && fieldOf(frame.payload, "state") !== "delta") ended.add(runId)
      if (frame.event === "chat" || fieldOf(fieldOf(frame.payload, "data"), "phase") !== "start") continue
      const sessionKey = canonicalOf(sessionOf(runId))
      const before = begun.get(sessionKey)
      if (before !== undefined) expect(ended.has(before) || happened.handedOff.has(before)).toBe(true)
      begun.set(sessionKey, runId)
    }

    // What an abort answered is how these runs ended, and only one abort has aborted each.
    const abortedBy = new Map<string, number>()
    for (const { called: before, reason, runIds } of aborts) {
      for (const runId of runIds) {
        abortedBy.set(runId, (abortedBy.get(runId) ?? 0) + 1)
        expect(terminals.get(runId)).toMatchObject({ state: "aborted", stopReason: reason })
        // Aborted before its agent was called: it never is.
        if (!before.has(runId)) expect(calls).not.toContain(runId)
      }
    }
    expect(Math.max(0, ...abortedBy.values())).toBeLessThanOrEqual(1)
    for (const key of stopped) expect(terminals.get(key)).toMatchObject({ state: "aborted" })

    for (const sessionKey of canonicalKeys) {
      const messages = books.get(sessionKey) ?? []
      const questions = messages.filter(({ role }) => role === "user").map(({ runId }) => String(runId))
      const mine = accepted.filter((key) => canonicalOf(sessionOf(key)) === sessionKey)
      // Accepted means in the transcript, once; refused means not.
      expect([...questions].sort()).toEqual([...mine].sort())
      // The lane's order is that of the transcript.
      const order = calls.filter((runId) => mine.includes(runId))
      expect(order).toEqual(questions.filter((runId) => order.includes(runId)))
      // The transcript holds what the terminal said.
      for (const runId of mine) {
        const terminal = terminals.get(runId)
        const answers = messages.filter(
          (message) => message["role"] === "assistant" && message["runId"] === runId
        )
        const text = terminal?.message?.content[0]?.text ?? ""
        expect(answers.length).toBeLessThanOrEqual(1)
        if (answers[0] !== undefined) expect(textOf(answers[0])).toBe(text)
        if (terminal?.state === "final") expect(answers).toHaveLength(1)
        else if (!happened.writesFailed) expect(answers).toHaveLength(text === "" ? 0 : 1)
      }
    }

    for (const runId of accepted) {
      const mine = chat.filter((event) => event.runId === runId)
      expect(mine.map(({ seq }) => seq)).toEqual(mine.map((_, seq) => seq))
      const times = mine.flatMap(({ message, state }) =>
        state === "delta" && message ? [message.timestamp] : []
      )
      for (const [at, time] of times.slice(1).entries()) {
        expect(time - (times[at] ?? 0)).toBeGreaterThanOrEqual(150)
      }
    }
  }).pipe(Effect.provide(GatewayTest.layer({ config })))

// What only moves with the clock and has nothing to say here would cost most of the time.
const config = { tickInterval: Duration.hours(1), slowConsumerTimeout: Duration.hours(1) }

/** Few programs a test, and several tests, so that a busy machine does not make one of them last too long. */
const property = (title: string, weights: Weights) => {
  for (const part of ["", ", more of them"]) {
    it.effect.prop(`${title}${part}`, [program(weights)], ([operations]) => check(operations), {
      fastCheck: { numRuns: 10, endOnFailure: true }
    })
  }
}

describe("interleavings", () => {
  property("of sends, aborts, agents, outside events and the clock", {})
  property("with saves that take their time", { saveDelay: 4, abort: 5, abortAll: 3 })
  property("with agents that ignore their interruption", { stubborn: 4, abort: 6, outside: 6 })
  property("with writes that fail", { failWrite: 4, finishUnsaved: 4, saveDelay: 2 })
  property("with events from outside while an abort is being saved", { saveDelay: 6, outside: 10, abort: 8 })
  property("with a reader that stalls or leaves", { client: 5, say: 10 })
  property("with late and early events from outside, and hand-offs", {
    outside: 12,
    end: 8,
    abort: 6,
    yield: 8
  })
})
