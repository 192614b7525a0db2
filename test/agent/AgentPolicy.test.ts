/** When an agent is tried again, and when its silence is a failure. */
import { describe, expect, it } from "@effect/vitest"
import { Chunk, Duration, Effect, Exit, Fiber, Option, Stream, TestClock } from "effect"
import * as AgentPolicy from "../../src/agent/AgentPolicy.js"
import { AgentError, type AgentRequest } from "../../src/agent/AgentRunner.js"
import * as AgentEvent from "../../src/domain/AgentEvent.js"
import { agentRequest } from "../support/Request.js"

type Try = Stream.Stream<AgentEvent.AgentEvent, AgentError>

const answer = Stream.make(AgentEvent.textDelta("yes"), AgentEvent.end())
const overloaded = (more: Partial<AgentError> = {}): Try =>
  Stream.fail(new AgentError({ message: "overloaded", retryable: true, ...more }))
const none = AgentPolicy.defaults.noProgressTimeout

/** An agent that does one thing after another, and says how often it was called and how many calls are open. */
const agentOf = (
  tries: ReadonlyArray<Try | ((request: AgentRequest) => Try)>,
  policy: Partial<AgentPolicy.AgentPolicy> = {}
) => {
  const seen = { calls: 0, open: 0 }
  const agent = AgentPolicy.apply({ ...AgentPolicy.defaults, ...policy })({
    about: { kind: "test", images: true },
    check: Effect.succeed("ok"),
    run: (request) =>
      Stream.acquireRelease(
        Effect.sync(() => {
          seen.open += 1
          return tries[seen.calls++]
        }),
        () => Effect.sync(() => (seen.open -= 1))
      ).pipe(
        Stream.flatMap((next) =>
          typeof next === "function" ? next(request) : (next ?? Stream.die("called too often"))
        )
      )
  })
  return { seen, said: (request = agentRequest("hi")) => Stream.runCollect(agent.run(request)) }
}

const tags = (events: Chunk.Chunk<AgentEvent.AgentEvent>) =>
  Chunk.toReadonlyArray(events).map(({ _tag }) => _tag)

describe("retries", () => {
  it.effect(
    "what failed before it said anything is tried again after a while, and what it held is given back",
    () =>
      Effect.gen(function* () {
        const { said, seen } = agentOf([Stream.concat(Stream.make(AgentEvent.start), overloaded()), answer])
        const fiber = yield* Effect.fork(said())
        yield* TestClock.adjust(249)
        expect(seen).toEqual({ calls: 1, open: 0 })
        yield* TestClock.adjust(251)
        expect(tags(yield* Fiber.join(fiber))).toEqual(["Start", "TextDelta", "End"])
        expect(seen).toEqual({ calls: 2, open: 0 })
      })
  )

  it.effect("waits as long as the other side asks for, to the millisecond", () =>
    Effect.gen(function* () {
      const { said, seen } = agentOf([overloaded({ retryAfterMs: 30_000 }), answer])
      const fiber = yield* Effect.fork(said())
      yield* TestClock.adjust(29_999)
      expect(seen.calls).toBe(1)
      yield* TestClock.adjust(1)
      expect(tags(yield* Fiber.join(fiber))).toEqual(["TextDelta", "End"])
    })
  )

  it.effect.each([
    ["not when the wait does not fit the budget", [overloaded({ retryAfterMs: 60_001 })], 1],
    ["not when it would not help", [Stream.fail(new AgentError({ message: "overloaded" }))], 1],
    [
      "not after it has said something",
      [Stream.concat(Stream.make(AgentEvent.textDelta("half")), overloaded())],
      1
    ],
    [
      "not after a tool was used",
      [
        Stream.concat(
          Stream.make(AgentEvent.tool({ phase: "start", name: "rm", toolCallId: "1" })),
          overloaded()
        )
      ],
      1
    ],
    ["and not for ever", [overloaded(), overloaded(), overloaded(), overloaded()], 4]
  ] as const)("%s", ([, tries, calls]) =>
    Effect.gen(function* () {
      const { said, seen } = agentOf(tries)
      const fiber = yield* Effect.fork(Effect.flip(said()))
      yield* TestClock.adjust("1 minute")
      expect((yield* Fiber.join(fiber)).message).toBe("overloaded")
      expect(seen).toEqual({ calls, open: 0 })
    })
  )

  it.effect("an abort while it waits calls it no more", () =>
    Effect.gen(function* () {
      const { said, seen } = agentOf([overloaded()])
      const fiber = yield* Effect.fork(said())
      yield* TestClock.adjust(1)
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust("1 minute")
      expect(seen).toEqual({ calls: 1, open: 0 })
    })
  )
})

describe("no progress", () => {
  const silent: Try = Stream.concat(Stream.make(AgentEvent.textDelta("so")), Stream.never)

  it.effect("an agent that says nothing for too long has failed, and what it held is given back", () =>
    Effect.gen(function* () {
      const { said, seen } = agentOf([silent])
      const fiber = yield* Effect.fork(Effect.flip(said()))
      yield* TestClock.adjust(Duration.toMillis(none) - 1)
      expect(fiber.unsafePoll()).toBe(null)
      yield* TestClock.adjust(1)
      expect(yield* Fiber.join(fiber)).toMatchObject({
        code: "NO_PROGRESS",
        message: expect.stringContaining("5m")
      })
      expect(seen.open).toBe(0)
    })
  )

  it.effect("whatever it says counts, however long it takes in all", () =>
    Effect.gen(function* () {
      const slow: Try = Stream.make("a", "b", "c").pipe(
        Stream.mapEffect((text) =>
          Effect.delay(Effect.succeed(AgentEvent.thinking(text)), Duration.subtract(none, 1))
        )
      )
      const { said } = agentOf([Stream.concat(slow, answer)])
      const fiber = yield* Effect.fork(said())
      yield* TestClock.adjust(Duration.times(none, 3))
      expect(Exit.isSuccess(yield* Fiber.await(fiber))).toBe(true)
    })
  )

  it.effect("not while it waits for a permission", () =>
    Effect.gen(function* () {
      const wait = Duration.times(none, 3)
      const { said } = agentOf([
        (request) =>
          Stream.fromEffect(request.ask({ title: "?", options: [], timeout: wait })).pipe(
            Stream.flatMap(() => silent)
          )
      ])
      const asking: Partial<AgentRequest> = { ask: () => Effect.delay(Effect.succeed(Option.none()), wait) }
      const fiber = yield* Effect.fork(Effect.flip(said(agentRequest("hi", asking))))
      yield* TestClock.adjust(wait)
      expect(fiber.unsafePoll()).toBe(null)
      yield* TestClock.adjust(none)
      expect((yield* Fiber.join(fiber)).code).toBe("NO_PROGRESS")
    })
  )

  it.effect("zero is without limit", () =>
    Effect.gen(function* () {
      const { said } = agentOf([silent], { noProgressTimeout: Duration.zero })
      const fiber = yield* Effect.fork(said())
      yield* TestClock.adjust("10 days")
      expect(fiber.unsafePoll()).toBe(null)
      yield* Fiber.interrupt(fiber)
    })
  )
})
