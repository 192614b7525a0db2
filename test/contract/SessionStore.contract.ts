/** What every `SessionStore` must do, in the order of the port's doc comments. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Exit, type Layer, Option, TestClock } from "effect"
import { MessageId } from "../../src/domain/Ids.js"
import { isImageReference, type Message, type StoredMessage, text } from "../../src/domain/Message.js"
import { parse, type SessionKey } from "../../src/domain/SessionKey.js"
import { type HistoryQuery, SessionStore } from "../../src/session/SessionStore.js"
import * as Pictures from "../support/Pictures.js"
import { sessionKeyDefaults, StoreProbe } from "./StoreProbe.js"

const key = (raw: string): SessionKey => Option.getOrThrow(Option.getRight(parse(raw, sessionKeyDefaults)))
const main = key("main")
const { png } = Pictures
const said = (value: string): Message => text("user", value, 7)
const whole: HistoryQuery = { limit: 1000, maxBytes: 6 * 1024 * 1024 }

const textOf = (message: StoredMessage): string => {
  const content = message["content"]
  return Array.isArray(content) ? String(content[0]?.text) : "?"
}
const textsOf = (messages: ReadonlyArray<StoredMessage>) => messages.map(textOf)
const bytesOf = (messages: ReadonlyArray<StoredMessage>) => Buffer.byteLength(JSON.stringify(messages))
const record = (json: string): { readonly [name: string]: unknown } => JSON.parse(json)
const lineOf = (id: string, value: string): string =>
  `${JSON.stringify({ type: "message", id, timestamp: "2026-01-01T00:00:00.000Z", message: text("user", value, 1) })}\n`
const named = (count: number, prefix = "m"): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, at) => `${prefix}${at}`)

const indexNow = Effect.gen(function* () {
  const probe = yield* StoreProbe
  return record(Option.getOrElse(yield* probe.index, () => "{}"))
})

/** Acts as another program: gives `main` this transcript. */
const foreign = (transcript: string, entry: object = {}) =>
  Effect.gen(function* () {
    const probe = yield* StoreProbe
    yield* probe.setIndex(JSON.stringify({ [main]: { sessionId: "s1", updatedAt: 1, ...entry } }))
    yield* probe.setTranscript("s1.jsonl", transcript)
  })

const newestKeys = Effect.gen(function* () {
  const store = yield* SessionStore
  return Array.from(yield* store.newest, ([key]) => key)
})

export const contract = (name: string, layer: Layer.Layer<SessionStore | StoreProbe, unknown>): void => {
  const test = (title: string, body: () => Effect.Effect<void, unknown, SessionStore | StoreProbe>) =>
    it.effect(title, () => Effect.provide(body(), layer))

  describe(`SessionStore (${name})`, () => {
    describe("glance", () => {
      test("gives the first message of a user and the newest ones", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          yield* foreign(
            `{"type":"session"}\nbroken\n${JSON.stringify({ message: text("assistant", "welcome", 1) })}\n${lineOf("1", "one")}${lineOf("2", "two")}${lineOf("3", "three")}`
          )
          const seen = Option.getOrThrow(yield* store.glance(main, { first: true, last: 2 }))
          expect(seen.first?.id).toBe("1")
          expect(textsOf(seen.last)).toEqual(["two", "three"])
          const less = Option.getOrThrow(yield* store.glance(main, { first: false, last: 0 }))
          expect(less).toEqual({ last: [] })
        }))

      test("knows no session that is not there, and nothing of one that has no transcript", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const probe = yield* StoreProbe
          expect(yield* store.glance(main, { first: true, last: 2 })).toEqual(Option.none())
          yield* probe.setIndex(JSON.stringify({ [main]: { sessionId: "s1", updatedAt: 1 } }))
          expect(yield* store.glance(main, { first: true, last: 2 })).toEqual(Option.some({ last: [] }))
        }))

      test("a last line without its line feed counts; one that is too long is a placeholder, and no title", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          yield* foreign(lineOf("1", "one").trimEnd())
          const seen = Option.getOrThrow(yield* store.glance(main, { first: true, last: 1 }))
          expect([seen.first?.id, textsOf(seen.last)]).toEqual(["1", ["one"]])
          yield* foreign(lineOf("big", "x".repeat(300_000)))
          const big = Option.getOrThrow(yield* store.glance(main, { first: true, last: 1 }))
          expect(big).toEqual({ last: [] })
          yield* foreign(`${lineOf("1", "one")}${lineOf("big", "x".repeat(250_000))}${lineOf("2", "two")}`)
          const beside = Option.getOrThrow(yield* store.glance(main, { first: true, last: 2 }))
          expect(beside.first?.id).toBe("1")
          expect(textsOf(beside.last).at(-1)).toBe("two")
        }))
    })

    describe("entries", () => {
      test("knows no session before the first message", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          expect(yield* store.get(main)).toEqual(Option.none())
          expect((yield* store.list).size).toBe(0)
          expect(yield* store.history(main, whole)).toEqual({ messages: [], hasMore: false })
          expect(yield* indexNow).toEqual({})
        }))

      test("accept makes the session: an entry, a header and the message", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const probe = yield* StoreProbe
          yield* TestClock.setTime(1_700_000_000_000)
          const accepted = yield* store.accept(main, said("hello"))
          expect(yield* indexNow).toEqual({
            "agent:main:main": { sessionId: accepted.sessionId, updatedAt: 1_700_000_000_000 }
          })
          expect(accepted.entry).toEqual({
            sessionId: accepted.sessionId,
            updatedAt: 1_700_000_000_000,
            raw: { sessionId: accepted.sessionId, updatedAt: 1_700_000_000_000 }
          })
          expect(yield* store.get(main)).toEqual(Option.some(accepted.entry))
          const lines = (yield* probe.transcripts).get(`${accepted.sessionId}.jsonl`)?.split("\n") ?? []
          expect(lines).toHaveLength(3)
          expect(record(lines[0] ?? "")).toEqual({
            type: "session",
            version: 1,
            id: accepted.sessionId,
            timestamp: "2023-11-14T22:13:20.000Z",
            cwd: "/work"
          })
          expect(record(lines[1] ?? "")).toEqual({
            type: "message",
            id: accepted.messageId,
            timestamp: "2023-11-14T22:13:20.000Z",
            message: said("hello")
          })
          expect(lines[2]).toBe("")
          expect(yield* store.history(main, whole)).toEqual({
            sessionId: accepted.sessionId,
            messages: [{ ...said("hello"), id: accepted.messageId }],
            hasMore: false
          })
        }))

      test("a second accept keeps the session and moves updatedAt", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const first = yield* store.accept(main, said("one"))
          yield* TestClock.adjust("5 seconds")
          const second = yield* store.accept(main, said("two"))
          expect(second.sessionId).toBe(first.sessionId)
          expect(second.messageId).not.toBe(first.messageId)
          expect(second.entry.updatedAt - first.entry.updatedAt).toBe(5000)
          expect(textsOf((yield* store.history(main, whole)).messages)).toEqual(["one", "two"])
        }))

      test("newest gives the sessions by their last use, also as it changes, those of the same time by key", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const probe = yield* StoreProbe
          const entries = named(3000, "s").map((name, at): [string, object] => [
            `agent:main:${name}`,
            { sessionId: name, updatedAt: at % 1500 }
          ])
          yield* probe.setIndex(
            JSON.stringify({
              ...Object.fromEntries(entries),
              "agent:main:broken": { sessionId: "../x", updatedAt: 9000 },
              "agent:main:settings": { updatedAt: 9000 },
              version: 2
            })
          )
          const expected = entries
            .toSorted(
              (a, b) =>
                (b[1] as { updatedAt: number }).updatedAt - (a[1] as { updatedAt: number }).updatedAt ||
                (a[0] < b[0] ? -1 : 1)
            )
            .map(([name]) => name)
          expect(yield* newestKeys).toEqual(expected)
          yield* TestClock.setTime(2000)
          yield* store.accept(key("s7"), said("hi"))
          yield* store.accept(key("fresh"), said("hi"))
          const first = ["agent:main:fresh", "agent:main:s7"]
          const rest = expected.filter((name) => name !== "agent:main:s7")
          expect(yield* newestKeys).toEqual([...first, ...rest])
          yield* store.flush
          expect(yield* newestKeys).toEqual([...first, ...rest])
          // Another program has made another file of it.
          yield* probe.setIndex(
            JSON.stringify({
              main: { sessionId: "a", updatedAt: 5 },
              "agent:main:b": { sessionId: "b", updatedAt: 7 }
            })
          )
          expect(yield* newestKeys).toEqual(["agent:main:b", "agent:main:main"])
        }))

      test("append makes a new session, and leaves the entry of an old one alone", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const probe = yield* StoreProbe
          const first = yield* store.append(main, text("assistant", "hi", 1))
          const entry = yield* store.get(main)
          expect(Option.map(entry, ({ sessionId }) => sessionId)).toEqual(Option.some(first.sessionId))
          const writes = yield* probe.indexWrites
          yield* TestClock.adjust("5 seconds")
          const second = yield* store.append(main, text("assistant", "there", 2))
          expect(second.sessionId).toBe(first.sessionId)
          expect(yield* probe.indexWrites).toBe(writes)
          expect(yield* store.get(main)).toEqual(entry)
          expect(textsOf((yield* store.history(main, whole)).messages)).toEqual(["hi", "there"])
        }))

      test("lists all sessions by canonical key and leaves unusable entries out", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const probe = yield* StoreProbe
          yield* probe.setIndex(
            JSON.stringify({
              version: 3,
              Main: { sessionId: "a", updatedAt: 1, label: "A" },
              "agent:main:b": { sessionId: "b", updatedAt: 2 },
              b: { sessionId: "shadowed" },
              "agent:main:c": { sessionId: "../c" },
              "agent:main:d": { updatedAt: 4 },
              "no/key": { sessionId: "e" }
            })
          )
          const sessions = yield* store.list
          expect(
            Array.from(sessions, ([key, { sessionId, updatedAt }]) => [key, sessionId, updatedAt])
          ).toEqual([
            ["agent:main:main", "a", 1],
            ["agent:main:b", "b", 2]
          ])
          expect(sessions.get(main)?.raw).toEqual({ sessionId: "a", updatedAt: 1, label: "A" })
        }))
    })

    describe("other programs' edits", () => {
      test("every field and entry that is not ours survives a send, also when edited since the last one", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const probe = yield* StoreProbe
          const { sessionId } = yield* store.accept(main, said("one"))
          const edited =
            `{"zeta":{"x":1},"7":{"y":[]},"__proto__":{"polluted":true},"agent:main:main":{"lastChannel":"webchat",` +
            `"42":"first","__proto__":{"sendPolicy":"deny"},"sessionId":"${sessionId}","lastTo":"+49 171",` +
            `"big":12345678901234567890,"updatedAt":1,"unknown":{"deep":[1,{"__proto__":2}]}},"alpha":"kept"}`
          yield* probe.setIndex(edited)
          yield* TestClock.setTime(9000)
          const second = yield* store.accept(main, said("two"))
          expect(second.sessionId).toBe(sessionId)
          expect(second.entry.raw["lastTo"]).toBe("+49 171")
          const expected = edited.replace(`"updatedAt":1`, `"updatedAt":9000`)
          // Letter by letter but for the space between entries.
          const after = Option.getOrThrow(yield* probe.index)
          expect(after.replaceAll("\n", "").replaceAll('": ', '":')).toBe(expected)
          expect({}).not.toHaveProperty("polluted")
        }))

      test("an index that can't be read loses no answer: its session is known since the question", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const probe = yield* StoreProbe
          const { sessionId } = yield* store.accept(main, said("question"))
          const whole = Option.getOrThrow(yield* probe.index)
          yield* probe.setIndex(whole.slice(0, 10))
          expect((yield* Effect.flip(store.accept(main, said("next"))))._tag).toBe("SessionStoreError")
          expect((yield* store.append(main, said("answer"))).sessionId).toBe(sessionId)
          expect(Option.getOrThrow(yield* probe.index)).toBe(whole.slice(0, 10))
          yield* probe.setIndex(whole)
          const { messages } = yield* store.history(main, { limit: 10, maxBytes: 10_000 })
          expect(messages).toHaveLength(2)
        }))

      test("an edit of the same length right after a send is seen", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const probe = yield* StoreProbe
          yield* probe.setIndex(JSON.stringify({ [main]: { lastTo: "a" } }))
          yield* store.accept(main, said("x"))
          for (const to of ["b", "c", "d", "e"]) {
            yield* probe.setIndex(
              Option.getOrThrow(yield* probe.index).replace(/"lastTo":"."/, `"lastTo":"${to}"`)
            )
            const entry = Option.getOrThrow(yield* store.get(main))
            expect(entry.raw["lastTo"]).toBe(to)
            expect((yield* store.accept(main, said("x"))).entry.raw["lastTo"]).toBe(to)
          }
        }))

      test("another spelling of a key is understood, and updated in place", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const probe = yield* StoreProbe
          yield* probe.setIndex(
            JSON.stringify({ a: { sessionId: "a" }, main: { sessionId: "m", label: "L" } })
          )
          const accepted = yield* store.accept(main, said("x"))
          expect(accepted.sessionId).toBe("m")
          expect(Object.keys(yield* indexNow)).toEqual(["a", "main"])
          expect((yield* indexNow)["main"]).toEqual({ sessionId: "m", label: "L", updatedAt: 0 })
        }))

      test("the canonical key wins over another spelling", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const probe = yield* StoreProbe
          yield* probe.setIndex(JSON.stringify({ main: { sessionId: "m" }, [main]: { sessionId: "c" } }))
          expect((yield* store.accept(main, said("x"))).sessionId).toBe("c")
          expect((yield* indexNow)["main"]).toEqual({ sessionId: "m" })
        }))

      test("a value that is no entry is not taken for one, and not overwritten", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const probe = yield* StoreProbe
          yield* probe.setIndex(JSON.stringify({ version: 2, [main]: null }))
          const other = yield* store.accept(key("version"), said("x"))
          expect(yield* indexNow).toEqual({
            version: 2,
            [main]: null,
            "agent:main:version": { sessionId: other.sessionId, updatedAt: 0 }
          })
          const refused = yield* Effect.flip(store.accept(main, said("x")))
          expect(refused).toMatchObject({ _tag: "SessionStoreError", subject: "sessions.json" })
          expect(refused).toHaveProperty("reason", expect.stringContaining("agent:main:main"))
          expect((yield* indexNow)[main]).toBe(null)
        }))

      test("an entry without sessionId gets one with the first message", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const probe = yield* StoreProbe
          yield* probe.setIndex(JSON.stringify({ [main]: { label: "L", thinkingLevel: "high" } }))
          expect(yield* store.get(main)).toEqual(Option.none())
          const accepted = yield* store.accept(main, said("x"))
          expect(yield* indexNow).toEqual({
            [main]: { label: "L", thinkingLevel: "high", sessionId: accepted.sessionId, updatedAt: 0 }
          })
          expect(yield* store.history(main, whole)).toMatchObject({
            thinkingLevel: "high",
            messages: [said("x")]
          })
        }))

      for (const [title, entry] of [
        ["a sessionId with a path", { sessionId: "../../etc/passwd" }],
        ["an absolute sessionId", { sessionId: "/etc/passwd" }],
        ["a hidden sessionId", { sessionId: ".ssh" }],
        ["a sessionId with NUL", { sessionId: "a\u0000" }],
        ["a sessionId that is no string", { sessionId: 7 }],
        ["a very long sessionId", { sessionId: "a".repeat(129) }],
        ["an empty sessionId", { sessionId: "" }],
        ["a sessionFile outside", { sessionId: "s1", sessionFile: "../out.jsonl" }],
        ["an absolute sessionFile outside", { sessionId: "s1", sessionFile: "/tmp/out.jsonl" }],
        [
          "a sessionFile that is another file of the store",
          { sessionId: "s1", sessionFile: "sessions.json" }
        ],
        ["the state directory as sessionFile", { sessionId: "s1", sessionFile: "." }],
        ["a sessionFile that is no string", { sessionId: "s1", sessionFile: 7 }]
      ] as const) {
        test(`${title} is refused, and no file is touched`, () =>
          Effect.gen(function* () {
            const store = yield* SessionStore
            const probe = yield* StoreProbe
            const before = JSON.stringify({ [main]: entry })
            yield* probe.setIndex(before)
            expect(yield* Effect.flip(store.accept(main, said("x")))).toHaveProperty(
              "_tag",
              "SessionStoreError"
            )
            expect(yield* Effect.flip(store.append(main, said("x")))).toHaveProperty(
              "_tag",
              "SessionStoreError"
            )
            expect(yield* Effect.flip(store.history(main, whole))).toHaveProperty("_tag", "SessionStoreError")
            expect((yield* probe.transcripts).size).toBe(0)
            expect(yield* probe.index).toEqual(Option.some(before))
            // The others don't suffer.
            yield* store.accept(key("other"), said("x"))
          }))
      }

      test("a sessionFile inside the state directory is used", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const probe = yield* StoreProbe
          yield* foreign("", { sessionFile: "kept/here.jsonl" })
          yield* probe.setTranscript("kept/here.jsonl", lineOf("1", "old"))
          yield* store.accept(main, said("new"))
          expect(textsOf((yield* store.history(main, whole)).messages)).toEqual(["old", "new"])
          expect((yield* probe.transcripts).get("s1.jsonl")).toBe("")
        }))

      for (const [title, damaged] of [
        ["cut off", `{"a":{"sessionId"`],
        ["empty", ""],
        ["an array", "[]"]
      ] as const) {
        test(`a damaged sessions.json (${title}) is reported, not overwritten, and seen when it is whole again`, () =>
          Effect.gen(function* () {
            const store = yield* SessionStore
            const probe = yield* StoreProbe
            yield* store.accept(main, said("one"))
            const good = Option.getOrThrow(yield* probe.index)
            yield* probe.setIndex(damaged)
            const failed = yield* Effect.flip(store.accept(main, said("two")))
            expect(failed).toMatchObject({
              _tag: "SessionStoreError",
              operation: "read",
              subject: "sessions.json"
            })
            expect(yield* Effect.flip(store.get(main))).toEqual(failed)
            expect(yield* Effect.flip(store.list)).toEqual(failed)
            expect(yield* probe.index).toEqual(Option.some(damaged))
            yield* probe.setIndex(good)
            yield* store.accept(main, said("three"))
            expect(textsOf((yield* store.history(main, whole)).messages)).toEqual(["one", "three"])
          }))
      }

      test("an entry that is removed while a change of it waits to be written stays removed", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const probe = yield* StoreProbe
          yield* store.accept(main, said("one"))
          yield* store.flush
          yield* probe.failWrites("index", 1000)
          yield* store.accept(main, said("two"))
          yield* probe.setIndex("{}")
          expect(yield* store.get(main)).toEqual(Option.none())
          expect((yield* store.list).size).toBe(0)
          yield* probe.failWrites("index", 0)
          yield* store.append(key("other"), said("x"))
          expect(Array.from((yield* store.list).keys())).toEqual([key("other")])
          expect(Object.keys(yield* indexNow)).toEqual([key("other")])
        }))

      test("an entry that was removed is a new session", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const probe = yield* StoreProbe
          const first = yield* store.accept(main, said("one"))
          yield* probe.setIndex("{}")
          expect(yield* store.get(main)).toEqual(Option.none())
          const second = yield* store.accept(main, said("two"))
          expect(second.sessionId).not.toBe(first.sessionId)
          expect(textsOf((yield* store.history(main, whole)).messages)).toEqual(["two"])
        }))
    })

    describe("sendPolicy", () => {
      test("deny refuses accept and lets append through", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const probe = yield* StoreProbe
          yield* foreign(lineOf("1", "old"), { sendPolicy: "deny" })
          expect(yield* Effect.flip(store.accept(main, said("no")))).toMatchObject({
            _tag: "SendDenied",
            sessionKey: "agent:main:main"
          })
          expect(yield* probe.indexWrites).toBe(0)
          yield* store.append(main, text("assistant", "yes", 1))
          const results = yield* Effect.all(
            [
              Effect.either(store.append(main, said("a"))),
              Effect.either(store.accept(main, said("b"))),
              Effect.either(store.append(main, said("c")))
            ],
            { concurrency: "unbounded" }
          )
          expect(results.map(Either.isRight)).toEqual([true, false, true])
          expect(textsOf((yield* store.history(main, whole)).messages)).toEqual(["old", "yes", "a", "c"])
        }))
    })

    describe("concurrency", () => {
      for (const count of [5, 200]) {
        test(`${count} accepts at once to a new session: one session, all messages once, in order`, () =>
          Effect.gen(function* () {
            const store = yield* SessionStore
            const probe = yield* StoreProbe
            const accepted = yield* Effect.forEach(named(count), (value) => store.accept(main, said(value)), {
              concurrency: "unbounded"
            })
            expect(new Set(accepted.map(({ sessionId }) => sessionId)).size).toBe(1)
            const { messages } = yield* store.history(main, whole)
            expect(textsOf(messages)).toEqual(named(count))
            expect(messages.map(({ id }) => id)).toEqual(accepted.map(({ messageId }) => messageId))
            expect((yield* probe.transcripts).size).toBe(1)
            expect(Object.keys(yield* indexNow)).toEqual([main])
          }))
      }

      test("accepts and appends to one session keep the order of the calls", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          yield* Effect.forEach(
            named(60),
            (value, at) =>
              Effect.asVoid(at % 3 === 0 ? store.append(main, said(value)) : store.accept(main, said(value))),
            { concurrency: "unbounded" }
          )
          expect(textsOf((yield* store.history(main, whole)).messages)).toEqual(named(60))
        }))

      test("64 sessions at once share the writes of the index", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const probe = yield* StoreProbe
          const rounds = 4
          yield* Effect.forEach(
            named(64),
            (session) => Effect.forEach(named(rounds), (value) => store.accept(key(session), said(value))),
            { concurrency: "unbounded" }
          )
          expect(yield* probe.indexWrites).toBeLessThan((64 * rounds) / 4)
          expect(Object.keys(yield* indexNow).toSorted()).toEqual(
            named(64)
              .map((name) => `agent:main:${name}`)
              .toSorted()
          )
          for (const session of named(64)) {
            expect(textsOf((yield* store.history(key(session), whole)).messages)).toEqual(named(rounds))
          }
        }))

      test("two sessions that name one file don't harm each other, also when writes fail", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const probe = yield* StoreProbe
          yield* probe.setIndex(
            JSON.stringify({ "agent:main:a": { sessionId: "s" }, "agent:main:b": { sessionId: "s" } })
          )
          yield* probe.failWrites("append", 2)
          const results = yield* Effect.forEach(
            named(40),
            (value, at) =>
              Effect.map(
                Effect.either(store.accept(key(at % 2 === 0 ? "a" : "b"), said(value))),
                (result) => ({
                  value,
                  result
                })
              ),
            { concurrency: "unbounded" }
          )
          const kept = results.filter(({ result }) => Either.isRight(result)).map(({ value }) => value)
          expect(kept.length).toBeLessThan(40)
          expect(textsOf((yield* store.history(key("a"), whole)).messages).toSorted()).toEqual(
            kept.toSorted()
          )
        }))

      test("a message that can't be written as JSON harms only its sender", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const exits = yield* Effect.all(
            [
              Effect.exit(store.accept(main, said("a"))),
              Effect.exit(store.accept(main, { ...said("b"), usage: 1n })),
              Effect.exit(store.accept(main, said("c")))
            ],
            { concurrency: "unbounded" }
          )
          expect(exits.map(Exit.isSuccess)).toEqual([true, false, true])
          expect(textsOf((yield* store.history(main, whole)).messages)).toEqual(["a", "c"])
        }))
    })

    describe("failing writes", () => {
      test("a transcript that can't be written is told as a problem, until the disk is back", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const probe = yield* StoreProbe
          yield* probe.failWrites("append", 1)
          yield* Effect.flip(store.accept(main, said("lost")))
          expect((yield* store.problems).map(({ operation, reason }) => [operation, reason])).toEqual([
            ["write", "ENOSPC"]
          ])
          yield* store.accept(main, said("kept"))
          expect(yield* store.problems).toEqual([])
        }))

      for (const kind of ["journal", "append"] as const) {
        test(`${kind}: nothing of a new session is seen, and the next send works`, () =>
          Effect.gen(function* () {
            const store = yield* SessionStore
            const probe = yield* StoreProbe
            yield* store.accept(key("other"), said("x"))
            const index = yield* probe.index
            const transcripts = yield* probe.transcripts
            yield* probe.failWrites(kind, 1)
            expect(yield* Effect.flip(store.accept(main, said("lost")))).toMatchObject({
              _tag: "SessionStoreError",
              operation: "write",
              reason: "ENOSPC"
            })
            expect(yield* probe.index).toEqual(index)
            expect(yield* probe.transcripts).toEqual(transcripts)
            expect(yield* store.get(main)).toEqual(Option.none())
            expect((yield* store.list).has(main)).toBe(false)
            yield* store.accept(main, said("kept"))
            expect(yield* store.problems).toEqual([])
            expect(textsOf((yield* store.history(main, whole)).messages)).toEqual(["kept"])
          }))

        test(`${kind}: nothing is seen in a session that exists`, () =>
          Effect.gen(function* () {
            const store = yield* SessionStore
            const probe = yield* StoreProbe
            yield* store.accept(main, said("one"))
            const index = yield* probe.index
            const transcripts = yield* probe.transcripts
            yield* TestClock.adjust("1 second")
            yield* probe.failWrites(kind, 1)
            expect(yield* Effect.flip(store.accept(main, said("lost")))).toMatchObject({ reason: "ENOSPC" })
            expect(yield* probe.index).toEqual(index)
            expect(yield* probe.transcripts).toEqual(transcripts)
            yield* store.accept(main, said("two"))
            expect(textsOf((yield* store.history(main, whole)).messages)).toEqual(["one", "two"])
          }))

        test(`${kind}: whoever is told yes is there, whoever is told no is not, in order`, () =>
          Effect.gen(function* () {
            const store = yield* SessionStore
            const probe = yield* StoreProbe
            yield* probe.failWrites(kind, 2)
            const results = yield* Effect.forEach(
              named(30),
              (value, at) =>
                Effect.map(Effect.either(store.accept(key(`s${at % 3}`), said(value))), (result) => ({
                  at,
                  value,
                  result
                })),
              { concurrency: "unbounded" }
            )
            expect(results.some(({ result }) => Either.isLeft(result))).toBe(true)
            for (const session of [0, 1, 2]) {
              const kept = results.filter(({ at, result }) => at % 3 === session && Either.isRight(result))
              expect(textsOf((yield* store.history(key(`s${session}`), whole)).messages)).toEqual(
                kept.map(({ value }) => value)
              )
            }
          }))
      }
    })

    describe("an index that can't be written", () => {
      test("fails no send: all is known at once, and written when the disk is back", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const probe = yield* StoreProbe
          yield* store.accept(key("other"), said("x"))
          yield* store.flush
          yield* TestClock.adjust("1 second")
          yield* probe.failWrites("index", 1000)
          const { sessionId } = yield* store.accept(main, said("one"))
          yield* store.accept(key("other"), said("y"))
          expect(Option.map(yield* store.get(main), (entry) => entry.sessionId)).toEqual(
            Option.some(sessionId)
          )
          expect(Array.from(yield* store.list, ([key, { updatedAt }]) => [key, updatedAt])).toEqual([
            ["agent:main:other", 1000],
            [main, 1000]
          ])
          expect(textsOf((yield* store.history(main, whole)).messages)).toEqual(["one"])
          // Whoever asks for it is told what is wrong.
          expect(yield* Effect.flip(store.flush)).toMatchObject({ operation: "write", reason: "ENOSPC" })
          expect(yield* store.problems).toMatchObject([{ subject: "sessions.json", reason: "ENOSPC" }])
          yield* probe.failWrites("index", 0)
          expect(yield* indexNow).toEqual({
            [key("other")]: { sessionId: expect.any(String), updatedAt: 1000 },
            [main]: { sessionId, updatedAt: 1000 }
          })
          expect(yield* store.problems).toEqual([])
        }))
    })

    describe("a change that can't be written", () => {
      test("is told, changes nothing, and is not made later", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const probe = yield* StoreProbe
          yield* store.accept(main, said("one"))
          yield* store.flush
          const before = yield* indexNow
          for (const change of [store.update(main, { label: "x" }), store.reset(main)]) {
            yield* probe.failWrites("index", 1)
            expect(yield* Effect.flip(change)).toMatchObject({ operation: "write", reason: "ENOSPC" })
            expect(yield* indexNow).toEqual(before)
            expect(textsOf((yield* store.history(main, whole)).messages)).toEqual(["one"])
          }
          expect((yield* store.update(main, { label: "y" })).raw["label"]).toBe("y")
        }))

      test("a removal that the journal can't take changes nothing; a transcript that keeps its name is no failure", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const probe = yield* StoreProbe
          yield* store.accept(main, said("one"))
          const remove = store.remove(main, { transcript: "aside" })
          yield* probe.failWrites("journal", 1)
          expect(yield* Effect.flip(remove)).toMatchObject({ operation: "write", reason: "ENOSPC" })
          expect(textsOf((yield* store.history(main, whole)).messages)).toEqual(["one"])
          yield* probe.failWrites("rename", 1)
          expect(yield* remove).toEqual({ removed: true })
          expect(yield* store.get(main)).toEqual(Option.none())
          expect(yield* indexNow).toEqual({})
        }))
    })

    describe("history", () => {
      test("60 messages of 4,000 characters under 192 KiB: the newest that fit", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          yield* Effect.forEach(named(60), (value) => store.accept(main, said(value.padEnd(4000, "."))), {
            concurrency: "unbounded"
          })
          const all = (yield* store.history(main, whole)).messages
          expect(all).toHaveLength(60)
          const { hasMore, messages } = yield* store.history(main, { limit: 1000, maxBytes: 192 * 1024 })
          expect(messages.length).toBeLessThan(60)
          expect(bytesOf(messages)).toBeLessThanOrEqual(196_608)
          expect(messages).toEqual(all.slice(-messages.length))
          expect(bytesOf(all.slice(-messages.length - 1))).toBeGreaterThan(196_608)
          expect(hasMore).toBe(true)
        }))

      test("the cap counts bytes, not characters", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          yield* Effect.forEach(named(40), (value) => store.accept(main, said(value + "語🦜é".repeat(300))), {
            concurrency: "unbounded"
          })
          const all = (yield* store.history(main, whole)).messages
          expect(textOf(all[7] ?? {})).toBe("m7" + "語🦜é".repeat(300))
          for (const count of [1, 2, 17]) {
            const exact = bytesOf(all.slice(-count))
            expect((yield* store.history(main, { limit: 1000, maxBytes: exact })).messages).toHaveLength(
              count
            )
            expect((yield* store.history(main, { limit: 1000, maxBytes: exact + 1 })).messages).toHaveLength(
              count
            )
            expect(
              bytesOf((yield* store.history(main, { limit: 1000, maxBytes: exact - 1 })).messages)
            ).toBeLessThan(exact)
          }
        }))

      test("a message over the cap becomes a placeholder among the others", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          yield* store.accept(main, said("before"))
          const big = yield* store.accept(main, text("user", "x".repeat(7_340_032), 42))
          yield* store.accept(main, said("after"))
          const { hasMore, messages } = yield* store.history(main, { limit: 10, maxBytes: 2000 })
          expect(hasMore).toBe(false)
          expect(textsOf(messages)).toEqual([
            "before",
            expect.stringMatching(/^\[message of 7,340,\d{3} bytes omitted: over the history limit\]$/),
            "after"
          ])
          expect(messages[1]).toMatchObject({ role: "user", id: big.messageId, timestamp: 42 })
        }))

      test("a line too long to be parsed becomes a placeholder too", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          yield* store.accept(main, said("before"))
          const big = yield* store.accept(main, text("user", "é".repeat(5_000_000), 42))
          const { messages } = yield* store.history(main, { limit: 10, maxBytes: 2000 })
          expect(messages).toHaveLength(2)
          expect(messages[1]).toMatchObject({ role: "user", id: big.messageId })
          expect(textOf(messages[1] ?? {})).toMatch(/^\[message of 10,000,\d{3} bytes omitted/)
        }))

      test("a cap that holds not even a placeholder gives an empty page, and says that there is more", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const { sessionId } = yield* store.accept(main, said("hello"))
          expect(yield* store.history(main, { limit: 10, maxBytes: 20 })).toEqual({
            sessionId,
            messages: [],
            hasMore: true
          })
        }))

      test("limit takes the newest, oldest first, and tells whether there are more", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          yield* foreign(
            named(5)
              .map((value) => lineOf(value, value))
              .join("")
          )
          for (const limit of [1, 4, 5, 6]) {
            const { hasMore, messages } = yield* store.history(main, { ...whole, limit })
            expect(textsOf(messages)).toEqual(named(5).slice(-limit))
            expect(hasMore).toBe(limit < 5)
          }
        }))

      test("pages put together are the transcript, while others append", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          yield* Effect.forEach(named(50), (value) => store.append(main, said(value)), {
            concurrency: "unbounded"
          })
          const collected: Array<StoredMessage> = []
          let before: MessageId | undefined
          for (let more = true, round = 0; more; round++) {
            const page = yield* store.history(main, { limit: 7, maxBytes: 1000, before })
            expect(page.messages.length).toBeGreaterThan(0)
            collected.unshift(...page.messages)
            before = MessageId(page.messages[0]?.id ?? "")
            more = page.hasMore
            yield* store.append(main, said(`later${round}`))
          }
          expect(textsOf(collected)).toEqual(named(50))
        }))

      test("before an unknown message there is nothing", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const { sessionId } = yield* store.accept(main, said("hello"))
          expect(yield* store.history(main, { ...whole, before: MessageId("nobody") })).toEqual({
            sessionId,
            messages: [],
            hasMore: false
          })
        }))

      test("blank, broken and foreign lines", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          yield* foreign(
            [
              `{"type":"session","version":1,"id":"s1"}`,
              ``,
              `   \t`,
              `{"type":"message","id":"1","message":{"role":"user","content":"plain"}}\r`,
              `not json`,
              `{"type":"message","id":"2","message":{"role":"toolResult","id":"own","details":{"a":1}},"extra":1}`,
              `{"type":"message","id":"3","message":"a string"}`,
              `{"type":"message","id":"4","message":[1]}`,
              `{"type":"message","id":"5","message":null}`,
              `{"type":"compaction","id":"6"}`,
              `{"type":"custom","id":"7","message":{"note":true}}`,
              `{"message":{"no":"id"}}`,
              `{"id":8,"message":{"n":1}}`,
              `{"__proto__":{"message":{"evil":true}}}`,
              `[{"message":{}}]`,
              `null`,
              `"message"`,
              `{"type":"message","id":"9","message":{"role":"user"`
            ].join("\n")
          )
          expect((yield* store.history(main, whole)).messages).toEqual([
            { role: "user", content: "plain", id: "1" },
            { role: "toolResult", id: "own", details: { a: 1 } },
            { note: true, id: "7" },
            { no: "id" },
            { n: 1 }
          ])
        }))

      test("a message nested too deeply to be sent is replaced", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const deep = "[".repeat(200_000) + "]".repeat(200_000)
          yield* foreign(
            `${lineOf("1", "one")}{"id":"2","message":{"role":"user","content":${deep}}}\n${lineOf("3", "three")}`
          )
          const { messages } = yield* store.history(main, whole)
          expect(messages.map(({ id }) => id)).toEqual(["1", "2", "3"])
          expect(textOf(messages[1] ?? {})).toContain("nested too deeply")
        }))

      test("a line that a crash cut off is skipped, and never merged with the next one", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const probe = yield* StoreProbe
          const torn = lineOf("2", "torn")
          for (let cut = 1; cut < torn.length; cut += 9) {
            yield* foreign(lineOf("1", "one") + torn.slice(0, cut))
            expect(textsOf((yield* store.history(main, whole)).messages)).toEqual(["one"])
            yield* store.accept(main, said("two"))
            yield* store.accept(main, said("three"))
            expect(textsOf((yield* store.history(main, whole)).messages)).toEqual(["one", "two", "three"])
            // What can't be read is put aside, where people can look at it.
            expect((yield* probe.transcripts).get("s1.jsonl")?.split("\n")).toHaveLength(4)
            expect((yield* probe.aside).get("s1.jsonl.torn")).toContain(`${torn.slice(0, cut)}\n`)
          }
        }))

      test("a last line that only lacks its newline is whole", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          yield* foreign(lineOf("1", "one") + lineOf("2", "two").trimEnd())
          yield* store.append(main, said("three"))
          expect(textsOf((yield* store.history(main, whole)).messages)).toEqual(["one", "two", "three"])
        }))

      test("what another program appends between two sends is there, once", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const probe = yield* StoreProbe
          const { sessionId } = yield* store.accept(main, said("one"))
          const file = `${sessionId}.jsonl`
          yield* probe.setTranscript(
            file,
            (yield* probe.transcripts).get(file) + lineOf("x", "theirs").trimEnd()
          )
          yield* store.accept(main, said("two"))
          expect(textsOf((yield* store.history(main, whole)).messages)).toEqual(["one", "theirs", "two"])
        }))

      test("an entry whose transcript is missing has an empty history, and gets a new file", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const probe = yield* StoreProbe
          yield* probe.setIndex(JSON.stringify({ [main]: { sessionId: "gone", thinkingLevel: "low" } }))
          expect(yield* store.history(main, whole)).toEqual({
            sessionId: "gone",
            thinkingLevel: "low",
            messages: [],
            hasMore: false
          })
          yield* store.append(main, said("x"))
          expect((yield* probe.transcripts).get("gone.jsonl")).toMatch(
            /^\{"type":"session","version":1,"id":"gone"/
          )
        }))
    })

    describe("images", () => {
      const look = (...blocks: Message["content"]): Message => ({
        role: "user",
        content: blocks,
        timestamp: 7
      })
      const filesNow = Effect.gen(function* () {
        const probe = yield* StoreProbe
        return Array.from((yield* probe.images).keys()).toSorted()
      })
      const find = (session: SessionKey, { sha256 }: Pictures.Picture) =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          return Option.getOrUndefined(yield* store.findImage(session, sha256))
        })

      test("are kept in files, and the message refers to them", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const probe = yield* StoreProbe
          const pictures = [png, Pictures.jpeg, Pictures.gif, Pictures.webp]
          const named = { ...Pictures.content(png), fileName: "ü.png" }
          const accepted = yield* store.accept(main, look(...pictures.map(Pictures.content), named))
          const references = [
            ...pictures.map(Pictures.reference),
            { ...Pictures.reference(png), fileName: "ü.png" }
          ]
          expect(accepted.message).toEqual({ role: "user", content: references, timestamp: 7 })
          const { messages } = yield* store.history(main, whole)
          expect(messages).toEqual([{ ...accepted.message, id: accepted.messageId }])
          expect((yield* probe.transcripts).get(`${accepted.sessionId}.jsonl`)).not.toContain(png.data)
          for (const { bytes, name } of pictures)
            expect(Buffer.from((yield* probe.images).get(name) ?? [])).toEqual(bytes)
          const read = yield* Effect.forEach(accepted.message.content.filter(isImageReference), store.image)
          expect(read).toEqual([...pictures.map(Pictures.content), named])
        }))

      test("the same image is one file, in whatever message", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const twice = look(Pictures.content(png), Pictures.content(png))
          yield* Effect.all([store.accept(main, twice), store.accept(key("other"), twice)], {
            concurrency: "unbounded"
          })
          yield* store.append(main, { ...twice, role: "assistant" })
          expect(yield* filesNow).toEqual([png.name])
        }))

      test("what can't be kept in a file stays in the message", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const svg = { ...Pictures.content(png), mimeType: "image/svg+xml" }
          const big = Pictures.content(Pictures.of("image/png", Buffer.alloc(5_000_000)))
          const message = look(svg, { ...svg, mimeType: "image/png", data: "" }, big)
          expect((yield* store.accept(main, message)).message).toEqual(message)
          expect(yield* filesNow).toEqual([])
        }))

      test("are found in the session that has them, the newest reference first", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          expect(yield* find(main, png)).toBeUndefined()
          yield* store.accept(main, look({ ...Pictures.content(png), fileName: "old.png" }))
          for (const name of named(200)) yield* store.append(main, said(name.repeat(500)))
          yield* store.accept(key("other"), look(Pictures.content(Pictures.jpeg)))
          expect(yield* find(main, png)).toEqual({ ...Pictures.reference(png), fileName: "old.png" })
          yield* store.accept(main, look(Pictures.content(png)))
          expect(yield* find(main, png)).toEqual(Pictures.reference(png))
          expect(yield* find(main, Pictures.jpeg)).toBeUndefined()
          expect(yield* find(key("other"), png)).toBeUndefined()
          expect(yield* find(key("nobody"), png)).toBeUndefined()
          // A word that says so is no reference.
          yield* store.append(main, said(JSON.stringify(Pictures.reference(Pictures.gif))))
          expect(yield* find(main, Pictures.gif)).toBeUndefined()
        }))

      test("one that can't be written: nothing is accepted of its message, and all of the others", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const probe = yield* StoreProbe
          yield* store.accept(main, said("before"))
          yield* probe.failWrites("image", 1)
          const [one, two, three] = yield* Effect.all(
            [
              store.accept(main, said("one")),
              store.accept(main, look(Pictures.content(png))),
              store.accept(main, said("three"))
            ].map(Effect.either),
            { concurrency: "unbounded" }
          )
          expect([one, two, three].map((result) => result?._tag)).toEqual(["Right", "Left", "Right"])
          if (two !== undefined && Either.isLeft(two)) {
            expect(two.left).toMatchObject({
              _tag: "SessionStoreError",
              operation: "write",
              reason: "ENOSPC"
            })
          }
          expect(textsOf((yield* store.history(main, whole)).messages)).toEqual(["before", "one", "three"])
          expect(yield* filesNow).toEqual([])
          expect(yield* find(main, png)).toBeUndefined()
          yield* probe.failWrites("image", 1)
          yield* Effect.flip(store.accept(main, look(Pictures.content(png))))
          expect(yield* store.problems).toMatchObject([{ operation: "write", reason: "ENOSPC" }])
          yield* store.accept(main, look(Pictures.content(png)))
          expect(yield* filesNow).toEqual([png.name])
          expect(yield* store.problems).toEqual([])
        }))

      test("a denied send leaves no file", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const probe = yield* StoreProbe
          yield* probe.setIndex(JSON.stringify({ [main]: { sendPolicy: "deny" } }))
          expect(yield* Effect.flip(store.accept(main, look(Pictures.content(png))))).toMatchObject({
            _tag: "SendDenied"
          })
          expect(yield* filesNow).toEqual([])
        }))

      test("a file that is gone, or holds something else, is never given as the image", () =>
        Effect.gen(function* () {
          const store = yield* SessionStore
          const probe = yield* StoreProbe
          const { message } = yield* store.accept(main, look(Pictures.content(png)))
          const reference = message.content.find(isImageReference)
          if (reference === undefined) return expect.unreachable()
          const wrong = [
            Buffer.of(),
            png.bytes.subarray(1),
            Buffer.concat([png.bytes, Buffer.of(0)]),
            Buffer.alloc(png.size, 7)
          ]
          for (const bytes of wrong) {
            yield* probe.setImage(png.name, bytes)
            expect(yield* Effect.flip(store.image(reference))).toMatchObject({
              _tag: "ImageUnavailable",
              sha256: png.sha256,
              reason: "damaged"
            })
            // Who sends it again puts it back.
            yield* store.accept(main, look(Pictures.content(png)))
            expect(yield* store.image(reference)).toEqual(Pictures.content(png))
          }
          yield* probe.setImage(png.name, undefined)
          expect(yield* Effect.flip(store.image(reference))).toMatchObject({ reason: "missing" })
          yield* store.accept(main, look(Pictures.content(png)))
          expect(yield* store.image(reference)).toEqual(Pictures.content(png))
        }))
    })
  })
}
