import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Scope, Stream, TestClock } from "effect"
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
      const size = 100_000_000
      const group = yield* spawn(program("flood", String(size)))
      const held = /held up at (\d+)/.exec(yield* line(group.errors))
      expect(Number(held?.[1])).toBeLessThan(1_000_000)
      expect(yield* Stream.runFold(group.output, 0, (sum, bytes) => sum + bytes.length)).toBe(size)
      expect(yield* group.exit).toEqual({ code: 0, signal: null })
    }).pipe(Effect.provide(Processes.layer))
  )
})
