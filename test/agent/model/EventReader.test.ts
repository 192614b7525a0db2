/** From bytes to what the agent says, wherever the network cuts. */
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import type { AgentEvent } from "../../../src/domain/AgentEvent.js"
import * as EventReader from "../../../src/agent/model/EventReader.js"
import type * as ModelError from "../../../src/agent/model/ModelError.js"

const site: ModelError.Site = {
  baseUrl: "http://127.0.0.1",
  model: "model-1",
  apiKey: Option.none(),
  keyName: undefined
}

/** Says each event's data, until one says "over". */
const plain = (): EventReader.Answer => {
  let over = false
  return {
    take: (data, said) => {
      if (data === "over") over = true
      else said.push({ _tag: "TextDelta", delta: `<${data}>` })
      return undefined
    },
    over: () => over,
    end: () => ({ _tag: "End" }),
    usage: () => undefined
  }
}

/** Reads these pieces of bytes. */
const read = (pieces: ReadonlyArray<Uint8Array>): string => {
  const reader = EventReader.make(site, plain())
  const said: Array<AgentEvent> = []
  for (const piece of pieces) said.push(...reader.feed([piece]).said)
  return said.map((event) => (event._tag === "TextDelta" ? event.delta : event._tag)).join("")
}

const streams: ReadonlyArray<readonly [string, string, string]> = [
  ["plain", "data: a\n\ndata: b\n\ndata: over\n\n", "<a><b>End"],
  ["with CRLF", "data: a\r\n\r\nevent: x\r\ndata: b\r\n\r\ndata: over\r\n\r\n", "<a><b>End"],
  ["with CR alone", "data: a\r\rdata: over\r\r:\n", "<a>End"],
  ["with a byte order mark", "\uFEFFdata: a\n\ndata: over\n\n", "<a>End"],
  ["of characters of many bytes", "data: Grüße 👋🏽\n\ndata: over\n\n", "<Grüße 👋🏽>End"],
  ["with data of several lines", "data: a\ndata: b\n\ndata:over\n\n", "<a\nb>End"],
  [
    "with comments, ids and retries",
    ": ping\n\nid: 7\nretry: 9\ndata: a\n\nfoo: bar\n\ndata: over\n\n",
    "<a>End"
  ],
  ["with something behind its end", "data: over\n\ndata: never\n\n", "End"]
]

describe("EventReader", () => {
  for (const [name, stream, expected] of streams) {
    it(`a stream ${name} is the same wherever it is cut`, () => {
      const bytes = new TextEncoder().encode(stream)
      expect(read([bytes])).toBe(expected)
      expect(read([...bytes].map((byte) => Uint8Array.of(byte)))).toBe(expected)
      for (let at = 0; at <= bytes.length; at++)
        expect(read([bytes.slice(0, at), bytes.slice(at)])).toBe(expected)
    })
  }

  it("an event that does not end is held up to the limit and no further", () => {
    const reader = EventReader.make(site, plain())
    const piece = new TextEncoder().encode("x".repeat(1024 * 1024))
    reader.feed([new TextEncoder().encode("data: ")])
    let fed = 0
    let reading = reader.feed([])
    while (!reading.over) {
      reading = reader.feed([piece])
      fed += piece.length
    }
    expect(reading.failed).toMatchObject({ code: "MALFORMED_STREAM" })
    expect(fed).toBeLessThanOrEqual(EventReader.eventLimit + piece.length)
    expect(reader.feed([piece]).said).toEqual([])
  })
})
