/** A thousand clients that come at once. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { ScriptedAgent } from "../../src/testing/ScriptedAgent.js"
import { Address } from "../../src/transport/WebSocketTransport.js"
import * as Harness from "../support/Harness.js"
import * as RawSocket from "../support/RawSocket.js"
import { clientFrame, upgradeRequest } from "../support/RawSocket.js"

const crowd = 1000

it.effect("1,000 connects in one go: all get hello, and who was there before goes on", () =>
  Effect.gen(function* () {
    const { port, url } = yield* Address
    const agent = yield* ScriptedAgent
    const { client } = yield* RawSocket.open(url)
    yield* client.connect()
    yield* client.request("chat.send", { sessionKey: "main", message: "hi", idempotencyKey: "before" })
    const run = yield* agent.next

    const connect = clientFrame(
      JSON.stringify({
        type: "req",
        id: "hello",
        method: "connect",
        params: {
          minProtocol: 4,
          maxProtocol: 4,
          client: { id: "test", version: "0", platform: "test", mode: "test" },
          scopes: ["operator.write"]
        }
      })
    )
    const hellos = yield* Effect.fork(
      Effect.forEach(
        Array.from({ length: crowd }),
        () =>
          Effect.gen(function* () {
            const raw = yield* RawSocket.tcp(port)
            yield* raw.write(Buffer.concat([Buffer.from(upgradeRequest()), connect]))
            return yield* raw.received("hello-ok")
          }),
        { concurrency: "unbounded" }
      )
    )
    yield* run.say("there")
    yield* client.awaitChat((event) => event.state === "delta")
    yield* run.finish
    expect(yield* client.terminal("before")).toMatchObject({ state: "final" })

    const all = yield* hellos
    const ids = new Set(all.map((text) => /"connId":"([^"]+)"/.exec(text)?.[1]))
    expect(ids.size).toBe(crowd)
    expect(ids).not.toContain(undefined)
    expect(yield* client.request("status")).toMatchObject({ payload: { connections: crowd + 1 } })
  }).pipe(Effect.scoped, Effect.provide(Harness.socket()))
)
