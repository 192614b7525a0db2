/**
 * Every frame of the server against our own Schemas, strictly, and against the JSON schemas that the makers of the existing
 * clients publish; and what those schemas let clients send against what we take.
 */
import { PROTOCOL_VERSION } from "@openclaw/gateway-protocol/version"
import { beforeAll, describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Either, FastCheck as fc, Fiber, type Schema, TestClock } from "effect"
import * as AgentEvent from "../../src/domain/AgentEvent.js"
import { RunId } from "../../src/domain/Ids.js"
import { Gateway } from "../../src/gateway/Gateway.js"
import * as ErrorMap from "../../src/protocol/ErrorMap.js"
import * as Event from "../../src/protocol/Event.js"
import * as Method from "../../src/protocol/Method.js"
import * as Params from "../../src/protocol/Params.js"
import * as Version from "../../src/protocol/Version.js"
import { AgentEvents } from "../../src/run/AgentEvents.js"
import { Permissions } from "../../src/run/Permissions.js"
import { SessionStoreMemory } from "../../src/session/SessionStoreMemory.js"
import { ScriptedAgent } from "../../src/testing/ScriptedAgent.js"
import { memoryWire, open, type WireEvents } from "../../src/testing/TestClient.js"
import { violations } from "../support/Contract.js"
import * as FromJsonSchema from "../support/FromJsonSchema.js"
import * as Harness from "../support/Harness.js"
import { png } from "../support/Pictures.js"
import * as Published from "../support/Published.js"
import { quiet } from "../support/Shared.js"

/** Where the server goes beyond the published schemas of version 4. All there is: anything else fails, and so does a stale line. */
const additions: Readonly<Record<string, string>> = {
  "HelloOk.auth: additionalProperties method":
    "protocol.md, version 4: `auth {method, role, scopes}` always; seen on the wire, not published",
  "HelloOk: additionalProperties resume": "protocol.md, resume: `hello-ok.resume` always",
  "AgentEvent: additionalProperties sessionKey":
    "protocol.md, event `agent`: `sessionKey?`; clients match events by it"
}

/** What the published schemas allow a client to send and we refuse. All there is. */
const refusals: Readonly<Record<string, { readonly why: string; readonly params: object }>> = {
  "connect: role": {
    why: "protocol.md, handshake 3: `operator` or `node`; any other role would be a right that nobody defined",
    params: {
      minProtocol: 4,
      maxProtocol: 4,
      client: { id: "test", version: "1", platform: "p", mode: "test" },
      role: "emperor"
    }
  },
  "chat.send: idempotencyKey": {
    why: "kept in memory for a day and longer, so its length is bounded",
    params: { sessionKey: "main", message: "m", idempotencyKey: "k".repeat(513) }
  },
  "chat.send: attachments[].content": {
    why: "protocol.md, chat.send: base64 or a data: URL; the published schema leaves open what it is",
    params: { sessionKey: "main", message: "m", idempotencyKey: "k", attachments: [{ content: 1 }] }
  },
  "sessions.patch: thinkingLevel": {
    why: "it is kept for ever, so its length is bounded",
    params: { key: "main", thinkingLevel: "x".repeat(65) }
  },
  "sessions.patch: reasoningLevel": {
    why: "it is kept for ever, so its length is bounded",
    params: { key: "main", reasoningLevel: "x".repeat(65) }
  },
  "sessions.patch: verboseLevel": {
    why: "docs/state-directory.md: `off`, `on` and `full` are all that mean something",
    params: { key: "main", verboseLevel: "loud" }
  },
  "sessions.list: search": {
    why: "it is looked for in the texts of all sessions, so its length is bounded",
    params: { search: "s".repeat(513) }
  }
}

interface Log {
  readonly received: Array<string>
  readonly sent: Array<{ readonly id: string; readonly method: string; readonly params?: unknown }>
}

/** A client whose frames, both ways, are kept as they were. */
const openLogged = Effect.gen(function* () {
  const gateway = yield* Gateway
  const log: Log = { received: [], sent: [] }
  const client = yield* open((events: WireEvents) =>
    Effect.map(
      memoryWire(gateway)({
        ...events,
        onFrame: (text) => {
          log.received.push(text)
          events.onFrame(text)
        }
      }),
      (wire) => ({
        ...wire,
        send: (text) => {
          if (text !== null && text.startsWith('{"type":"req"')) log.sent.push(JSON.parse(text))
          wire.send(text)
        }
      })
    )
  )
  return { client, log }
})

/** Everything that can happen on the wire, once. */
const everything = Effect.gen(function* () {
  const agent = yield* ScriptedAgent
  const store = yield* SessionStoreMemory
  const outside = yield* AgentEvents
  const permissions = yield* Permissions
  const v4 = yield* openLogged
  const v3 = yield* openLogged
  const deltas = yield* openLogged
  const reader = yield* openLogged
  const resumed = yield* openLogged
  const { client } = v4
  yield* v3.client.connect({ protocol: 3 })
  yield* deltas.client.connect({ caps: ["delta-only"] })
  yield* reader.client.connect({ scopes: ["operator.read"] })
  yield* resumed.client.connect({ caps: ["resume", "sessions"], resume: { epoch: "another", pos: 7 } })
  yield* client.connect()

  const send = (idempotencyKey: string, more: object = {}) =>
    client.request("chat.send", { sessionKey: "main", message: "hi", idempotencyKey, ...more })
  const begin = (idempotencyKey: string, more: object = {}) =>
    Effect.zipRight(send(idempotencyKey, more), agent.next)

  // An answer that grows, is rewritten, and ends well.
  const first = yield* begin("final")
  yield* first.emit(AgentEvent.start)
  yield* first.say("Hel")
  yield* client.awaitChat((event) => event.state === "delta")
  yield* first.say("lo")
  yield* first.emit({ _tag: "Tool", phase: "start", name: "search", toolCallId: "t1", args: { q: 1 } })
  yield* first.emit({
    _tag: "Tool",
    phase: "result",
    name: "search",
    toolCallId: "t1",
    result: ["x"],
    isError: false
  })
  yield* first.emit({ _tag: "Custom", stream: "thinking", data: { text: "hm" } })
  yield* client.awaitFrame(
    ({ payload }) => (payload as { readonly stream?: string } | undefined)?.stream === "thinking"
  )
  yield* TestClock.adjust("1 seconds")
  yield* first.emit(AgentEvent.text("Goodbye"))
  yield* client.request("status")
  yield* TestClock.adjust("1 seconds")
  yield* first.emit(AgentEvent.end({ stopReason: "max_tokens", usage: { input: 1, output: 2 } }))
  yield* client.terminal("final")
  yield* send("final")
  yield* send("final", { message: "something else" })
  // One that is aborted with a part of it said, one from its lane.
  const second = yield* begin("aborted")
  yield* second.say("par")
  yield* client.awaitChat((event) => event.runId === "aborted")
  yield* send("queued")
  yield* send("too many")
  yield* send("aborted")
  yield* client.request("chat.abort", { sessionKey: "other", runId: "aborted" })
  yield* client.request("chat.abort", { sessionKey: "main", runId: "aborted" })
  yield* client.request("chat.abort", { sessionKey: "main" })
  yield* client.terminal("queued")
  yield* send("aborted")
  // Failures: with words, without, and of the worst kind.
  const third = yield* begin("error")
  yield* third.say("par")
  yield* third.fail("out of tokens")
  yield* client.terminal("error")
  yield* send("error")
  yield* Effect.flatMap(begin("wordless"), (run) => run.fail(""))
  yield* client.terminal("wordless")
  yield* send("wordless")
  yield* Effect.flatMap(begin("defect"), (run) => run.die("a bug"))
  yield* client.terminal("defect")
  // Handed off, and ended from outside.
  yield* Effect.flatMap(begin("handed off"), (run) => run.handOff)
  yield* outside.emit(RunId("handed off"), AgentEvent.text("from afar"))
  yield* outside.emit(RunId("handed off"), AgentEvent.end())
  yield* client.terminal("handed off")
  // An agent that asks.
  const asking = yield* begin("asks")
  const question = yield* Effect.fork(
    asking.request.ask({
      title: "Remove the file?",
      args: { path: "a" },
      options: [{ id: "no", name: "No", kind: "reject_once" }],
      timeout: Duration.seconds(9)
    })
  )
  yield* client.awaitFrame((frame) => frame.type === "event" && frame.event === "permission.requested")
  const id = (yield* permissions.list)[0]?.question.id
  yield* client.request("permission.list", { sessionKey: "main" })
  yield* client.request("permission.resolve", { id, optionId: "yes" })
  yield* client.request("permission.resolve", { id, optionId: "no" })
  yield* client.request("permission.resolve", { id, optionId: "no" })
  yield* Fiber.join(question)
  yield* asking.answer("as you like")
  yield* client.terminal("asks")
  // The other methods.
  yield* client.request("agents.list", {})
  yield* client.request("models.list", {})
  yield* client.request("chat.inject", { sessionKey: "main", message: "note", label: "ops" })
  yield* client.awaitChat((event) => event.runId.startsWith("inject-"))
  yield* client.request("chat.history", { sessionKey: "main" })
  yield* client.request("chat.history", { sessionKey: "main", limit: 2 })
  yield* client.request("chat.history", { sessionKey: "nobody" })
  yield* Effect.flatMap(begin("image", { attachments: [{ content: png.data }] }), (run) =>
    run.answer("a dot")
  )
  yield* client.terminal("image")
  yield* client.request("chat.history", { sessionKey: "main", limit: 2 })
  yield* client.request("chat.image", { sessionKey: "main", sha256: png.sha256 })
  yield* client.request("chat.image", { sessionKey: "nobody", sha256: png.sha256 })
  yield* store.setImage(png.name, undefined)
  yield* client.request("chat.image", { sessionKey: "main", sha256: png.sha256 })
  yield* client.request("health")
  yield* client.request("status", {})
  yield* client.request("runs.list", {})
  yield* client.request("system-presence", {})
  // Sessions.
  yield* client.request("sessions.list", { includeDerivedTitles: true, includeLastMessage: true })
  yield* client.request("sessions.preview", { keys: ["main", "nobody"] })
  yield* client.request("sessions.resolve", { key: "main" })
  yield* client.request("sessions.resolve", { label: "nothing" })
  yield* client.request("sessions.resolve", { label: "nothing", allowMissing: true })
  yield* client.request("sessions.patch", { key: "main", label: "twin" })
  yield* client.request("sessions.patch", { key: "other", label: "twin" })
  yield* client.request("sessions.patch", { key: "other", label: "x", expectedSessionId: "another" })
  yield* client.request("sessions.resolve", { label: "twin" })
  yield* client.request("sessions.resolve", { label: "twin", allowMissing: true })
  yield* client.request("sessions.reset", { key: "other", reason: "new" })
  yield* client.request("sessions.delete", { key: "other" })
  yield* client.request("sessions.delete", { key: "other" })
  yield* client.request("sessions.delete", { key: "main" })
  // Refusals.
  yield* client.request("chat.history", { sessionKey: "../etc" })
  yield* client.request("chat.history", {})
  yield* send("empty", { message: " " })
  yield* send("nobody", { sessionKey: "agent:nobody:main" })
  yield* send("attachment", { attachments: [{ content: "%%%" }] })
  yield* client.request("nope")
  yield* client.request("connect", {})
  yield* client.raw("garbage")
  yield* client.raw(null)
  yield* reader.client.request("chat.abort", { sessionKey: "main" })
  yield* store.failWrites(1)
  yield* send("disk full")
  yield* TestClock.adjust("30 seconds")
  // The end, held up by an answer that is still being saved.
  const last = yield* begin("shut down")
  yield* last.say("par")
  yield* client.awaitChat((event) => event.runId === "shut down")
  yield* store.setSaveDelay("100 millis")
  const stopping = yield* Effect.flatMap(Gateway, (gateway) => Effect.fork(gateway.shutdown))
  yield* Effect.yieldNow()
  yield* send("too late")
  yield* TestClock.adjust("100 millis")
  yield* stopping
  yield* client.closed
  return { v4, v3, deltas, reader, resumed }
}).pipe(
  Effect.scoped,
  Effect.provide(Harness.memory({ config: { maxQueuedPerSession: 1, drainGrace: Duration.zero } }))
)

let seen: Effect.Effect.Success<typeof everything>
beforeAll(async () => {
  seen = await Effect.runPromise(Effect.provide(everything, quiet))
})

/** The results that are published. */
const results: Readonly<Record<string, string>> = {
  connect: "HelloOk",
  "sessions.resolve": "SessionsResolveResult",
  "sessions.delete": "SessionsDeleteResult"
}

/** The published definitions that a frame is measured by. */
const measure = (text: string, methodOf: (id: string) => string | undefined): ReadonlyArray<string> => {
  const frame = JSON.parse(text) as Readonly<Record<string, unknown>>
  const { event, id, ok, payload } = frame
  if (event === undefined) {
    const result = results[methodOf(String(id)) ?? ""]
    return [
      ...Published.deviations("ResponseFrame", frame),
      ...(ok === true && result !== undefined ? Published.deviations(result, payload) : [])
    ]
  }
  const definitions: Readonly<Record<string, string>> = {
    chat: "ChatEvent",
    agent: "AgentEvent",
    tick: "TickEvent",
    shutdown: "ShutdownEvent"
  }
  const definition = definitions[String(event)]
  return [
    ...Published.deviations("EventFrame", frame),
    ...(definition === undefined ? [] : Published.deviations(definition, payload))
  ]
}

const methods = ({ sent }: Log) => {
  const known = new Map(sent.map(({ id, method }) => [id, method]))
  return (id: string) => known.get(id)
}

describe("every frame of the server", () => {
  it("is what our Schemas say, with nothing more in it, and was seen in all its kinds", () => {
    const { deltas, reader, resumed, v3, v4 } = seen
    for (const { log } of [v3, v4, deltas, reader, resumed]) {
      expect(log.received.flatMap((text) => violations(text, methods(log)))).toEqual([])
    }
    const frames = v4.log.received.map((text) => JSON.parse(text) as Readonly<Record<string, unknown>>)
    // A test of everything proves nothing about what did not happen in it.
    const events = new Set(
      resumed.log.received.flatMap((text) => {
        const { event } = JSON.parse(text) as { readonly event?: string }
        return event === undefined ? [] : [event]
      })
    )
    expect([...events].toSorted()).toEqual(Event.names.toSorted())
    const states = new Set(
      frames.map(({ payload }) => (payload as { readonly state?: string } | undefined)?.state)
    )
    expect(states).toEqual(new Set([undefined, "delta", "final", "aborted", "error"]))
    const errors = frames.flatMap(({ error }) =>
      error === undefined ? [] : [(error as { readonly details: { readonly code: string } }).details.code]
    )
    expect([...new Set(errors)].toSorted()).toEqual([
      "ALREADY_CONNECTED",
      "AMBIGUOUS_SESSION",
      "EMPTY_MESSAGE",
      "IDEMPOTENCY_MISMATCH",
      "IMAGE_UNAVAILABLE",
      "INVALID_ATTACHMENT",
      "INVALID_FRAME",
      "INVALID_PARAMS",
      "INVALID_SESSION_KEY",
      "MAIN_SESSION",
      "QUEUE_FULL",
      "RUN_FAILED",
      "RUN_SESSION_MISMATCH",
      "SESSION_CHANGED",
      "SHUTTING_DOWN",
      "STORE_UNAVAILABLE",
      "UNKNOWN_AGENT",
      "UNKNOWN_IMAGE",
      "UNKNOWN_METHOD",
      "UNKNOWN_PERMISSION",
      "UNKNOWN_PERMISSION_OPTION",
      "UNKNOWN_SESSION"
    ])
    const called = new Set(v4.log.sent.map(({ method }) => method))
    expect(Method.names.filter((name) => !called.has(name))).toEqual([])
  })

  it("is what is published for version 4, but for the additions", () => {
    const { deltas, reader, v4 } = seen
    const found = [v4, deltas, reader].flatMap(({ log }) =>
      log.received.flatMap((text) => measure(text, methods(log)))
    )
    expect([...new Set(found)].toSorted()).toEqual(Object.keys(additions).toSorted())
  })

  it("with positions is the same and `pos`", () => {
    const { resumed } = seen
    const found = resumed.log.received.flatMap((text) => {
      const frame = JSON.parse(text) as { readonly event?: string; readonly payload: object }
      if (frame.event === undefined || frame.event === "connect.challenge") return []
      expect(frame.payload).toHaveProperty("pos", expect.any(Number))
      if (frame.event === "resume.reset") return []
      const { pos: _, ...payload } = frame.payload as { readonly pos: number }
      return measure(JSON.stringify({ ...frame, payload }), methods(resumed.log))
    })
    expect([...new Set(found)]).toEqual(["AgentEvent: additionalProperties sessionKey"])
  })

  it("of version 3 too is a published frame, whatever its payload", () => {
    const { v3 } = seen
    const found = v3.log.received.flatMap((text) => {
      const frame: unknown = JSON.parse(text)
      return Published.deviations(text.startsWith('{"type":"event"') ? "EventFrame" : "ResponseFrame", frame)
    })
    expect(found).toEqual([])
  })

  it("before hello is one as well", () => {
    const errors = [ErrorMap.connectFirst, ErrorMap.protocolMismatch(4), ErrorMap.internal]
    expect(errors.flatMap((error) => Published.deviations("ErrorShape", error))).toEqual([])
  })
})

const definitions = {
  connect: "ConnectParams",
  "chat.send": "ChatSendParams",
  "chat.history": "ChatHistoryParams",
  "chat.abort": "ChatAbortParams",
  "chat.inject": "ChatInjectParams",
  "sessions.list": "SessionsListParams",
  "sessions.preview": "SessionsPreviewParams",
  "sessions.resolve": "SessionsResolveParams",
  "sessions.patch": "SessionsPatchParams",
  "sessions.reset": "SessionsResetParams",
  "sessions.delete": "SessionsDeleteParams"
} as const
const contracts = { ...Method.methods, connect: Method.connect }

describe("what our test client sends", () => {
  it("is what is published", () => {
    const { v4 } = seen
    const refusedOnPurpose = new Set(
      v4.log.received.flatMap((text) => {
        const { error, id } = JSON.parse(text) as {
          readonly error?: { readonly details: { readonly code: string } }
          readonly id?: string
        }
        return error?.details.code === "INVALID_PARAMS" || error?.details.code === "ALREADY_CONNECTED"
          ? [id]
          : []
      })
    )
    const found = v4.log.sent.flatMap((frame) => {
      const definition = Object.entries(definitions).find(([method]) => method === frame.method)?.[1]
      return [
        ...Published.deviations("RequestFrame", frame),
        ...(definition === undefined || refusedOnPurpose.has(frame.id)
          ? []
          : Published.deviations(definition, frame.params))
      ]
    })
    expect(found).toEqual([])
  })
})

describe.each(Object.entries(definitions) as ReadonlyArray<[keyof typeof definitions, string]>)(
  "%s",
  (method, definition) => {
    const contract: { readonly params: Schema.Schema.AnyNoContext } = contracts[method]
    const decode = Params.decoder(method, contract.params)
    const refused = (params: unknown): ReadonlyArray<string> =>
      Either.match(decode(params), {
        onLeft: ({ path }) => [`${method}: ${path.replaceAll(/\[\d+\]/g, "[]")}`],
        onRight: () => []
      })

    it(`takes whatever ${definition} allows, but for the refusals`, () => {
      fc.assert(
        fc.property(FromJsonSchema.arbitrary(Published.definition(definition)), (generated) => {
          const params: unknown = JSON.parse(JSON.stringify(generated))
          expect(Published.deviations(definition, params)).toEqual([])
          for (const refusal of refused(params)) expect(Object.keys(refusals)).toContain(refusal)
        }),
        { numRuns: 300 }
      )
    })

    it.for(Object.entries(refusals).filter(([refusal]) => refusal.startsWith(`${method}: `)))(
      "refuses %s",
      ([refusal, { params }]) => {
        expect(Published.deviations(definition, params)).toEqual([])
        expect(refused(params)).toEqual([refusal])
      }
    )
  }
)

it("the version that is asked of clients is the published one", () => {
  expect(Version.expected).toBe(PROTOCOL_VERSION)
})

it("we offer no method that is not published, but for those that are ours", () => {
  const ours = ["chat.image", "permission.list", "permission.resolve", "runs.list"]
  expect(Method.names.filter((name) => !Published.methods.includes(name))).toEqual(ours)
})
