/** A thousand clients that come at once. */
import * as Net from "node:net"
import { expect, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { ScriptedAgent } from "../../src/testing/ScriptedAgent.js"
import { Address } from "../../src/transport/WebSocketTransport.js"
import * as Harness from "../support/Harness.js"
import * as RawSocket from "../support/RawSocket.js"
import { clientFrame, upgradeRequest } from "../support/RawSocket.js"

const crowd = 1000

/** As many connections, each of which sends the bytes and waits for its hello. As plain as can be: the gateway is measured. */
const comeIn = (port: number, bytes: Buffer): Effect.Effect<ReadonlyArray<string>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const sockets: Array<Net.Socket> = []
    yield* Effect.addFinalizer(() => Effect.sync(() => sockets.forEach((socket) => socket.destroy())))
    return yield* Effect.async<ReadonlyArray<string>>((resume) => {
      const hellos: Array<string> = []
      for (let n = 0; n < crowd; n++) {
        const socket = Net.connect(port, "127.0.0.1", () => socket.write(bytes))
        sockets.push(socket)
        let text = ""
        socket.on("error", (error) => resume(Effect.die(error)))
        socket.on("close", () => resume(Effect.die(new Error(`closed: ${text}`))))
        socket.on("data", (data) => {
          text += data.toString("latin1")
          if (!text.includes('"hello-ok"')) return
          socket.removeAllListeners("data").removeAllListeners("close")
          if (hellos.push(text) === crowd) resume(Effect.succeed(hellos))
        })
      }
    })
  })

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
    const hellos = yield* Effect.fork(comeIn(port, Buffer.concat([Buffer.from(upgradeRequest()), connect])))
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
