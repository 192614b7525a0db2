import { describe, expect, it } from "@effect/vitest"
import { Chunk, Duration, Effect, Exit, Fiber, Option, Scope, Stream, TestClock } from "effect"
import { spawn, type SpawnOptions } from "../../src/agent/ProcessGroup.js"
import * as Processes from "./process/Processes.js"

const { alive, line, program } = Processes

const text = <E>(bytes: Stream.Stream<Uint8Array, E>) => bytes.pipe(Stream.decodeText(), Stream.mkString)

/** A group in a scope of its own, which the test closes. */
const started = (options: SpawnOptions) =>
  Effect.gen(function* () {
    const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
    const group = yield* Scope.extend(spawn(options), scope)
    return { group, close: Scope.close(scope, Exit.void) }
  })

describe("ProcessGroup", () => {
  it.scoped("input, output and exit", () =>
    Effect.gen(function* () {
      const group = yield* spawn(program("echo"))
      expect(alive({ group: group.pid })).toEqual([group.pid])
      yield* group.write("Grüße, ")
      yield* group.write(new TextEncoder().encode("Welt"))
      yield* group.closeInput
      expect(yield* text(group.output)).toBe("Grüße, Welt")
      expect(yield* group.exit).toEqual({ code: 0, signal: null })
    }).pipe(Effect.provide(Processes.layer))
  )

  it.scoped("closing the scope ends the program", () =>
    Effect.gen(function* () {
      const { close, group } = yield* started(program("hang"))
      expect(yield* line(group.output)).toBe("ready")
      const pending = yield* Effect.fork(Stream.runDrain(group.output))
      yield* close
      expect(alive({ group: group.pid })).toEqual([])
      expect(yield* group.exit).toEqual({ code: null, signal: "SIGTERM" })
      yield* Fiber.join(pending)
    }).pipe(Effect.provide(Processes.layer))
  )

  it.scoped("a program that ignores SIGTERM is killed after the grace", () =>
    Effect.gen(function* () {
      const { close, group } = yield* started(program("stubborn"))
      yield* line(group.output)
      const closing = yield* Effect.fork(close)
      yield* TestClock.adjust(Duration.millis(1999))
      expect(alive({ group: group.pid })).toEqual([group.pid])
      yield* TestClock.adjust(Duration.millis(1))
      yield* Fiber.join(closing)
      expect(alive({ group: group.pid })).toEqual([])
      expect(yield* group.exit).toEqual({ code: null, signal: "SIGKILL" })
    }).pipe(Effect.provide(Processes.layer))
  )

  it.scoped("a program that writes faster than it is read is held up by its pipe", () =>
    Effect.gen(function* () {
      const size = 40_000_000
      const group = yield* spawn(program("flood", String(size)))
      const held = /held up at (\d+)/.exec(yield* line(group.errors))
      expect(Number(held?.[1])).toBeLessThan(1_000_000)
      expect(yield* Stream.runFold(group.output, 0, (sum, bytes) => sum + bytes.length)).toBe(size)
      expect(yield* group.exit).toEqual({ code: 0, signal: null })
    }).pipe(Effect.provide(Processes.layer))
  )

  it.scoped("input that is not read waits, as long as output that is not pulled holds the program up", () =>
    Effect.gen(function* () {
      const group = yield* spawn(program("echo"))
      const writing = yield* Effect.fork(
        Effect.zipRight(group.write(new Uint8Array(10_000_000)), group.closeInput)
      )
      const pull = yield* Stream.toPull(group.output)
      let read = Chunk.reduce(yield* pull, 0, (sum, bytes) => sum + bytes.length)
      expect(yield* Fiber.poll(writing)).toEqual(Option.none())
      read += yield* Stream.runFold(
        Stream.repeatEffectChunkOption(pull),
        0,
        (sum, bytes) => sum + bytes.length
      )
      expect(read).toBe(10_000_000)
      yield* Fiber.join(writing)
    }).pipe(Effect.provide(Processes.layer))
  )

  it.scoped("writing to a program that reads no more, or is gone, is an error", () =>
    Effect.gen(function* () {
      const deaf = yield* spawn(program("deaf"))
      yield* line(deaf.output)
      expect(yield* Effect.flip(deaf.write("hello"))).toMatchObject({ operation: "write", code: "EPIPE" })
      const gone = yield* spawn(program("end", "0"))
      yield* gone.exit
      expect(yield* Effect.flip(gone.write("x".repeat(1_000_000)))).toMatchObject({ code: "EPIPE" })
      expect(yield* Effect.flip(gone.write("x"))).toMatchObject({ code: "EPIPE" })
      const { close, group } = yield* started(program("hang"))
      yield* close
      expect(yield* Effect.flip(group.write("x"))).toMatchObject({ code: "EPIPE" })
    }).pipe(Effect.provide(Processes.layer))
  )

  it.scoped("last words that nobody reads don't hold a program up", () =>
    Effect.gen(function* () {
      const { close, group } = yield* started(program("polite"))
      yield* line(group.output)
      yield* close
      expect(yield* group.exit).toEqual({ code: 0, signal: null })
    }).pipe(Effect.provide(Processes.layer))
  )

  it.scoped("children that a program has left behind end with the scope", () =>
    Effect.gen(function* () {
      const { close, group } = yield* started(program("parent", "none", "exits"))
      const child = Number(yield* line(group.output))
      expect(yield* group.exit).toEqual({ code: 0, signal: null })
      expect(alive({ group: group.pid })).toEqual([child])
      const closing = yield* Effect.fork(close)
      yield* TestClock.adjust(Duration.seconds(2))
      yield* Fiber.join(closing)
      expect(alive({ pid: child })).toEqual([])
    }).pipe(Effect.provide(Processes.layer))
  )

  it.scoped("a zombie whose parent does not care for it is not waited for", () =>
    Effect.gen(function* () {
      const { close, group } = yield* started(program("zombie"))
      const parent = Number(yield* line(group.output))
      // It has left the group, so ending it is up to whoever knows it.
      yield* Effect.addFinalizer(() => Effect.sync(() => process.kill(parent, "SIGKILL")))
      yield* group.exit
      expect(process.kill(-group.pid, 0)).toBe(true)
      yield* close
      expect(alive({ group: group.pid })).toEqual([])
      expect(alive({ pid: parent })).toEqual([parent])
    }).pipe(Effect.provide(Processes.layer))
  )

  it.scoped("what is alive when the gateway's process ends is killed; when nothing is, nobody listens", () =>
    Effect.gen(function* () {
      const before = process.listeners("exit")
      const { close, group } = yield* started(program("stubborn"))
      const { close: closeOther, group: other } = yield* started(program("stubborn"))
      yield* line(group.output)
      yield* line(other.output)
      const added = process.listeners("exit").filter((listener) => !before.includes(listener))
      expect(added).toHaveLength(1)
      for (const listener of added) listener(0)
      expect(yield* group.exit).toEqual({ code: null, signal: "SIGKILL" })
      expect(yield* other.exit).toEqual({ code: null, signal: "SIGKILL" })
      yield* close
      yield* closeOther
      expect(process.listeners("exit")).toEqual(before)
    }).pipe(Effect.provide(Processes.layer))
  )

  it.scoped("closing the layer kills what is left", () =>
    Effect.gen(function* () {
      const { group } = yield* Effect.provide(started(program("stubborn")), Processes.layer)
      expect(yield* group.exit).toEqual({ code: null, signal: "SIGKILL" })
    })
  )
})
