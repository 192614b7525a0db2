/** Peers that break rules below the protocol, over real sockets. Whatever they do, the next client can chat. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Option, Scope, TestClock } from "effect"
import { ScriptedAgent } from "../../src/testing/ScriptedAgent.js"
import * as WebSocketTransport from "../../src/transport/WebSocketTransport.js"
import { maxPayload, padded } from "../support/Frames.js"
import * as Harness from "../support/Harness.js"
import { clientFrame, open, tcp, upgradeRequest } from "../support/RawSocket.js"
import { shared } from "../support/Shared.js"

const connect = {
  minProtocol: 4,
  maxProtocol: 4,
  client: { id: "test", version: "0", platform: "test", mode: "test" }
}
const connectFrame = JSON.stringify({ type: "req", id: "hello", method: "connect", params: connect })

let sends = 0
/** A fresh client comes in, says something, and gets its answer. */
const canChat = Effect.gen(function* () {
  yield* Effect.flatMap(ScriptedAgent, (agent) =>
    agent.answerAll(Option.some(({ message }) => `so ${message}`))
  )
  const { url } = yield* WebSocketTransport.Address
  const { client } = yield* open(url)
  yield* client.connect()
  const idempotencyKey = `chat-${(sends += 1)}`
  yield* client.request("chat.send", { sessionKey: idempotencyKey, message: "hi", idempotencyKey })
  expect(yield* client.terminal(idempotencyKey)).toMatchObject({
    state: "final",
    message: { content: [{ text: "so hi" }] }
  })
}).pipe(Effect.scoped)

const port = Effect.map(WebSocketTransport.Address, (address) => address.port)
const peer = Effect.flatMap(port, tcp)
/** A peer that has gone through the upgrade and got its challenge. */
const upgraded = Effect.gen(function* () {
  const raw = yield* peer
  yield* raw.write(upgradeRequest())
  expect(yield* raw.received("connect.challenge")).toMatch(/^HTTP\/1\.1 101 /)
  return raw
})
/** A server's close frame with that code, as the bytes on the wire. */
const closeFrame = (code: number): string => String.fromCharCode(code >> 8, code & 0xff)

describe("attacks", () => {
  const run = shared(Harness.socket())

  it("a reset at any moment of the upgrade", () =>
    run(
      Effect.gen(function* () {
        const whole = upgradeRequest()
        for (const sent of ["", "G", whole.slice(0, 40), whole.slice(0, -2), whole, whole + "\x81"]) {
          yield* Effect.forEach(
            Array.from({ length: 10 }),
            () =>
              Effect.gen(function* () {
                const raw = yield* peer
                if (sent !== "") yield* raw.write(sent)
                yield* raw.reset
              }),
            { concurrency: "unbounded" }
          )
        }
        yield* canChat
      })
    ))

  it("a reset in the middle of a frame, of a fragmented message, and while events stream to it", () =>
    run(
      Effect.gen(function* () {
        const agent = yield* ScriptedAgent
        const begun = [
          clientFrame("{", { claim: 1000 }),
          clientFrame(connectFrame.slice(0, 20), { fin: false }),
          Buffer.concat([clientFrame(connectFrame), clientFrame('{"type":"req"', { claim: 400_000 })])
        ]
        for (const bytes of begun) {
          const raw = yield* upgraded
          yield* raw.write(bytes)
          yield* raw.reset
        }
        yield* agent.answerAll(Option.none())
        const raw = yield* upgraded
        const params = { sessionKey: "reset", message: "m", idempotencyKey: "reset" }
        yield* raw.write(clientFrame(connectFrame))
        yield* raw.write(clientFrame(JSON.stringify({ type: "req", id: "s", method: "chat.send", params })))
        // Earlier runs answered by themselves, and nobody took their levers.
        const turn = yield* Effect.repeat(agent.next, { until: ({ request }) => request.runId === "reset" })
        yield* turn.say("x".repeat(100_000))
        yield* raw.received('"delta"')
        yield* raw.reset
        yield* turn.say("y".repeat(100_000))
        yield* turn.finish
        yield* canChat
      })
    ))

  it("hundreds of upgrades that are never finished", () =>
    run(
      Effect.gen(function* () {
        const whole = upgradeRequest()
        yield* Effect.forEach(
          Array.from({ length: 200 }, (_, n) => n),
          (n) => Effect.flatMap(peer, (raw) => raw.write(whole.slice(0, 1 + (n % (whole.length - 2))))),
          { concurrency: "unbounded" }
        )
        yield* canChat
      })
    ))

  it.for<readonly [name: string, request: string, status: number]>([
    ["no key", upgradeRequest({ "Sec-WebSocket-Key": "" }), 400],
    ["a short key", upgradeRequest({ "Sec-WebSocket-Key": "c2hvcnQ=" }), 400],
    ["version 12", upgradeRequest({ "Sec-WebSocket-Version": "12" }), 426],
    ["no version", upgradeRequest({ "Sec-WebSocket-Version": "" }), 426],
    ["another protocol", upgradeRequest({ Upgrade: "h2c" }), 400],
    ["POST", upgradeRequest({}, "POST / HTTP/1.1"), 405],
    ["no HTTP at all", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400],
    ["headers without end", `GET / HTTP/1.1\r\nHost: x\r\nA: ${"a".repeat(100_000)}`, 431]
  ])("an upgrade with %s is refused, and nothing of it is kept", ([, request, status]) =>
    run(
      Effect.gen(function* () {
        const raw = yield* peer
        yield* raw.write(request)
        expect(yield* raw.ended).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
        // The peer keeps its own side open, and yet there is nobody any more.
        yield* raw.gone
        yield* canChat
      })
    )
  )

  it.for<readonly [name: string, bytes: Buffer, code: number]>([
    ["random bytes", Buffer.from("ffffffffffffffffffffffff", "hex"), 1002],
    ["HTTP again", Buffer.from(upgradeRequest()), 1002],
    ["a frame that is not masked", Buffer.from([0x81, 0x02, 0x7b, 0x7d]), 1002],
    ["a reserved bit", Buffer.from([0xc1, 0x80, 0, 0, 0, 0]), 1002],
    ["a reserved opcode", clientFrame("x", { opcode: 3 }), 1002],
    ["a continuation of nothing", clientFrame("x", { opcode: 0 }), 1002],
    ["a ping that is too long", clientFrame("x".repeat(126), { opcode: 9 }), 1002],
    ["a ping in fragments", clientFrame("x", { opcode: 9, fin: false }), 1002],
    ["a close frame of one byte", clientFrame("x", { opcode: 8 }), 1002],
    ["a close code that is none", clientFrame(Buffer.from([0x03, 0xed]), { opcode: 8 }), 1002],
    [
      "a second message inside the first",
      Buffer.concat([clientFrame("{", { fin: false }), clientFrame("}")]),
      1002
    ],
    ["text that is no UTF-8", clientFrame(Buffer.from([0x7b, 0xff, 0xfe, 0x7d])), 1007],
    ["half a character at the end", clientFrame(Buffer.from([0x22, 0xe2, 0x82])), 1007],
    ["a frame that claims 2 GiB", clientFrame("x", { claim: 0x8000_0000 }), 1009],
    ["a binary frame that claims too much", clientFrame("x", { opcode: 2, claim: maxPayload + 1 }), 1009],
    [
      "fragments that are too large together",
      Buffer.concat([clientFrame("x".repeat(maxPayload), { fin: false }), clientFrame("x", { opcode: 0 })]),
      1009
    ]
  ])("%s: closed with the code that says why", ([, bytes, code]) =>
    run(
      Effect.gen(function* () {
        for (const connected of [false, true]) {
          const raw = yield* upgraded
          if (connected) {
            yield* raw.write(clientFrame(connectFrame))
            yield* raw.received("hello-ok")
          }
          yield* raw.write(bytes)
          expect((yield* raw.received(closeFrame(code))).endsWith(`\x88\x02${closeFrame(code)}`)).toBe(true)
        }
        yield* canChat
      })
    )
  )

  it("a protocol error does not cut off what was sent before, however slow the peer reads", () =>
    run(
      Effect.gen(function* () {
        const { url } = yield* WebSocketTransport.Address
        const { client } = yield* open(url)
        yield* client.connect()
        const message = "x".repeat(400_000)
        for (let n = 0; n < 15; n++) yield* client.request("chat.inject", { sessionKey: "slow", message })
        const raw = yield* upgraded
        yield* raw.write(clientFrame(connectFrame))
        yield* raw.write(
          clientFrame('{"type":"req","id":"all","method":"chat.history","params":{"sessionKey":"slow"}}')
        )
        yield* raw.received('"id":"all"')
        // Far more than the system's buffers hold: most of the answer waits inside the gateway now.
        raw.socket.pause()
        yield* raw.write(clientFrame(Buffer.from([0xff])))
        raw.socket.resume()
        const all = yield* raw.received(closeFrame(1007))
        expect(all.length).toBeGreaterThan(15 * message.length)
        expect(all.endsWith(`\x88\x02${closeFrame(1007)}`)).toBe(true)
        yield* canChat
      })
    ))

  it("pings are answered, whatever is in them, before and after connect", () =>
    run(
      Effect.gen(function* () {
        const { url } = yield* WebSocketTransport.Address
        const { client, socket } = yield* open(url)
        const pong = (payload: Buffer) =>
          Effect.async<Buffer>((resume) => {
            socket.once("pong", (data: Buffer) => resume(Effect.succeed(data)))
            socket.ping(payload)
          })
        expect(yield* pong(Buffer.from("early"))).toEqual(Buffer.from("early"))
        yield* client.connect()
        const full = Buffer.alloc(125, 0xff)
        for (let n = 0; n < 100; n++) expect(yield* pong(full)).toEqual(full)
        expect(yield* client.request("health")).toMatchObject({ ok: true })
      })
    ))

  it("a request in fragments, with a ping between them, is one request", () =>
    run(
      Effect.gen(function* () {
        const { url } = yield* WebSocketTransport.Address
        const { client, socket } = yield* open(url)
        yield* client.connect()
        const bytes = Buffer.from(padded("whole", maxPayload, "€"))
        const pieces = Array.from({ length: 64 }, (_, n) => bytes.subarray(n * 8192, (n + 1) * 8192))
        for (const [n, piece] of pieces.entries()) {
          socket.send(piece, { binary: false, fin: n === pieces.length - 1 })
          socket.ping()
        }
        expect(yield* client.response("whole")).toMatchObject({ ok: true })
        // Byte by byte, so that characters are torn apart as well.
        const small = Buffer.from('{"type":"req","id":"€","method":"health"}')
        for (const [n, byte] of small.entries()) {
          socket.send(Buffer.from([byte]), { binary: false, fin: n === small.length - 1 })
        }
        expect(yield* client.response("€")).toMatchObject({ ok: true })
      })
    ))

  it("bytes that come one at a time are the same upgrade and the same request", () =>
    run(
      Effect.gen(function* () {
        const raw = yield* peer
        raw.socket.setNoDelay(true)
        for (const byte of Buffer.concat([Buffer.from(upgradeRequest()), clientFrame(connectFrame)])) {
          yield* raw.write(Buffer.from([byte]))
        }
        yield* raw.received("hello-ok")
      })
    ))

  it("connect in the same packet as the upgrade", () =>
    run(
      Effect.gen(function* () {
        const raw = yield* peer
        yield* raw.write(Buffer.concat([Buffer.from(upgradeRequest()), clientFrame(connectFrame)]))
        const answer = yield* raw.received("hello-ok")
        expect(answer.indexOf("connect.challenge")).toBeLessThan(answer.indexOf("hello-ok"))
      })
    ))

  it("a peer that ends without a close frame, or with one, is gone", () =>
    run(
      Effect.gen(function* () {
        const { url } = yield* WebSocketTransport.Address
        const { client } = yield* open(url)
        yield* client.connect()
        const connections = Effect.map(
          client.request("status"),
          ({ payload }) => (payload as { readonly connections: number }).connections
        )
        const ended = yield* upgraded
        const said = yield* upgraded
        expect(yield* Effect.repeat(connections, { until: (count) => count === 3 })).toBe(3)
        ended.socket.end()
        yield* ended.gone
        yield* said.write(clientFrame(Buffer.from([0x03, 0xe8]), { opcode: 8 }))
        expect((yield* said.ended).endsWith(`\x88\x02${closeFrame(1000)}`)).toBe(true)
        said.socket.end()
        yield* said.gone
        expect(yield* Effect.repeat(connections, { until: (count) => count === 1 })).toBe(1)
      })
    ))

  it("every path is the endpoint", () =>
    run(
      Effect.gen(function* () {
        const { url } = yield* WebSocketTransport.Address
        for (const path of ["/", "/ws", "/gateway?token=x", "/%ff/..//"]) {
          const { client } = yield* open(url, { path })
          expect(yield* client.connect()).toMatchObject({ ok: true })
        }
      })
    ))

  it("plain HTTP on the same port has its answers", () =>
    run(
      Effect.gen(function* () {
        const answer = (start: string) =>
          Effect.gen(function* () {
            const raw = yield* peer
            yield* raw.write(`${start} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
            return yield* raw.ended
          }).pipe(Effect.scoped)
        expect(yield* answer("GET /")).toMatch(/^HTTP\/1\.1 200 /)
        expect(yield* answer("GET /avatar/main?meta=1")).toMatch(/^HTTP\/1\.1 404 /)
        expect(yield* answer("DELETE /")).toMatch(/^HTTP\/1\.1 405 /)
        yield* canChat
      })
    ))
})

describe("the end", () => {
  it.scoped("with open upgrades, silent peers and one that does not take its goodbye", () =>
    Effect.gen(function* () {
      const server = yield* Scope.make()
      const context = yield* Layer.buildWithScope(
        WebSocketTransport.layer({ host: "127.0.0.1", port: 0 }),
        server
      )
      yield* Effect.gen(function* () {
        const { url } = yield* WebSocketTransport.Address
        const silent = yield* peer
        const half = yield* peer
        yield* half.write(upgradeRequest().slice(0, 60))
        const challengedOnly = yield* upgraded
        const deaf = yield* upgraded
        yield* deaf.write(clientFrame(connectFrame))
        yield* deaf.received("hello-ok")
        const { client } = yield* open(url)
        yield* client.connect()

        const closing = yield* Effect.fork(Scope.close(server, Exit.void))
        expect(yield* client.closed).toEqual({ code: 1012, reason: "service restart" })
        expect(yield* client.events("shutdown")).toMatchObject([{ payload: { reason: "service restart" } }])
        // Those that were told and don't answer are cut off after the grace.
        expect(yield* deaf.received(closeFrame(1012))).toContain('"event":"shutdown"')
        yield* challengedOnly.received(closeFrame(1012))
        yield* TestClock.adjust("1 seconds")
        yield* Fiber.join(closing)
        for (const raw of [silent, half, challengedOnly, deaf]) yield* raw.gone
        // Nobody listens any more.
        const refused = yield* Effect.exit(open(url))
        expect(String(refused)).toContain("ECONNREFUSED")
      }).pipe(Effect.provide(context))
    }).pipe(Effect.provide(Harness.memory()))
  )

  it.scoped("an upgrade that comes while it stops is refused", () =>
    Effect.gen(function* () {
      const server = yield* Scope.make()
      const context = yield* Layer.buildWithScope(
        WebSocketTransport.layer({ host: "127.0.0.1", port: 0 }),
        server
      )
      yield* Effect.gen(function* () {
        const late = yield* peer
        yield* late.write(upgradeRequest().slice(0, -2))
        const deaf = yield* upgraded
        const closing = yield* Effect.fork(Scope.close(server, Exit.void))
        yield* deaf.received(closeFrame(1012))
        yield* late.write("\r\n")
        expect(yield* late.ended).toMatch(/^HTTP\/1\.1 503 /)
        yield* late.gone
        yield* TestClock.adjust("1 seconds")
        yield* Fiber.join(closing)
      }).pipe(Effect.provide(context))
    }).pipe(Effect.provide(Harness.memory()))
  )

  it.effect("a port that is taken: an error that says which", () =>
    Effect.gen(function* () {
      const taken = yield* port
      const error = yield* Effect.flip(
        Layer.build(WebSocketTransport.layer({ host: "127.0.0.1", port: taken })).pipe(Effect.scoped)
      )
      expect(error).toMatchObject({ _tag: "ListenError", host: "127.0.0.1", port: taken, code: "EADDRINUSE" })
      yield* canChat
    }).pipe(Effect.provide(Harness.socket()))
  )
})
