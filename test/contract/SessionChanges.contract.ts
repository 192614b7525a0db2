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
  })
}
