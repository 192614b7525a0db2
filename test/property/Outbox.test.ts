/** Whatever happens between a growing answer and a reader that stalls: what the reader puts together is the answer. */
import { describe, expect, it } from "@effect/vitest"
import { FastCheck } from "effect"
import * as SessionPatterns from "../../src/domain/SessionPatterns.js"
import type { HubEvent } from "../../src/domain/HubEvent.js"
import { Outbox } from "../../src/event/Outbox.js"
import type { View } from "../../src/protocol/EventCodec.js"
import { encodeResponse } from "../../src/protocol/Frame.js"
import * as FakeSink from "../support/FakeSink.js"
import { Answer, cumulative, put, read, type Tag, textAt } from "./Answer.js"

const runId = FastCheck.constantFrom("r1", "r2")
const operation = FastCheck.oneof(
  {
    weight: 6,
    arbitrary: FastCheck.record({
      op: FastCheck.constant("append"),
      runId,
      text: FastCheck.string({ maxLength: 5 })
    })
  },
  {
    weight: 2,
    arbitrary: FastCheck.record({
      op: FastCheck.constant("replace"),
      runId,
      text: FastCheck.string({ maxLength: 8 })
    })
  },
  {
    weight: 8,
    arbitrary: FastCheck.record({
      op: FastCheck.constantFrom("delta", "agent"),
      runId,
      text: FastCheck.constant("")
    })
  },
  {
    weight: 4,
    arbitrary: FastCheck.record({
      op: FastCheck.constantFrom("stall", "take", "some", "join"),
      runId,
      text: FastCheck.constant("")
    })
  },
  {
    weight: 2,
    arbitrary: FastCheck.record({
      op: FastCheck.constantFrom("response", "tick", "end"),
      runId,
      text: FastCheck.constant("")
    })
  }
)
const program = FastCheck.array(operation, { minLength: 5, maxLength: 80 })
const view = FastCheck.record<View>({
  version: FastCheck.constantFrom(3 as const, 4 as const),
  deltaOnly: FastCheck.boolean(),
  positions: FastCheck.boolean()
})

describe("Outbox", () => {
  it.prop(
    "the text put together from what is new is the run's text at each piece, for every view; seq has no holes",
    [program, view],
    ([operations, seen]) => {
      const sink = FakeSink.make()
      const outbox = new Outbox({
        sink,
        view: seen,
        sessions: SessionPatterns.all,
        maxBufferedBytes: 64 * 1024 * 1024
      })
      const answers = new Map(["r1", "r2"].map((id) => [id, new Answer(FakeSink.runRef(id))]))
      // A reader may come in the middle of an answer.
      let joined = operations[0]?.op !== "join"
      const responses: Array<string> = []
      const ended: Array<string> = []
      const send = (event: HubEvent | undefined) => {
        if (joined && event !== undefined) outbox.event(FakeSink.broadcast(event))
      }
      for (const [at, { op, runId: id, text }] of operations.entries()) {
        const answer = answers.get(id)
        if (answer === undefined) continue
        if (op === "append" && !answer.over) answer.append(text)
        else if (op === "replace" && !answer.over) answer.replace(text)
        else if (op === "delta" && !answer.over) send(answer.show("Delta"))
        else if (op === "agent" && !answer.over) send(answer.show("AgentText"))
        else if (op === "stall") {
          // Beyond the high water mark everything waits.
          sink.stall()
          outbox.response(encodeResponse(`s${at}`, { ok: true, payload: "x".repeat(66_000) }))
          responses.push(`s${at}`)
        } else if (op === "take" || op === "some") {
          sink.take(op === "take" ? undefined : 40_000)
          outbox.drained()
        } else if (op === "join" && at > 0) joined = true
        else if (op === "response") {
          outbox.response(encodeResponse(`r${at}`, { ok: true, payload: null }))
          responses.push(`r${at}`)
        } else if (op === "tick") {
          if (joined) outbox.event(FakeSink.tick(at))
        } else if (op === "end" && !answer.over) {
          if (joined) ended.push(id)
          send(answer.end())
        }
      }
      sink.take()
      outbox.drained()

      const events = sink.frames.filter(({ type }) => type === "event")
      expect(events.map(({ seq }) => seq)).toEqual(events.map((_, at) => at + 1))
      expect(sink.frames.filter(({ type }) => type === "res").map(({ id }) => id)).toEqual(responses)

      const readers = new Map<string, string>()
      const over = new Set<string>()
      for (const frame of events) {
        if (frame.event === "tick") continue
        const id = textAt(frame.payload, "runId") ?? ""
        const answer = answers.get(id)
        expect(over.has(id)).toBe(false)
        if (read(frame.payload, "state") === "final") {
          over.add(id)
          expect(read(frame.payload, "message", "content", "0", "text")).toBe(answer?.text)
          continue
        }
        const tag: Tag = frame.event === "chat" ? "Delta" : "AgentText"
        const expected = answer?.texts.get(`${tag}${String(frame.payload?.["seq"])}`)
        if (!seen.deltaOnly) expect(cumulative(frame)).toBe(expected)
        // Who reads the whole text each time may come late; who puts it together must be able to.
        if (!seen.deltaOnly && (seen.version === 3 || operations[0]?.op === "join")) continue
        const key = `${tag}${id}`
        const text = put(frame, readers.get(key) ?? "")
        expect(text).toBe(expected)
        readers.set(key, text)
      }
      expect([...over].sort()).toEqual(ended.sort())
    },
    { fastCheck: { numRuns: 300 } }
  )
})
