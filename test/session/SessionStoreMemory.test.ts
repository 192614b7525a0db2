import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Option, Scope, TestClock } from "effect"
import { text } from "../../src/domain/Message.js"
import { main as mainKey } from "../../src/domain/SessionKey.js"
import { SessionStore } from "../../src/session/SessionStore.js"
import * as SessionStoreMemory from "../../src/session/SessionStoreMemory.js"
import { sessionKeyDefaults, storeOptions } from "../contract/StoreProbe.js"

const main = mainKey(sessionKeyDefaults)
const layer = SessionStoreMemory.layer(storeOptions)
const whole = { limit: 1000, maxBytes: 1_000_000 }
const said = (value: string) => text("user", value, 1)

describe("SessionStoreMemory", () => {
  it.effect("a save takes as long as it is told, and is not seen before", () =>
    Effect.gen(function* () {
      const store = yield* SessionStore
      const memory = yield* SessionStoreMemory.SessionStoreMemory
      yield* memory.setSaveDelay("120 millis")
      const first = yield* Effect.fork(store.accept(main, said("one")))
      yield* Effect.yieldNow()
      const others = yield* Effect.forEach(["two", "three"], (value) =>
        Effect.fork(store.accept(main, said(value)))
      )
      yield* TestClock.adjust("119 millis")
      expect(first.unsafePoll()).toBe(null)
      expect(yield* store.history(main, whole)).toEqual({ messages: [], hasMore: false })
      expect((yield* memory.files).size).toBe(0)
      yield* TestClock.adjust("1 millis")
      const { sessionId } = yield* Fiber.join(first)
      expect((yield* store.history(main, whole)).messages).toHaveLength(1)
      // Those that waited are saved together.
      yield* TestClock.adjust("120 millis")
      yield* Effect.forEach(others, Fiber.join)
      expect((yield* store.history(main, whole)).messages).toHaveLength(3)
      // The journal decides; the index follows behind.
      yield* store.flush
      const operations = (yield* memory.operations).map(({ operation }) => operation)
      expect(operations.filter((operation) => operation !== "index")).toEqual([
        "journal", // its first line, by itself
        "journal",
        "append",
        "journal",
        "append"
      ])
      expect(operations.at(-1)).toBe("index")
      expect(Array.from((yield* memory.files).keys())).toEqual([`${sessionId}.jsonl`])
    }).pipe(Effect.provide(layer))
  )

  it.effect("a send that is interrupted while it waits is not saved", () =>
    Effect.gen(function* () {
      const store = yield* SessionStore
      const memory = yield* SessionStoreMemory.SessionStoreMemory
      yield* memory.setSaveDelay("10 seconds")
      const first = yield* Effect.fork(store.accept(main, said("one")))
      yield* Effect.yieldNow()
      const second = yield* Effect.fork(store.accept(main, said("two")))
      yield* Effect.yieldNow()
      expect(Exit.isInterrupted(yield* Fiber.interrupt(second))).toBe(true)
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(first)
      expect((yield* store.history(main, whole)).messages).toHaveLength(1)
    }).pipe(Effect.provide(layer))
  )

  it.effect("a save that has begun is finished before its sender is interrupted", () =>
    Effect.gen(function* () {
      const store = yield* SessionStore
      const memory = yield* SessionStoreMemory.SessionStoreMemory
      yield* memory.setSaveDelay("10 seconds")
      const sending = yield* Effect.fork(store.accept(main, said("one")))
      yield* Effect.yieldNow()
      const interrupting = yield* Effect.fork(Fiber.interrupt(sending))
      yield* TestClock.adjust("9 seconds")
      expect(interrupting.unsafePoll()).toBe(null)
      yield* TestClock.adjust("1 seconds")
      yield* Fiber.join(interrupting)
      expect((yield* store.history(main, whole)).messages).toHaveLength(1)
    }).pipe(Effect.provide(layer))
  )

  it.effect("closing the store ends a save that still waits for the clock, unsaved", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const services = yield* Layer.buildWithScope(layer, scope)
      const store = Context.get(services, SessionStore)
      const memory = Context.get(services, SessionStoreMemory.SessionStoreMemory)
      yield* memory.setSaveDelay("10 seconds")
      const sending = yield* Effect.fork(store.accept(main, said("one")))
      yield* Effect.yieldNow()
      yield* Scope.close(scope, Exit.void)
      expect(Exit.isInterrupted(yield* Fiber.await(sending))).toBe(true)
      expect((yield* memory.files).size).toBe(0)
    })
  )

  for (const kind of ["journal", "append"] as const) {
    it.effect(`fails the writes it is told to fail: of the ${kind}`, () =>
      Effect.gen(function* () {
        const store = yield* SessionStore
        const memory = yield* SessionStoreMemory.SessionStoreMemory
        yield* memory.failWrites(1, { kind, reason: "EIO" })
        expect(yield* Effect.flip(store.accept(main, said("lost")))).toMatchObject({ reason: "EIO" })
        expect((yield* memory.operations).map(({ operation }) => operation)).not.toContain("append")
        expect((yield* memory.files).size).toBe(0)
        expect(yield* memory.index).toEqual(Option.none())
        yield* store.accept(main, said("kept"))
        yield* memory.failWrites(5)
        yield* memory.failWrites(0)
        yield* store.accept(main, said("kept"))
        expect((yield* store.history(main, whole)).messages).toHaveLength(2)
      }).pipe(Effect.provide(layer))
    )
  }

  it.effect("a crash leaves a disk for a next store, and what the first one does later is not on it", () =>
    Effect.gen(function* () {
      const memory = yield* SessionStoreMemory.SessionStoreMemory
      const first = yield* SessionStore
      yield* first.accept(main, said("one"))
      const disk = yield* memory.crash
      yield* first.accept(main, said("late"))
      const texts = Effect.flatMap(SessionStore, (store) =>
        Effect.zipRight(store.accept(main, said("two")), store.history(main, whole))
      ).pipe(Effect.map(({ messages }) => messages.map(({ content }) => content)))
      expect(yield* Effect.provide(texts, SessionStoreMemory.layer({ ...storeOptions, disk }))).toEqual([
        said("one").content,
        said("two").content
      ])
      expect((yield* first.history(main, whole)).messages).toHaveLength(2)
    }).pipe(Effect.provide(layer))
  )
})
