/** What a store does at its start with what a crash, or a bad disk, has left of its files. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Logger, Option, Scope } from "effect"
import { RunId } from "../../src/domain/Ids.js"
import { text } from "../../src/domain/Message.js"
import { parse, type SessionKey } from "../../src/domain/SessionKey.js"
import type { SessionStoreShape } from "../../src/session/SessionStore.js"
import type { Engine } from "../../src/session/StoreEngine.js"
import { endOf, runOf } from "../journal/Records.js"
import type { StoreDisk } from "./StoreDisk.js"
import { sessionKeyDefaults } from "./StoreProbe.js"

const key = (raw: string): SessionKey => Option.getOrThrow(Option.getRight(parse(raw, sessionKeyDefaults)))
const main = key("main")
const said = (value: string) => text("user", value, 1)

/** How many tests share what takes long on a disk. */
const parts = 16

const textsOf = (store: SessionStoreShape, session: SessionKey = main) =>
  Effect.map(store.history(session, { limit: 1000, maxBytes: 1_000_000 }), ({ messages }) =>
    messages.map(({ content }) => (Array.isArray(content) ? String(content[0]?.text) : "?"))
  )

/** One life on a disk, with an orderly end. */
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

/** What is logged above a warning, by an effect. */
const withErrors = <A, E, R>(effect: Effect.Effect<A, E, R>) => {
  const errors: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => {
    if (logLevel.label === "ERROR") errors.push(String(message))
  })
  return Effect.map(Effect.provide(effect, Logger.add(logger)), (value) => ({ value, errors }))
}

export const contract = (name: string, make: Effect.Effect<StoreDisk, never, Scope.Scope>): void => {
  const test = (title: string, body: (disk: StoreDisk) => Effect.Effect<void, unknown, Scope.Scope>) =>
    it.scoped(title, () => Effect.flatMap(make, body))

  describe(`repair at the start (${name})`, () => {
    describe("a transcript", () => {
      /** Two messages, and what a crash leaves right behind them. */
      const two = (disk: StoreDisk) =>
        Effect.gen(function* () {
          const { left, value } = yield* crashed(disk, ({ store }) =>
            Effect.zipRight(store.accept(main, said("one")), store.accept(main, said("two"), runOf("r")))
          )
          const place = { file: `${value.sessionId}.jsonl` }
          const bytes = (yield* left.read(place)) ?? Buffer.of()
          return { left, place, bytes, last: bytes.lastIndexOf("\n", bytes.length - 2) + 1, ...value }
        })

      /** Starts on it twice, and goes on. */
      const goOn = (disk: StoreDisk, place: { readonly file: string }) =>
        Effect.gen(function* () {
          yield* life(disk, ({ journal, store }) =>
            Effect.gen(function* () {
              expect(journal.unfinished.map(({ run }) => run.runId)).toEqual(["r"])
              expect(yield* textsOf(store)).toEqual(["one", "two"])
            })
          )
          yield* life(disk, ({ store }) =>
            Effect.gen(function* () {
              yield* store.accept(main, said("three"))
              expect(yield* textsOf(store)).toEqual(["one", "two", "three"])
            })
          )
          const lines = String(yield* disk.read(place)).split("\n")
          expect(lines).toHaveLength(5)
          expect(lines.slice(0, 4).map((line) => JSON.parse(line).type)).toEqual([
            "session",
            "message",
            "message",
            "message"
          ])
        })

      for (let part = 0; part < parts; part++) {
        test(`cut off at any byte of its last line has the message of the journal once (${part})`, (disk) =>
          Effect.gen(function* () {
            const { bytes, last, left, place } = yield* two(disk)
            for (let cut = last + part; cut < bytes.length; cut += parts) {
              yield* Effect.gen(function* () {
                const torn = yield* left.copy
                yield* torn.write(place, bytes.subarray(0, cut))
                yield* goOn(torn, place)
                // What was cut off is put aside; a line that lacks only its line feed is whole.
                const aside = yield* torn.read({ file: `${place.file}.torn` })
                expect(aside === undefined ? "" : String(aside)).toBe(
                  cut === last || cut === bytes.length - 1 ? "" : `${String(bytes.subarray(last, cut))}\n`
                )
              }).pipe(Effect.scoped)
            }
          }))

        test(`with a wrong bit in any byte of its last line has the message of the journal once (${part})`, (disk) =>
          Effect.gen(function* () {
            const { bytes, last, left, messageId, place } = yield* two(disk)
            for (let at = last + part; at < bytes.length; at += parts) {
              yield* Effect.gen(function* () {
                const wrong = Buffer.from(bytes)
                wrong[at] = (wrong[at] ?? 0) ^ 0x01
                const damaged = yield* left.copy
                yield* damaged.write(place, wrong)
                yield* life(damaged, ({ store }) =>
                  Effect.gen(function* () {
                    yield* store.accept(main, said("three"))
                    const { messages } = yield* store.history(main, { limit: 10, maxBytes: 10_000 })
                    expect(messages.filter(({ id }) => id === messageId)).toHaveLength(1)
                    const texts = yield* textsOf(store)
                    expect([texts[0], texts.at(-1)]).toEqual(["one", "three"])
                  })
                )
              }).pipe(Effect.scoped)
            }
          }))
      }

      test("with garbage behind it", (disk) =>
        Effect.gen(function* () {
          const { bytes, left, place } = yield* two(disk)
          for (const garbage of ["\u0000".repeat(600), "{", `{"type":"message"`]) {
            const damaged = yield* left.copy
            yield* damaged.write(place, Buffer.concat([bytes, Buffer.from(garbage)]))
            yield* goOn(damaged, place)
            expect(String(yield* damaged.read({ file: `${place.file}.torn` }))).toBe(`${garbage}\n`)
          }
        }))

      test("that is gone has all messages that the journal still knows, under its header", (disk) =>
        Effect.gen(function* () {
          const { left, place } = yield* two(disk)
          yield* left.write(place, undefined)
          yield* goOn(left, place)
        }))

      test("that is whole is not touched", (disk) =>
        Effect.gen(function* () {
          const { bytes, left, place } = yield* two(disk)
          yield* life(left, () => Effect.void)
          expect((yield* left.read(place))?.equals(bytes)).toBe(true)
          expect(yield* left.kept).toEqual([])
        }))

      test("that another program has rewritten shorter has each message once", (disk) =>
        Effect.gen(function* () {
          const { bytes, last, left, place } = yield* two(disk)
          const lines = bytes.toString().split("\n")
          // Compacted: no header, the second message in the place of the first.
          yield* left.write(place, Buffer.from(`${lines[2] ?? ""}\n`))
          expect(last).toBeGreaterThan((lines[2] ?? "").length)
          yield* life(left, ({ store }) =>
            Effect.gen(function* () {
              expect((yield* textsOf(store)).toSorted()).toEqual(["one", "two"])
            })
          )
        }))
    })

    describe("sessions.json", () => {
      /** `a` from a life with an orderly end, `b` and a newer `a` from one that ended with a crash. */
      const lives = (disk: StoreDisk) =>
        Effect.gen(function* () {
          const a = yield* life(disk, ({ store }) => store.accept(key("a"), said("a1")))
          const { left, value: b } = yield* crashed(disk, ({ store }) =>
            Effect.zipLeft(
              Effect.zipRight(store.accept(key("a"), said("a2")), store.accept(key("b"), said("b1"))),
              store.flush
            )
          )
          const index = (yield* left.read("index")) ?? Buffer.of()
          return { left, index, a: a.sessionId, b: b.sessionId }
        })

      const isWhole = (store: SessionStoreShape, sessions: { readonly a: string; readonly b: string }) =>
        Effect.gen(function* () {
          const found = yield* store.list
          expect(Object.fromEntries(Array.from(found, ([name, { sessionId }]) => [name, sessionId]))).toEqual(
            {
              [key("a")]: sessions.a,
              [key("b")]: sessions.b
            }
          )
          expect(yield* textsOf(store, key("a"))).toEqual(["a1", "a2"])
          expect(yield* textsOf(store, key("b"))).toEqual(["b1"])
        })

      test("damaged: the last good version and the journal say all there is, the damaged file is kept, loudly", (disk) =>
        Effect.gen(function* () {
          const { index, left, ...sessions } = yield* lives(disk)
          const damages = [
            Buffer.of(),
            Buffer.from("null"),
            Buffer.from("[]"),
            Buffer.from("\u0000".repeat(index.length)),
            Buffer.from([0xff, 0xfe, 0x7b]),
            ...[1, 5, 20, 60, index.length - 10, index.length - 2].map((cut) => index.subarray(0, cut))
          ]
          for (const damage of damages) {
            const damaged = yield* left.copy
            yield* damaged.write("index", damage)
            const { errors } = yield* withErrors(
              life(damaged, ({ store }) =>
                Effect.zipRight(isWhole(store, sessions), store.accept(key("b"), said("b2")))
              )
            )
            expect(errors).toHaveLength(1)
            expect(errors[0]).toContain("sessions.json")
            const [kept, ...others] = yield* damaged.kept
            expect(others).toEqual([])
            expect((yield* damaged.read({ file: kept ?? "" }))?.equals(damage)).toBe(true)
            // And it is whole again.
            const { errors: later } = yield* withErrors(
              life(damaged, ({ store }) =>
                Effect.gen(function* () {
                  expect((yield* store.list).size).toBe(2)
                  expect(yield* textsOf(store, key("b"))).toEqual(["b1", "b2"])
                })
              )
            )
            expect(later).toEqual([])
            expect(Object.keys(JSON.parse(String(yield* damaged.read("index"))))).toHaveLength(2)
          }
        }))

      test("damaged after an orderly end: the backup says all there was", (disk) =>
        Effect.gen(function* () {
          const { index, left, ...sessions } = yield* lives(disk)
          yield* life(left, () => Effect.void)
          yield* left.write("index", index.subarray(0, 40))
          const { errors } = yield* withErrors(life(left, ({ store }) => isWhole(store, sessions)))
          expect(errors).toHaveLength(1)
        }))

      test("damaged right after the first session of all", (disk) =>
        Effect.gen(function* () {
          const { sessionId } = yield* life(disk, ({ store }) => store.accept(main, said("one")))
          yield* disk.write("index", Buffer.from(`{"agent:main:main": {"sess`))
          yield* withErrors(
            life(disk, ({ store }) =>
              Effect.gen(function* () {
                expect(Option.map(yield* store.get(main), (entry) => entry.sessionId)).toEqual(
                  Option.some(sessionId)
                )
                expect(yield* textsOf(store)).toEqual(["one"])
              })
            )
          )
        }))

      for (const [title, backup] of [
        ["without a backup", undefined],
        ["with a damaged backup", Buffer.from(`{"a`)]
      ] as const) {
        test(`damaged, ${title}: what the journal knows is there, and nothing fails`, (disk) =>
          Effect.gen(function* () {
            const { b, index, left } = yield* lives(disk)
            yield* left.write("index", index.subarray(0, 30))
            yield* left.write("backup", backup)
            const { errors } = yield* withErrors(
              life(left, ({ store }) =>
                Effect.gen(function* () {
                  expect(Option.map(yield* store.get(key("b")), ({ sessionId }) => sessionId)).toEqual(
                    Option.some(b)
                  )
                  expect(yield* textsOf(store, key("a"))).toEqual(["a1", "a2"])
                  yield* store.accept(key("c"), said("c1"))
                })
              )
            )
            expect(errors).toHaveLength(1)
            expect(yield* left.kept).toHaveLength(1)
          }))
      }

      test("that is gone is no damage: the journal says what it knows", (disk) =>
        Effect.gen(function* () {
          const { b, left } = yield* lives(disk)
          yield* left.write("index", undefined)
          const { errors } = yield* withErrors(
            life(left, ({ store }) =>
              Effect.gen(function* () {
                expect(Option.map(yield* store.get(key("b")), ({ sessionId }) => sessionId)).toEqual(
                  Option.some(b)
                )
              })
            )
          )
          expect(errors).toEqual([])
        }))

      test("that another program has edited behind the crash keeps the edit", (disk) =>
        Effect.gen(function* () {
          const { a, left } = yield* lives(disk)
          yield* left.write(
            "index",
            Buffer.from(
              JSON.stringify({
                [key("a")]: { sessionId: a, updatedAt: 99, label: "theirs" },
                [key("b")]: { sessionId: "exchanged", updatedAt: 1 },
                other: 7
              })
            )
          )
          yield* life(left, () => Effect.void)
          expect(JSON.parse(String(yield* left.read("index")))).toEqual({
            [key("a")]: { sessionId: a, updatedAt: 99, label: "theirs" },
            [key("b")]: { sessionId: "exchanged", updatedAt: 1 },
            other: 7
          })
        }))
    })

    describe("the end of a run", () => {
      test("and its answer are one record: whoever finds the one finds the other", (disk) =>
        Effect.gen(function* () {
          const { left, value } = yield* crashed(disk, ({ store }) =>
            Effect.zipRight(
              store.accept(main, said("question"), runOf("r")),
              store.append(main, text("assistant", "answer", 2), endOf("r"))
            )
          )
          // The transcript was not written any more.
          const place = { file: `${value.sessionId}.jsonl` }
          const bytes = (yield* left.read(place)) ?? Buffer.of()
          yield* left.write(place, bytes.subarray(0, bytes.lastIndexOf("\n", bytes.length - 2) + 1))
          yield* life(left, ({ journal, store }) =>
            Effect.gen(function* () {
              expect(journal.unfinished).toEqual([])
              expect(journal.settled(RunId("r"))?.outcome).toEqual({ _tag: "Final" })
              expect(yield* textsOf(store)).toEqual(["question", "answer"])
            })
          )
        }))
    })
  })
}
