/** Whatever happens inside, what goes out is what the Schemas say, for every view. */
import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck as fc, ParseResult, type Schema } from "effect"
import type { AgentText, Delta, HubEvent, SessionChanged, Terminal } from "../../src/domain/HubEvent.js"
import { MessageId, RunId, runIdOf } from "../../src/domain/Ids.js"
import * as SessionKey from "../../src/domain/SessionKey.js"
import * as GatewayConfig from "../../src/GatewayConfig.js"
import * as Event from "../../src/protocol/Event.js"
import * as EventCodec from "../../src/protocol/EventCodec.js"
import { encodeEvent, EventFrame } from "../../src/protocol/Frame.js"
import * as Published from "../support/Published.js"

const views: ReadonlyArray<readonly [string, EventCodec.View]> = [
  ["version 3", { version: 3, deltaOnly: false, positions: false }],
  ["version 3, delta-only", { version: 3, deltaOnly: true, positions: false }],
  ["version 4", { version: 4, deltaOnly: false, positions: false }],
  ["version 4, delta-only", { version: 4, deltaOnly: true, positions: false }]
]

const name = fc.string({ unit: "binary", minLength: 1 })
const text = fc.string({ unit: "binary", maxLength: 400 })
const shared = { seq: fc.nat(), timestamp: fc.nat() }
const run = fc.record({
  runId: name.map(RunId),
  sessionKey: fc.constant(SessionKey.main(GatewayConfig.defaults)),
  requestedKey: name,
  agentId: fc.constant(SessionKey.defaultAgentId)
})
const piece = {
  ...shared,
  run,
  text,
  revision: fc.nat(3),
  /** Cut to the text's length, below. */
  from: fc.nat(400)
}
const within = <A extends { readonly from: number; readonly text: string }>(event: A): A => ({
  ...event,
  from: Math.min(event.from, event.text.length)
})
const outcome = fc.oneof(
  fc.record(
    { _tag: fc.constant("Final" as const), stopReason: fc.string(), usage: fc.jsonValue() },
    { requiredKeys: ["_tag"] }
  ),
  fc.record({
    _tag: fc.constant("Aborted" as const),
    stopReason: fc.constantFrom(...(["rpc", "stop", "timeout", "shutdown"] as const))
  }),
  fc.record({ _tag: fc.constant("Error" as const), message: text })
)
const delta: fc.Arbitrary<Delta> = fc.record({ ...piece, _tag: fc.constant("Delta" as const) }).map(within)
const agentText: fc.Arbitrary<AgentText> = fc
  .record({ ...piece, _tag: fc.constant("AgentText" as const) })
  .map(within)
const terminal: fc.Arbitrary<Terminal> = fc.record({
  ...shared,
  _tag: fc.constant("Terminal" as const),
  run,
  outcome,
  text
})
const event: fc.Arbitrary<Exclude<HubEvent, SessionChanged>> = fc.oneof(
  delta,
  agentText,
  terminal,
  fc.record({
    _tag: fc.constant("Injected" as const),
    sessionKey: fc.constant(SessionKey.main(GatewayConfig.defaults)),
    requestedKey: name,
    agentId: fc.constant(SessionKey.defaultAgentId),
    messageId: name.map(MessageId),
    text,
    timestamp: fc.nat()
  }),
  fc.record({
    ...shared,
    _tag: fc.constant("AgentActivity" as const),
    run,
    stream: name,
    data: fc.dictionary(fc.string(), fc.jsonValue())
  })
)

const frame = ParseResult.decodeUnknownEither(EventFrame, { onExcessProperty: "error" })
const takes = (schema: Schema.Schema.AnyNoContext) => {
  const decode = ParseResult.decodeUnknownEither(schema, { onExcessProperty: "error" })
  return (payload: unknown): boolean => Either.isRight(decode(payload))
}
const payloads = { chat: takes(Event.events.chat.payload), agent: takes(Event.events.agent.payload) }
const encoded = (happened: HubEvent, view: EventCodec.View) => {
  const kind = EventCodec.eventName(happened)
  const payload = JSON.parse(EventCodec.encode(happened, view)) as Readonly<Record<string, unknown>>
  return { kind: kind === "agent" ? ("agent" as const) : ("chat" as const), payload }
}

it.each(views)("a change of a session decodes with its Schema: %s", (_, view) => {
  const takesChange = takes(Event.events["sessions.changed"].payload)
  fc.assert(
    fc.property(
      fc.constantFrom<SessionChanged["reason"]>("message", "inject", "patch", "reset", "delete"),
      fc.option(name, { nil: undefined }),
      (reason, key) => {
        const sessionKey = SessionKey.main(GatewayConfig.defaults)
        const ofRun = key === undefined ? {} : { runId: runIdOf("alice", key) }
        const happened: SessionChanged = { _tag: "SessionChanged", sessionKey, reason, ...ofRun }
        const payload: unknown = JSON.parse(EventCodec.encode(happened, view))
        expect(takesChange(payload)).toBe(true)
        // Its sender's key, without the sender.
        expect(payload).toEqual({ sessionKey, reason, ...(key === undefined ? {} : { runId: key }) })
      }
    )
  )
})

describe.each(views)("%s", (_, view) => {
  it("every event decodes with its Schema, with nothing more in it", () => {
    fc.assert(
      fc.property(event, fc.nat(), (happened, seq) => {
        const { kind, payload } = encoded(happened, view)
        const text = encodeEvent(kind, EventCodec.encode(happened, view), seq)
        expect(JSON.parse(text)).toEqual({ type: "event", event: kind, payload, seq })
        expect(Either.isRight(frame(JSON.parse(text)))).toBe(true)
        expect(payloads[kind](payload)).toBe(true)
        expect(payload["sessionKey"]).toBe(
          "run" in happened ? happened.run.requestedKey : happened.requestedKey
        )
      })
    )
  })

  it("version 3 gets nothing that only version 4 knows", () => {
    fc.assert(
      fc.property(event, (happened) => {
        const { kind, payload } = encoded(happened, view)
        if (kind !== "chat") return
        expect("agentId" in payload).toBe(view.version === 4)
        if (view.version === 3) expect(payload).not.toHaveProperty("errorDetail")
        expect("deltaText" in payload).toBe(
          happened._tag === "Delta" && (view.version === 4 || view.deltaOnly)
        )
      })
    )
  })

  it("a delta has the whole text, or with delta-only what is new, which appends to what was there", () => {
    fc.assert(
      fc.property(delta, (happened) => {
        const { payload } = encoded(happened, view)
        const message = {
          role: "assistant",
          content: [{ type: "text", text: happened.text }],
          timestamp: happened.timestamp
        }
        expect(payload["message"]).toEqual(view.deltaOnly ? undefined : message)
        if (view.version === 3 && !view.deltaOnly) return
        const before = payload["replace"] === true ? "" : happened.text.slice(0, happened.from)
        expect(before + String(payload["deltaText"])).toBe(happened.text)
        expect(payload["replace"] === true).toBe(happened.from === 0 && happened.revision > 0)
      })
    )
  })

  it("who has none of an answer gets all of it, as a replacement", () => {
    fc.assert(
      fc.property(delta, (happened) => {
        const payload = JSON.parse(EventCodec.encodeGrowth(happened, view, undefined)) as Readonly<
          Record<string, unknown>
        >
        if (view.version === 4 || view.deltaOnly) {
          expect(payload).toMatchObject({ deltaText: happened.text, replace: true })
        } else expect(payload).not.toHaveProperty("replace")
      })
    )
  })

  it("what JSON can't hold does not stop an event", () => {
    const cycle: Record<string, unknown> = {}
    cycle["self"] = cycle
    const hostile = {
      toJSON: () => {
        throw new Error("no")
      }
    }
    for (const foreign of [1n, cycle, { deep: [1n] }, hostile]) {
      const ref = fc.sample(run, 1)[0]
      if (ref === undefined) throw new Error("no sample")
      const final = encoded(
        {
          _tag: "Terminal",
          run: ref,
          seq: 1,
          outcome: { _tag: "Final", usage: foreign },
          text: "t",
          timestamp: 1
        },
        view
      )
      expect(final.payload).toMatchObject({ state: "final", message: { content: [{ text: "t" }] } })
      expect(final.payload).not.toHaveProperty("usage")
      const tool = encoded(
        { _tag: "AgentActivity", run: ref, seq: 1, stream: "tool", data: { args: foreign }, timestamp: 1 },
        view
      )
      expect(tool.payload).toMatchObject({ stream: "tool", data: { unencodable: true } })
      expect(payloads.agent(tool.payload)).toBe(true)
    }
  })
})

it("version 4 is what is published, but for the session key on agent events", () => {
  fc.assert(
    fc.property(event, (happened) => {
      const { kind, payload } = encoded(happened, { version: 4, deltaOnly: false, positions: false })
      expect(Published.deviations(kind === "chat" ? "ChatEvent" : "AgentEvent", payload)).toEqual(
        kind === "chat" ? [] : ["AgentEvent: additionalProperties sessionKey"]
      )
    })
  )
})
