/** 1. What `chat.history` answers, and how much of it. */
import { expect } from "@effect/vitest"
import { Effect } from "effect"
import { detailOf, history, page, textOf } from "../Ask.js"
import { Harness, type Suite } from "../Harness.js"
import type { TestClient } from "../../../src/testing/TestClient.js"

const cap = 192 * 1024
const config = { historyMaxBytes: cap }

const bytesOf = (messages: ReadonlyArray<unknown>): number => Buffer.byteLength(JSON.stringify(messages))

/** Fills `main` with so many messages; each begins with its number. */
const fill = (client: TestClient, count: number, text: (at: number) => string) =>
  Effect.forEach(
    Array.from({ length: count }, (_, at) => at),
    (at) => client.request("chat.inject", { sessionKey: "main", message: `${at}:${text(at)}` })
  )

export const historySuite: Suite = (scenario) => {
  scenario(
    "1. 60 messages of 4,000 characters under a cap of 192 KiB: the newest ones, and as many as fit",
    () =>
      Effect.gen(function* () {
        const client = yield* (yield* Harness).connect()
        yield* fill(client, 60, (at) => "x".repeat(4000 - `${at}:`.length))
        const { hasMore, messages } = yield* page(client, { limit: 1000 })
        const numbers = (yield* history(client)).map((message) => Number(textOf(message).split(":")[0]))
        expect(messages.length).toBeLessThan(60)
        expect(bytesOf(messages)).toBeLessThanOrEqual(196_608)
        expect(numbers).toEqual(Array.from({ length: messages.length }, (_, at) => 60 - messages.length + at))
        expect(hasMore).toBe(true)
        // Not one fewer than needed.
        expect(bytesOf([...messages, messages[0]])).toBeGreaterThan(cap)
      }),
    config
  )

  scenario(
    "1. the cap counts bytes of UTF-8, not characters",
    () =>
      Effect.gen(function* () {
        const client = yield* (yield* Harness).connect()
        yield* fill(client, 30, (at) => (at % 2 === 0 ? "語".repeat(4000) : "👩‍🚀".repeat(800)))
        const { messages } = yield* page(client, { limit: 1000 })
        const texts = (yield* history(client)).map(textOf)
        expect(messages.length).toBeLessThan(30)
        expect(messages.length).toBeGreaterThan(10)
        expect(bytesOf(messages)).toBeLessThanOrEqual(cap)
        expect(bytesOf([...messages, messages[0]])).toBeGreaterThan(cap)
        expect(texts.at(-1)).toBe(`29:${"👩‍🚀".repeat(800)}`)
      }),
    config
  )

  scenario(
    "1. one message over the cap becomes a placeholder that says so",
    () =>
      Effect.gen(function* () {
        const client = yield* (yield* Harness).connect()
        const injected = yield* client.request("chat.inject", {
          sessionKey: "main",
          message: "y".repeat(250_000)
        })
        expect(injected.ok).toBe(true)
        const alone = yield* history(client)
        expect(alone).toHaveLength(1)
        expect(alone.map(textOf)).toEqual([expect.stringContaining("over the history limit")])
        expect(alone[0]?.role).toBe("assistant")
        expect(injected.payload).toMatchObject({ messageId: alone[0]?.id })
        yield* client.request("chat.inject", { sessionKey: "main", message: "small" })
        const both = (yield* history(client)).map(textOf)
        expect(both).toEqual([expect.stringContaining("over the history limit"), "small"])
      }),
    config
  )

  scenario("1. limit is 1 to 1000; without one 200 are given", () =>
    Effect.gen(function* () {
      const client = yield* (yield* Harness).connect()
      yield* (yield* Harness).setIndex({ "agent:main:main": { sessionId: "s1", updatedAt: 1 } })
      yield* (yield* Harness).setTranscript(
        "s1.jsonl",
        Array.from({ length: 205 }, (_, at) => ({
          type: "message",
          id: `m${at}`,
          message: { role: "user", content: [{ type: "text", text: `${at}` }], timestamp: at }
        }))
      )
      for (const limit of [0, 1001, 1.5, -1, "10"]) {
        const refused = yield* client.request("chat.history", { sessionKey: "main", limit })
        expect(refused).toMatchObject({ ok: false, error: { code: "INVALID_REQUEST" } })
        expect(detailOf(refused, "path")).toBe("limit")
      }
      const tooMany = yield* client.request("chat.history", { sessionKey: "main", limit: 1001 })
      expect(tooMany.error?.message).toContain("between 1 and 1000")
      const idsOf = (messages: ReadonlyArray<{ readonly [field: string]: unknown }>) =>
        messages.map((message) => message["id"])
      expect(idsOf((yield* page(client, { limit: 1 })).messages)).toEqual(["m204"])
      expect((yield* page(client)).messages).toHaveLength(200)
      const all = yield* page(client, { limit: 1000 })
      expect(all).toMatchObject({ hasMore: false, totalMessages: 205, sessionId: "s1" })
      expect(all.messages).toHaveLength(205)
      const older = yield* page(client, { limit: 2, before: "m10" })
      expect(idsOf(older.messages)).toEqual(["m8", "m9"])
      expect(older.hasMore).toBe(true)
    })
  )

  scenario("1. a session that nobody has written to is empty", () =>
    Effect.gen(function* () {
      const client = yield* (yield* Harness).connect()
      const empty = yield* page(client, { sessionKey: "nobody" })
      expect(empty).toEqual({ sessionKey: "nobody", messages: [], hasMore: false, totalMessages: 0 })
      expect(yield* (yield* Harness).index).toEqual({})
    })
  )
}
