/** What every store makes of a session that is changed, begun anew or removed, also when a crash comes right behind it. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Option, Scope } from "effect"
import { SessionId } from "../../src/domain/Ids.js"
import { text } from "../../src/domain/Message.js"
import { parse, type SessionKey } from "../../src/domain/SessionKey.js"
import type { SessionStoreShape } from "../../src/session/SessionStore.js"
import type { Engine } from "../../src/session/StoreEngine.js"
import type { StoreDisk } from "./StoreDisk.js"
import { sessionKeyDefaults } from "./StoreProbe.js"

const key = (raw: string): SessionKey => Option.getOrThrow(Option.getRight(parse(raw, sessionKeyDefaults)))
const main = key("main")
const said = (value: string) => text("user", value, 1)

const textsOf = (store: SessionStoreShape, session: SessionKey = main) =>
  Effect.map(store.history(session, { limit: 1000, maxBytes: 1_000_000 }), ({ messages }) =>
    messages.map(({ content }) => (Array.isArray(content) ? String(content[0]?.text) : "?"))
  )

const life = <A, E>(disk: StoreDisk, use: (engine: Engine) => Effect.Effect<A, E>) =>
  Effect.scoped(Effect.flatMap(disk.open, use))

/** What is left of a life that ends with a crash. */
const crashed = <A, E>(disk: StoreDisk, use: (engine: Engine) => Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    return yield* life(disk, (engine) =>
      Effect.flatMap(use(engine), (value) =>
        Effect.map(Scope.extend(disk.copy, scope), (left) => ({ left, value }))
      )
    )
  })

/** A disk that a store has been on. */
const begun = (disk: StoreDisk) => life(disk, () => Effect.void)

const indexOf = (disk: StoreDisk) =>
  Effect.map(disk.read("index"), (bytes): Record<string, Record<string, unknown>> =>
    JSON.parse(bytes?.toString() ?? "{}")
  )
const writeIndex = (disk: StoreDisk, index: object) => disk.write("index", Buffer.from(JSON.stringify(index)))

export const contract = (name: string, make: Effect.Effect<StoreDisk, never, Scope.Scope>): void => {
  const test = (title: string, body: (disk: StoreDisk) => Effect.Effect<void, unknown, Scope.Scope>) =>
    it.scoped(title, () => Effect.flatMap(make, body))

  describe(`changes of sessions (${name})`, () => {
    describe("update", () => {
      test("sets fields, takes others away, keeps the rest, and is in the file when it is answered", (disk) =>
        life(disk, ({ store }) =>
          Effect.gen(function* () {
            const { sessionId } = yield* store.accept(main, said("one"))
            yield* store.flush
            const before = yield* indexOf(disk)
            yield* writeIndex(disk, {
              [main]: { ...before[main], lastTo: "x", label: "old", foreign: { a: [1] } },
              "agent:main:other": { sessionId: "o", updatedAt: 1 }
            })
            const entry = yield* store.update(main, {
              label: "new",
              lastTo: undefined,
              thinkingLevel: "high"
            })
            expect(entry).toMatchObject({ sessionId, thinkingLevel: "high", raw: { label: "new" } })
            expect(yield* indexOf(disk)).toEqual({
              [main]: { ...before[main], label: "new", foreign: { a: [1] }, thinkingLevel: "high" },
              "agent:main:other": { sessionId: "o", updatedAt: 1 }
            })
            expect(yield* store.get(main)).toEqual(Option.some(entry))
          })
        ))

      test("makes a session that is not there, with an empty transcript", (disk) =>
        life(disk, ({ store }) =>
          Effect.gen(function* () {
            const entry = yield* store.update(main, { label: "fresh" })
            expect((yield* indexOf(disk))[main]).toEqual({
              sessionId: entry.sessionId,
              updatedAt: 0,
              label: "fresh"
            })
            const file = { file: `${entry.sessionId}.jsonl` }
            expect((yield* disk.read(file))?.toString()).toMatch(/^\{"type":"session".*\}\n$/)
            expect(yield* textsOf(store)).toEqual([])
            expect((yield* store.accept(main, said("one"))).sessionId).toBe(entry.sessionId)
            expect((yield* disk.read(file))?.toString().split("\n")).toHaveLength(3)
            expect(yield* textsOf(store)).toEqual(["one"])
          })
        ))

      test("settings of a session that has not begun stay with it", (disk) =>
        Effect.gen(function* () {
          yield* begun(disk)
          yield* writeIndex(disk, { main: { label: "settings", sendPolicy: "deny" } })
          yield* life(disk, ({ store }) =>
            Effect.gen(function* () {
              const entry = yield* store.update(main, { sendPolicy: undefined })
              expect(yield* indexOf(disk)).toEqual({
                main: { label: "settings", sessionId: entry.sessionId, updatedAt: 0 }
              })
            })
          )
        }))

      test("refuses when the session is another one", (disk) =>
        life(disk, ({ store }) =>
          Effect.gen(function* () {
            const { sessionId } = yield* store.accept(main, said("one"))
            const update = (expected: string) =>
              store.update(main, { label: "x" }, { expected: SessionId(expected) })
            expect((yield* Effect.flip(update("another")))._tag).toBe("SessionChanged")
            expect(Option.getOrThrow(yield* store.get(main)).raw).not.toHaveProperty("label")
            expect((yield* update(sessionId)).raw["label"]).toBe("x")
          })
        ))

      test("many at once are all kept, with the sends between them, and survive a crash", (disk) =>
        Effect.gen(function* () {
          const { left } = yield* crashed(disk, ({ store }) =>
            Effect.gen(function* () {
              yield* Effect.forEach(
                Array.from({ length: 40 }, (_, at) => at),
                (at) =>
                  Effect.zip(
                    store.update(key(`s${at % 4}`), { [`f${at}`]: at }),
                    store.accept(key(`s${at % 4}`), said(`m${at}`))
                  ),
                { concurrency: "unbounded" }
              )
            })
          )
          yield* life(left, ({ store }) =>
            Effect.gen(function* () {
              for (const rest of [0, 1, 2, 3]) {
                const session = key(`s${rest}`)
                const entry = Option.getOrThrow(yield* store.get(session))
                const mine = Array.from({ length: 40 }, (_, at) => at).filter((at) => at % 4 === rest)
                expect(mine.every((at) => entry.raw[`f${at}`] === at)).toBe(true)
                expect(yield* textsOf(store, session)).toEqual(mine.map((at) => `m${at}`))
              }
            })
          )
        }))
    })

    describe("reset", () => {
      test("begins an empty transcript, keeps the old one and what is the user's", (disk) =>
        life(disk, ({ store }) =>
          Effect.gen(function* () {
            const { sessionId } = yield* store.accept(main, said("one"))
            yield* store.patch(main, {
              label: "L",
              lastTo: "x",
              plugin: [1],
              totalTokens: 9,
              abortedLastRun: true
            })
            const entry = yield* store.reset(main)
            expect(entry.sessionId).not.toBe(sessionId)
            expect((yield* indexOf(disk))[main]).toEqual({
              sessionId: entry.sessionId,
              updatedAt: 0,
              label: "L",
              lastTo: "x",
              plugin: [1]
            })
            expect(yield* textsOf(store)).toEqual([])
            yield* store.accept(main, said("two"))
            yield* store.append(main, said("three"))
            expect(yield* textsOf(store)).toEqual(["two", "three"])
            const old = (yield* disk.read({ file: `${sessionId}.jsonl` }))?.toString() ?? ""
            expect(old).toContain('"one"')
            expect(old).not.toContain('"two"')
            yield* store.flush
            expect((yield* indexOf(disk))[main]).toMatchObject({ sessionId: entry.sessionId, label: "L" })
          })
        ))

      test("takes a session away from a file that it was given", (disk) =>
        Effect.gen(function* () {
          yield* begun(disk)
          yield* disk.write({ file: "given.jsonl" }, Buffer.from(""))
          yield* writeIndex(disk, { [main]: { sessionId: "s1", updatedAt: 1, sessionFile: "given.jsonl" } })
          yield* life(disk, ({ store }) =>
            Effect.gen(function* () {
              const { raw, sessionId } = yield* store.reset(main)
              expect(raw).not.toHaveProperty("sessionFile")
              yield* store.accept(main, said("one"))
              expect((yield* disk.read({ file: `${sessionId}.jsonl` }))?.toString()).toContain('"one"')
            })
          )
        }))

      test("a crash behind it leaves the new session, and every message where it was put", (disk) =>
        Effect.gen(function* () {
          const { left, value } = yield* crashed(disk, ({ store }) =>
            Effect.gen(function* () {
              const old = yield* store.accept(main, said("one"))
              const entry = yield* store.reset(main)
              yield* store.accept(main, said("two"))
              return { old: old.sessionId, now: entry.sessionId }
            })
          )
          yield* life(left, ({ store }) =>
            Effect.gen(function* () {
              expect(Option.getOrThrow(yield* store.get(main)).sessionId).toBe(value.now)
              expect(yield* textsOf(store)).toEqual(["two"])
              expect((yield* left.read({ file: `${value.old}.jsonl` }))?.toString()).toContain('"one"')
            })
          )
        }))

      test("makes a session that is not there", (disk) =>
        life(disk, ({ store }) =>
          Effect.gen(function* () {
            const { sessionId } = yield* store.reset(main)
            expect((yield* store.accept(main, said("one"))).sessionId).toBe(sessionId)
          })
        ))
    })

    describe("remove", () => {
      const asideOf = (disk: StoreDisk, name: string | undefined) =>
        Effect.map(disk.read({ file: name ?? "none" }), (bytes) => bytes?.toString())

      test("takes the entry away, and keeps the transcript under another name", (disk) =>
        life(disk, ({ store }) =>
          Effect.gen(function* () {
            const { sessionId } = yield* store.accept(main, said("one"))
            yield* store.accept(key("other"), said("two"))
            yield* store.flush
            const { aside, removed } = yield* store.remove(main, { transcript: "aside" })
            expect(removed).toBe(true)
            expect(aside).toMatch(/^[\w-]+\.jsonl\.deleted\.[\w.-]+$/)
            expect(yield* asideOf(disk, aside)).toContain('"one"')
            expect(yield* disk.read({ file: `${sessionId}.jsonl` })).toBe(undefined)
            expect(yield* store.get(main)).toEqual(Option.none())
            expect(Array.from(yield* store.newest, ([session]) => session)).toEqual([key("other")])
            expect(Array.from((yield* store.list).keys())).toEqual([key("other")])
            expect(yield* textsOf(store)).toEqual([])
            yield* store.flush
            expect(Object.keys(yield* indexOf(disk))).toEqual([key("other")])
            expect(Array.from(yield* store.newest, ([session]) => session)).toEqual([key("other")])
            expect(yield* store.remove(main, { transcript: "aside" })).toEqual({ removed: false })
          })
        ))

      test("a session that begins under the key again is another one", (disk) =>
        life(disk, ({ store }) =>
          Effect.gen(function* () {
            const first = yield* store.accept(main, said("one"))
            yield* store.patch(main, { label: "L" })
            yield* store.remove(main, { transcript: "aside" })
            // A note of a run that comes too late.
            yield* store.patch(main, { totalTokens: 1 })
            expect(yield* store.get(main)).toEqual(Option.none())
            const second = yield* store.accept(main, said("two"))
            expect(second.sessionId).not.toBe(first.sessionId)
            expect(yield* textsOf(store)).toEqual(["two"])
            yield* store.flush
            expect(yield* indexOf(disk)).toEqual({ [main]: { sessionId: second.sessionId, updatedAt: 0 } })
          })
        ))

      test("leaves the transcript when it is asked to, and when another entry names it", (disk) =>
        Effect.gen(function* () {
          yield* begun(disk)
          yield* writeIndex(disk, {
            "agent:main:a": { sessionId: "a", updatedAt: 1 },
            "agent:main:b": { sessionId: "b", updatedAt: 1 },
            "agent:main:c": { sessionId: "c", updatedAt: 1, sessionFile: "./b.jsonl" }
          })
          yield* disk.write({ file: "a.jsonl" }, Buffer.from("a"))
          yield* disk.write({ file: "b.jsonl" }, Buffer.from("b"))
          yield* life(disk, ({ store }) =>
            Effect.gen(function* () {
              expect(yield* store.remove(key("a"), { transcript: "leave" })).toEqual({ removed: true })
              expect(yield* store.remove(key("b"), { transcript: "aside" })).toEqual({ removed: true })
              expect(yield* disk.read({ file: "a.jsonl" })).toBeDefined()
              expect(yield* disk.read({ file: "b.jsonl" })).toBeDefined()
              const last = yield* store.remove(key("c"), { transcript: "aside" })
              expect(last.aside).toMatch(/^b\.jsonl\.deleted\./)
              expect(yield* disk.read({ file: "b.jsonl" })).toBe(undefined)
            })
          )
        }))

      test("refuses when the session is another one", (disk) =>
        life(disk, ({ store }) =>
          Effect.gen(function* () {
            yield* store.accept(main, said("one"))
            const removing = store.remove(main, { transcript: "aside", expected: SessionId("another") })
            expect((yield* Effect.flip(removing))._tag).toBe("SessionChanged")
            expect(yield* textsOf(store)).toEqual(["one"])
          })
        ))

      test("a crash behind it does not bring the session back, at no later start", (disk) =>
        Effect.gen(function* () {
          const { left, value } = yield* crashed(disk, ({ store }) =>
            Effect.gen(function* () {
              const { sessionId } = yield* store.accept(main, said("one"))
              yield* store.accept(key("other"), said("two"))
              yield* store.remove(main, { transcript: "aside" })
              return sessionId
            })
          )
          const check = ({ store }: Engine) =>
            Effect.gen(function* () {
              expect(yield* store.get(main)).toEqual(Option.none())
              expect(yield* textsOf(store, key("other"))).toEqual(["two"])
              expect(yield* left.read({ file: `${value}.jsonl` })).toBe(undefined)
            })
          const again = yield* crashed(left, check)
          yield* life(again.left, check)
          yield* life(left, check)
          yield* life(left, check)
          expect(Object.keys(yield* indexOf(left))).toEqual([key("other")])
        }))

      test("nor does one right behind its line in the journal, with the files as they were", (disk) =>
        Effect.gen(function* () {
          const first = yield* crashed(disk, ({ store }) =>
            Effect.gen(function* () {
              const { sessionId } = yield* store.accept(main, said("one"))
              yield* store.flush
              const file = { file: `${sessionId}.jsonl` }
              return { file, index: yield* disk.read("index"), transcript: yield* disk.read(file) }
            })
          )
          const { file, index, transcript } = first.value
          const { left, value } = yield* crashed(first.left, ({ store }) =>
            store.remove(main, { transcript: "aside" })
          )
          yield* left.write("index", index)
          yield* left.write(file, transcript)
          yield* left.write({ file: value.aside ?? "" }, undefined)
          yield* life(left, ({ store }) =>
            Effect.gen(function* () {
              expect(yield* store.get(main)).toEqual(Option.none())
              expect(yield* asideOf(left, value.aside)).toContain('"one"')
              expect(yield* left.read(file)).toBe(undefined)
            })
          )
          expect(yield* indexOf(left)).toEqual({})
        }))

      test("a session that began again, and a crash: the new one is there", (disk) =>
        Effect.gen(function* () {
          const { left, value } = yield* crashed(disk, ({ store }) =>
            Effect.gen(function* () {
              yield* store.accept(main, said("one"))
              yield* store.remove(main, { transcript: "aside" })
              return yield* store.accept(main, said("two"))
            })
          )
          yield* life(left, ({ store }) =>
            Effect.gen(function* () {
              expect(Option.getOrThrow(yield* store.get(main)).sessionId).toBe(value.sessionId)
              expect(yield* textsOf(store)).toEqual(["two"])
            })
          )
        }))

      test("other programs' edits of other entries survive it, and so does what they make of this one", (disk) =>
        Effect.gen(function* () {
          const { left } = yield* crashed(disk, ({ store }) =>
            Effect.zipRight(store.accept(main, said("one")), store.remove(main, { transcript: "aside" }))
          )
          const foreign = {
            [main]: { sessionId: "theirs", updatedAt: 9 },
            "agent:main:x": { sessionId: "x", updatedAt: 1, n: null }
          }
          yield* writeIndex(left, foreign)
          yield* life(left, ({ store }) => Effect.asVoid(store.flush))
          expect(yield* indexOf(left)).toEqual(foreign)
        }))
    })
  })
}
