import { describe, expect, it } from "@effect/vitest"
import { Effect, FastCheck as fc } from "effect"
import { MessageId } from "../../src/domain/Ids.js"
import type { StoredMessage } from "../../src/domain/Message.js"
import type { HistoryQuery } from "../../src/session/SessionStore.js"
import type { TranscriptSource } from "../../src/session/StoreDriver.js"
import * as TranscriptReader from "../../src/session/TranscriptReader.js"

const sourceOf = (bytes: Uint8Array, onRead: (length: number) => void = () => {}): TranscriptSource => ({
  size: bytes.length,
  read: (start, length) =>
    Effect.sync(() => {
      onRead(length)
      return bytes.subarray(start, start + length)
    })
})

const read = (
  transcript: Uint8Array | string,
  query: Partial<HistoryQuery>,
  options: Partial<TranscriptReader.ReaderOptions> = {}
) => {
  const bytes = typeof transcript === "string" ? Buffer.from(transcript) : transcript
  return Effect.runSync(
    TranscriptReader.page(
      sourceOf(bytes),
      bytes.length,
      { limit: 1000, maxBytes: 1_000_000, ...query },
      { ...TranscriptReader.defaults, ...options }
    )
  )
}

const isObject = (value: unknown): value is { readonly [name: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)
const bytesOf = (value: unknown) => Buffer.byteLength(JSON.stringify(value))

/** The same page, read forwards and without any care for cost. */
const naive = (transcript: string, query: HistoryQuery): TranscriptReader.Page => {
  const all = transcript.split("\n").flatMap((line): ReadonlyArray<StoredMessage> => {
    try {
      const value: unknown = JSON.parse(line)
      if (!isObject(value) || !isObject(value["message"])) return []
      const { id: own, ...message } = value["message"]
      const id = typeof own === "string" ? own : value["id"]
      return [typeof id === "string" ? { ...message, id } : message]
    } catch {
      return []
    }
  })
  const end = query.before === undefined ? all.length : all.findLastIndex(({ id }) => id === query.before)
  if (end < 0) return { messages: [], hasMore: false }
  const older = all.slice(0, end).map((message): StoredMessage => {
    const bytes = bytesOf(message)
    if (bytes + 2 <= query.maxBytes) return message
    const { id, role, timestamp } = message
    const size = bytes.toLocaleString("en-US")
    return {
      ...(typeof role === "string" && { role }),
      content: [{ type: "text", text: `[message of ${size} bytes omitted: over the history limit]` }],
      ...(typeof timestamp === "number" && { timestamp }),
      ...(id !== undefined && { id })
    }
  })
  let messages = older.slice(-query.limit)
  while (messages.length > 0 && bytesOf(messages) > query.maxBytes) messages = messages.slice(1)
  return { messages, hasMore: messages.length < older.length }
}

const word = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 30 }),
  fc.constantFrom("é", "語", "🦜🦜", "\\u0041", '"quoted"', "x".repeat(300))
)
const id = fc.constantFrom("a", "b", "c1", "d-2", "é", "with space", "A")
const message = fc.record(
  { role: fc.constantFrom("user", "assistant"), content: word, timestamp: fc.nat(), id },
  { requiredKeys: ["content"] }
)
const line = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ type: fc.constant("message"), id, message }).map((line) => JSON.stringify(line))
  },
  fc.record({ extra: word, message }).map((line) => JSON.stringify(line, null, 1).replaceAll("\n", " ")),
  fc.constantFrom(
    "",
    " ",
    "\r",
    "{",
    "null",
    "[1,2]",
    `{"type":"session"}`,
    `{"id":"a","message":7}`,
    `{"\\u0069d":"\\u0041","message":{"escaped":true}}`,
    `{"id":"a","message":{"role":"user"}`
  )
)
const transcript = fc
  .tuple(fc.array(line, { maxLength: 25 }), fc.constantFrom("\n", "\r\n"), fc.boolean())
  .map(([lines, end, closed]) => lines.join(end) + (closed ? end : ""))
const query = fc.record({
  limit: fc.integer({ min: 1, max: 12 }),
  maxBytes: fc.oneof(fc.integer({ min: 0, max: 400 }), fc.integer({ min: 400, max: 5000 })),
  before: fc.option(id.map(MessageId), { nil: undefined })
})

describe("TranscriptReader", () => {
  it("gives the page that a naive reader gives, whatever the size of its blocks", () => {
    fc.assert(
      fc.property(transcript, query, fc.integer({ min: 1, max: 90 }), (text, query, blockBytes) => {
        expect(read(text, query, { blockBytes })).toEqual(naive(text, query))
      }),
      { numRuns: 2000 }
    )
  })

  it("gives every message once when all pages are put together", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 1, max: 9 }), (count, limit) => {
        const lines = Array.from({ length: count }, (_, at) =>
          JSON.stringify({ id: `m${at}`, message: { at } })
        )
        const text = lines.map((line) => `${line}\n`).join("")
        const seen: Array<unknown> = []
        let before: MessageId | undefined
        for (let more = true; more;) {
          const page = read(text, { limit, before, maxBytes: 150 }, { blockBytes: 7 })
          seen.unshift(...page.messages.map((message) => message["at"]))
          before = MessageId(page.messages[0]?.id ?? "")
          more = page.hasMore
        }
        expect(seen).toEqual(Array.from({ length: count }, (_, at) => at))
      })
    )
  })

  it("reads no more blocks than the page needs", () => {
    const one = `${JSON.stringify({ id: "m", message: { text: "x".repeat(970) } })}\n`
    const bytes = Buffer.from(one.repeat(100_000))
    const lengths: Array<number> = []
    const page = Effect.runSync(
      TranscriptReader.page(
        sourceOf(bytes, (length) => lengths.push(length)),
        bytes.length,
        {
          limit: 50,
          maxBytes: 1_000_000
        }
      )
    )
    expect(page.messages).toHaveLength(50)
    expect(lengths).toEqual([64 * 1024])
  })

  it("keeps only the beginning of a line that is too long, at any size of blocks", () => {
    const long = (length: number) =>
      `{"type":"message","id":"long","timestamp":"2026-01-02T03:04:05.000Z","message":{"role":"assistant","content":"${"é".repeat(
        length
      )}","timestamp":9}}`
    for (const blockBytes of [1, 7, 1000, 4096, 9999, 65_536]) {
      const text = `{"id":"1","message":{"n":1}}\n${long(9000)}\n{"id":"2","message":{"n":2}}\n`
      expect(read(text, { maxBytes: 500 }, { blockBytes, maxLineBytes: 10_000 })).toEqual({
        messages: [
          { n: 1, id: "1" },
          {
            role: "assistant",
            content: [{ type: "text", text: "[message of 18,127 bytes omitted: over the history limit]" }],
            // When the message's own time lies behind the part that is kept, the line's stands in for it.
            timestamp: Date.parse("2026-01-02T03:04:05.000Z"),
            id: "long"
          },
          { n: 2, id: "2" }
        ],
        hasMore: false
      })
    }
  })

  it("does not gather a line that is larger than memory", () => {
    const head = Buffer.from(`{"id":"big","message":{"role":"user","content":"`)
    const block = Buffer.alloc(16 * 1024 * 1024, "x")
    const size = 5 * 1024 ** 3
    const source: TranscriptSource = {
      size,
      read: (start, length) =>
        Effect.sync(() => (start === 0 ? Buffer.concat([head, block], length) : block.subarray(0, length)))
    }
    const options = { ...TranscriptReader.defaults, blockBytes: block.length }
    const { messages } = Effect.runSync(
      TranscriptReader.page(source, size, { limit: 10, maxBytes: 1000 }, options)
    )
    expect(messages).toMatchObject([{ id: "big", role: "user" }])
  })

  it("skips a line that is too long and does not begin like a message", () => {
    const junk = "x".repeat(20_000)
    const text = [
      `{"id":"1","message":{"n":1}}`,
      `{"type":"custom","data":"${junk}","message":{"late":true}}`,
      junk,
      `{"id":"2","message":"${junk}"}`,
      `{"id":"3","message":{"n":3}}`
    ].join("\n")
    const page = read(text, { maxBytes: 500 }, { blockBytes: 512, maxLineBytes: 10_000 })
    expect(page.messages.map(({ id }) => id)).toEqual(["1", "3"])
  })

  it("pages over a placeholder by its id", () => {
    const text = `{"id":"1","message":{"n":1}}\n{"id":"big","message":{"c":"${"x".repeat(20_000)}"}}\n{"id":"2","message":{}}\n`
    const page = read(text, { before: MessageId("big") }, { blockBytes: 512, maxLineBytes: 10_000 })
    expect(page.messages).toEqual([{ n: 1, id: "1" }])
  })

  it("fails when the transcript becomes shorter under it", () => {
    const bytes = Buffer.from(`{"message":{}}\n`.repeat(10))
    const source: TranscriptSource = { ...sourceOf(bytes), size: bytes.length + 100 }
    const result = Effect.runSync(
      Effect.flip(TranscriptReader.page(source, source.size, { limit: 10, maxBytes: 1000 }))
    )
    expect(result._tag).toBe("TranscriptShrank")
  })
})
