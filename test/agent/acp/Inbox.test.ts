import { expect, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Option, TestClock } from "effect"
import * as Inbox from "../../../src/agent/acp/Inbox.js"
import * as AgentEvent from "../../../src/domain/AgentEvent.js"

const said = [AgentEvent.textDelta("x")]
const much = 2 * 1024 * 1024
const isDone = <A, E>(fiber: Fiber.RuntimeFiber<A, E>) => Effect.map(Fiber.poll(fiber), Option.isSome)
/** All others have had their turn. */
const settled = TestClock.adjust(Duration.zero)

it.effect("whoever puts into a full one waits until it was taken", () =>
  Effect.gen(function* () {
    const inbox = Inbox.make()
    yield* inbox.put(said, 1)
    const waiting = yield* Effect.fork(inbox.put(said, much))
    yield* settled
    expect(yield* isDone(waiting)).toBe(false)
    expect([...(yield* inbox.take)]).toHaveLength(2)
    yield* Fiber.join(waiting)
  })
)

it.effect("one that nobody takes from for a minute fails its run, and holds up nobody any more", () =>
  Effect.gen(function* () {
    const inbox = Inbox.make()
    const waiting = yield* Effect.fork(inbox.put(said, much))
    yield* settled
    yield* TestClock.adjust(Duration.minutes(1))
    yield* Fiber.join(waiting)
    yield* inbox.put(said, much)
    const error = Option.getOrThrow(yield* Effect.flip(inbox.take))
    expect(error.code).toBe("ACP_NOT_HEARD")
  })
)

it.effect("a closed one holds up nobody; a sealed one gives what it has, then its end", () =>
  Effect.gen(function* () {
    const closed = Inbox.make()
    const waiting = yield* Effect.fork(closed.put(said, much))
    yield* settled
    closed.close()
    yield* Fiber.join(waiting)
    const sealed = Inbox.make()
    yield* sealed.put(said, 1)
    sealed.seal()
    yield* sealed.put(said, much)
    sealed.end()
    expect([...(yield* sealed.take)]).toEqual(said)
    expect(yield* Effect.exit(sealed.take)).toEqual(Exit.fail(Option.none()))
  })
)

it.effect("a take that is interrupted has taken nothing", () =>
  Effect.gen(function* () {
    const inbox = Inbox.make()
    const taking = yield* Effect.fork(inbox.take)
    yield* settled
    yield* Fiber.interrupt(taking)
    yield* inbox.put(said, 1)
    expect([...(yield* inbox.take)]).toEqual(said)
  })
)
