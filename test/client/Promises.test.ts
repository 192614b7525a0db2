/** The client for those who use no Effect, over a real socket. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { WebSocket } from "ws"
import { RunAborted, RunFailed, SendRejected } from "../../src/client/ClientError.js"
import { type ColloquyClient, connect } from "../../src/client/Promises.js"
import type { ServerEvent } from "../../src/client/ServerEvent.js"
import { ScriptedAgent } from "../../src/testing/ScriptedAgent.js"
import * as WebSocketTransport from "../../src/transport/WebSocketTransport.js"
import * as Harness from "../support/Harness.js"
import { shared } from "../support/Shared.js"

const connected = Effect.flatMap(WebSocketTransport.Address, ({ url }) =>
  Effect.acquireRelease(
    Effect.sync(() =>
      connect({ url, WebSocket, client: { id: "test", version: "1", platform: "test", mode: "test" } })
    ),
    (client) => Effect.promise(() => client.close())
  )
)
const promise = <A>(make: () => Promise<A>) => Effect.promise(make)
const failure = (make: () => Promise<unknown>): Effect.Effect<unknown> =>
  promise(() =>
    make().then(
      () => undefined,
      (error: unknown) => error
    )
  )
const turn = Effect.flatMap(ScriptedAgent, ({ next }) => next)
const send = (client: ColloquyClient, message: string, key = message) =>
  promise(() => client.send({ sessionKey: "main", message, key }))

describe("the client with promises", () => {
  const run = shared(Harness.socket())

  it("sends, gives the answer as it grows and whole, tells events and its status", () =>
    run(
      Effect.gen(function* () {
        const client = yield* connected
        const seen: Array<ServerEvent["event"]> = []
        client.onEvent(({ event }) => seen.push(event))
        yield* promise(() => client.opened())
        expect(client.status._tag).toBe("Open")
        const sent = yield* send(client, "hello")
        const agent = yield* turn
        yield* promise(() => sent.accepted())
        const pieces = yield* Effect.fork(
          promise(async () => {
            let text = ""
            for await (const { added, rewritten } of sent) text = rewritten ? added : text + added
            return text
          })
        )
        yield* agent.answer("Hi there")
        expect(yield* promise(() => sent.result())).toMatchObject({ text: "Hi there" })
        expect(yield* pieces).toBe("Hi there")
        expect(sent.state._tag).toBe("Final")
        const { messages } = yield* promise(() => client.call("chat.history", { sessionKey: "main" }))
        expect(messages).toHaveLength(2)
        expect(seen).toContain("chat")
      })
    ))

  it("rejects with typed errors, and throws them where pieces are read", () =>
    run(
      Effect.gen(function* () {
        const client = yield* connected
        const failing = yield* send(client, "fails")
        const agent = yield* turn
        yield* agent.fail("no more")
        expect(yield* failure(() => failing.result())).toBeInstanceOf(RunFailed)
        const thrown = yield* failure(async () => {
          for await (const _ of failing) void _
        })
        expect(thrown).toBeInstanceOf(RunFailed)

        const stopped = yield* send(client, "stops")
        yield* turn
        expect(yield* promise(() => stopped.abort())).toMatchObject({ aborted: true })
        expect(yield* failure(() => stopped.result())).toBeInstanceOf(RunAborted)

        const other = yield* promise(() => client.send({ sessionKey: "other", message: "x", key: "fails" }))
        expect(other.key).toBe("fails")
        const rejected = yield* promise(() => client.send({ sessionKey: "../x", message: "x" }))
        expect(yield* failure(() => rejected.result())).toBeInstanceOf(SendRejected)
        expect(yield* failure(() => client.request("no.such.method"))).toMatchObject({
          _tag: "RequestFailed"
        })
      })
    ))
})
