/** The client against a whole gateway in memory, over a network that the test breaks. */
import { assert, describe, it } from "@effect/vitest"
import { Array as Arr, Effect, Fiber, Option, Redacted, Stream, TestClock } from "effect"
import * as Principal from "../../src/auth/Principal.js"
import * as Client from "../../src/client/Client.js"
import * as OutboxStore from "../../src/client/OutboxStore.js"
import * as Run from "../../src/client/Run.js"
import * as GatewayTest from "../../src/testing/GatewayTest.js"
import * as MemoryNetwork from "../../src/testing/MemoryNetwork.js"
import { ScriptedAgent } from "../../src/testing/ScriptedAgent.js"
import { Layer } from "effect"

const options: Client.ClientOptions = {
  url: "ws://gateway",
  client: { id: "test", version: "1", platform: "test", mode: "test" }
}
const world = MemoryNetwork.layer.pipe(Layer.provideMerge(GatewayTest.layer()))
const make = (more: Partial<Client.ClientOptions> = {}) => Client.make({ ...options, ...more })

/** Waits until there is the next connection, whatever time that takes. */
const reconnected = (client: Client.ClientShape) =>
  Effect.gen(function* () {
    const opened = yield* Effect.fork(client.open)
    yield* TestClock.adjust("30 seconds")
    yield* Fiber.join(opened)
  })

/** The texts of a session's messages. */
const transcript = (client: Client.ClientShape, sessionKey: string) =>
  Effect.map(client.call("chat.history", { sessionKey }), ({ messages }) =>
    messages.map(({ content, role }) => [
      role,
      Array.isArray(content)
        ? content.map((part: { readonly text?: string }) => part.text ?? "").join("")
        : ""
    ])
  )

describe("Client", () => {
  it.scoped("sends a message, shows the answer grow, and knows its end", () =>
    Effect.gen(function* () {
      const client = yield* make()
      const agent = yield* ScriptedAgent
      const run = yield* client.send({ sessionKey: "main", message: "hello" })
      const pieces = yield* Effect.fork(Stream.runCollect(run.deltas))
      const turn = yield* agent.next
      yield* run.accepted
      yield* turn.say("Hi ")
      yield* TestClock.adjust("1 second")
      yield* turn.say("there")
      yield* turn.finish
      assert.strictEqual((yield* run.result).text, "Hi there")
      const all = Arr.fromIterable(yield* Fiber.join(pieces))
      assert.strictEqual(all.map(({ added }) => added).join(""), "Hi there")
      assert.isTrue(all.every(({ rewritten }) => !rewritten))
      assert.deepStrictEqual(yield* transcript(client, "main"), [
        ["user", "hello"],
        ["assistant", "Hi there"]
      ])
    }).pipe(Effect.provide(world))
  )

  it.scoped("a message whose acknowledgement was lost is sent again and stays one message", () =>
    Effect.gen(function* () {
      const client = yield* make()
      const network = yield* MemoryNetwork.MemoryNetwork
      const agent = yield* ScriptedAgent
      yield* client.open
      yield* network.deafen
      const run = yield* client.send({ sessionKey: "main", message: "once" })
      const turn = yield* agent.next // The gateway has it, and its word is lost.
      assert.strictEqual((yield* run.state)._tag, "Sending")
      yield* network.cut
      yield* network.heal
      yield* reconnected(client)
      yield* run.accepted
      yield* turn.answer("yes")
      assert.strictEqual((yield* run.result).text, "yes")
      assert.deepStrictEqual(yield* transcript(client, "main"), [
        ["user", "once"],
        ["assistant", "yes"]
      ])
    }).pipe(Effect.provide(world))
  )

  it.scoped("messages of a session that were sent while away arrive in their order, each once", () =>
    Effect.gen(function* () {
      const network = yield* MemoryNetwork.MemoryNetwork
      const agent = yield* ScriptedAgent
      yield* agent.answerAll(Option.some(({ message }) => `re ${message}`))
      yield* network.refuse(true)
      const client = yield* make()
      const runs = yield* Effect.forEach(["a", "b", "c"], (message) =>
        client.send({ sessionKey: "s", message })
      )
      assert.lengthOf(yield* client.pending, 3)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* client.status)._tag, "Waiting")
      yield* network.refuse(false)
      yield* reconnected(client)
      assert.deepStrictEqual(
        yield* Effect.forEach(runs, (run) => Effect.map(run.result, ({ text }) => text)),
        ["re a", "re b", "re c"]
      )
      assert.lengthOf(yield* client.pending, 0)
      assert.deepStrictEqual(
        (yield* transcript(client, "s")).filter(([role]) => role === "user").map(([, text]) => text),
        ["a", "b", "c"]
      )
    }).pipe(Effect.provide(world))
  )

  it.scoped("an answer goes on behind a lost connection, and events are neither missed nor told twice", () =>
    Effect.gen(function* () {
      const client = yield* make()
      const network = yield* MemoryNetwork.MemoryNetwork
      const agent = yield* ScriptedAgent
      yield* client.open
      const events = yield* client.subscribe
      const run = yield* client.send({ sessionKey: "main", message: "hello" })
      const turn = yield* agent.next
      yield* run.accepted
      yield* turn.say("one ")
      yield* TestClock.adjust("1 second")
      yield* network.cut
      yield* turn.say("two ")
      yield* TestClock.adjust("200 millis")
      yield* turn.say("three")
      yield* turn.finish
      yield* reconnected(client)
      assert.strictEqual((yield* run.result).text, "one two three")
      const terminals = yield* events.pipe(
        Stream.filter((event) => event.event === "chat" && event.payload.state !== "delta"),
        Stream.take(1),
        Stream.runCount
      )
      assert.strictEqual(terminals, 1)
    }).pipe(Effect.provide(world))
  )

  it.scoped("a connection on which nothing is heard for two ticks is given up", () =>
    Effect.gen(function* () {
      const client = yield* make()
      const network = yield* MemoryNetwork.MemoryNetwork
      const hello = yield* client.open
      yield* TestClock.adjust(`${hello.policy.tickIntervalMs * 4} millis`)
      assert.strictEqual(yield* network.dialled, 1)
      yield* network.deafen
      yield* TestClock.adjust(`${hello.policy.tickIntervalMs * 2} millis`)
      assert.strictEqual((yield* client.status)._tag, "Open")
      yield* network.heal
      yield* network.deafen
      yield* TestClock.adjust(`${hello.policy.tickIntervalMs / 2} millis`)
      assert.notStrictEqual((yield* client.status)._tag, "Open")
      yield* network.heal
      yield* reconnected(client)
      assert.isAbove(yield* network.dialled, 1)
    }).pipe(Effect.provide(world))
  )

  it.scoped("a message that was never on the wire is taken back by its abort", () =>
    Effect.gen(function* () {
      const network = yield* MemoryNetwork.MemoryNetwork
      yield* network.refuse(true)
      const client = yield* make()
      const run = yield* client.send({ sessionKey: "main", message: "never" })
      assert.isTrue((yield* run.abort).aborted)
      const error = yield* Effect.flip(run.result)
      assert.strictEqual(error._tag, "RunAborted")
      yield* network.refuse(false)
      yield* reconnected(client)
      assert.deepStrictEqual(yield* transcript(client, "main"), [])
    }).pipe(Effect.provide(world))
  )

  it.scoped("abort ends the run; so does interrupting the wait, where that is wanted", () =>
    Effect.gen(function* () {
      const client = yield* make()
      const agent = yield* ScriptedAgent
      const first = yield* client.send({ sessionKey: "main", message: "first" })
      const turn = yield* agent.next
      yield* turn.say("some")
      assert.isTrue((yield* first.abort).aborted)
      const error = yield* Effect.flip(first.result)
      assert.deepInclude(error, { _tag: "RunAborted", text: "some", reason: "rpc" })

      const second = yield* client.send({ sessionKey: "main", message: "second" })
      const waiting = yield* Effect.fork(Run.abortOnInterrupt(second))
      const other = yield* agent.next
      yield* Fiber.interrupt(waiting)
      yield* other.interrupted
      assert.strictEqual((yield* Effect.flip(second.result))._tag, "RunAborted")
    }).pipe(Effect.provide(world))
  )

  it.scoped("a message that is refused says why, can be tried again with its key, and holds up nothing", () =>
    Effect.gen(function* () {
      const client = yield* make()
      const agent = yield* ScriptedAgent
      yield* agent.answerAll(Option.some(() => "fine"))
      const empty = yield* client.send({ sessionKey: "main", message: "" })
      const next = yield* client.send({ sessionKey: "main", message: "text" })
      const error = yield* Effect.flip(empty.result)
      assert.strictEqual(error._tag, "SendRejected")
      assert.strictEqual((yield* next.result).text, "fine")
      yield* client.retry(empty.key)
      assert.strictEqual((yield* Effect.flip(empty.accepted))._tag, "SendRejected")
      assert.isTrue(yield* client.discard(empty.key))
      assert.isTrue(Option.isNone(yield* client.run(empty.key)))
    }).pipe(Effect.provide(world))
  )

  it.scoped("what an earlier client left in the outbox is sent, with the same key", () =>
    Effect.gen(function* () {
      const network = yield* MemoryNetwork.MemoryNetwork
      const agent = yield* ScriptedAgent
      yield* agent.answerAll(Option.some(() => "done"))
      const kept = new Map<string, string>()
      const outbox = OutboxStore.storage(
        {
          getItem: (key) => kept.get(key) ?? null,
          setItem: (key, value) => void kept.set(key, value),
          removeItem: (key) => void kept.delete(key)
        },
        "outbox"
      )
      yield* network.refuse(true)
      const key = yield* Effect.scoped(
        Effect.gen(function* () {
          const client = yield* make({ outbox })
          const run = yield* client.send({ sessionKey: "main", message: "kept" })
          return run.key
        })
      )
      yield* network.refuse(false)
      const client = yield* make({ outbox })
      const run = Option.getOrThrow(yield* client.run(key))
      yield* reconnected(client)
      assert.strictEqual((yield* run.result).text, "done")
      assert.strictEqual(kept.size, 0)
    }).pipe(Effect.provide(world))
  )

  it.scoped("who is not let in is told so, and does not knock again", () =>
    Effect.gen(function* () {
      const network = yield* MemoryNetwork.MemoryNetwork
      const client = yield* make({ token: Redacted.make("wrong") })
      const run = yield* client.send({ sessionKey: "main", message: "hello" })
      assert.strictEqual((yield* Effect.flip(client.open))._tag, "Refused")
      assert.strictEqual((yield* Effect.flip(run.result))._tag, "Refused")
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual(yield* network.dialled, 1)
    }).pipe(
      Effect.provide(
        MemoryNetwork.layer.pipe(
          Layer.provideMerge(GatewayTest.layer({ principals: { right: Principal.owner } }))
        )
      )
    )
  )

  it.scoped("reads are asked again behind a lost connection; changes fail with it", () =>
    Effect.gen(function* () {
      const client = yield* make()
      const network = yield* MemoryNetwork.MemoryNetwork
      yield* client.open
      yield* network.mute
      const read = yield* Effect.fork(client.call("health", {}))
      const change = yield* Effect.fork(
        Effect.flip(client.call("chat.inject", { sessionKey: "main", message: "note" }))
      )
      yield* Effect.yieldNow()
      yield* network.cut
      yield* network.heal
      assert.strictEqual((yield* Fiber.join(change))._tag, "ConnectionLost")
      yield* reconnected(client)
      assert.isTrue((yield* Fiber.join(read)).ok)
    }).pipe(Effect.provide(world))
  )
})
