/** Peers that take their time before they have logged in: each has until the handshake's time is over, and then nothing is left of it. */
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Fiber, TestClock } from "effect"
import { securityHeaders } from "../../src/transport/SecurityHeaders.js"
import { Address } from "../../src/transport/WebSocketTransport.js"
import * as Harness from "../support/Harness.js"
import {
  clientFrame,
  closeCode,
  connectRequest,
  type Tcp,
  tcp,
  upgradeRequest
} from "../support/RawSocket.js"
import { shared } from "../support/Shared.js"

const patience = Duration.millis(200)
const peer = Effect.flatMap(Address, ({ port }) => tcp(port))
const upgraded = Effect.gen(function* () {
  const raw = yield* peer
  yield* raw.write(upgradeRequest())
  yield* raw.received("connect.challenge")
  return raw
})

/** The status, behind which all headers must be. */
const statusOf = (answer: string): number => {
  for (const [name, value] of Object.entries(securityHeaders))
    expect(answer).toContain(`\r\n${name}: ${value}\r\n`)
  return Number(answer.slice(9, 12))
}

/** One more answer to this peer. */
const answered = (raw: Tcp): Effect.Effect<void> =>
  Effect.async((resume) => {
    raw.socket.once("data", () => resume(Effect.void))
    raw.socket.write("HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n")
  })

describe("a peer that takes its time", () => {
  const run = shared(Harness.socket({ config: { handshakeTimeout: patience } }))

  // Node's own timer runs in real time: the end of the socket is the receipt.
  it("is told 408 and gone, however far it has got with its request; and let go when it only waits for the next", () =>
    run(
      Effect.gen(function* () {
        const line = "GET / HTTP/1.1\r\nHost: localhost\r\n"
        const words = [
          ["", 408],
          ["GET / HT", 408],
          [`${line}Accept: `, 408],
          [upgradeRequest().slice(0, -2), 408],
          // What is asked for takes no body, so it is answered without one.
          [`${line}Content-Length: 10\r\n\r\nx`, 200],
          [`${line}\r\nGET /`, 200]
        ] as const
        const statuses = yield* Effect.forEach(
          words,
          ([begun]) =>
            Effect.gen(function* () {
              const raw = yield* peer
              if (begun !== "") yield* raw.write(begun)
              const answer = yield* raw.ended
              yield* raw.gone
              return statusOf(answer)
            }),
          { concurrency: "unbounded" }
        )
        expect(statuses).toEqual(words.map(([, status]) => status))
      })
    ))

  it("is told 408 when it sends its headers byte by byte", () =>
    run(
      Effect.gen(function* () {
        const raw = yield* peer
        yield* raw.write("GET / HTTP/1.1\r\nHost: localhost\r\n")
        // Another peer's answers are the beat: far less than the largest headers until the time is up.
        const beat = yield* peer
        const drip = yield* Effect.fork(Effect.forever(Effect.zipRight(raw.write("x"), answered(beat))))
        expect(statusOf(yield* raw.ended)).toBe(408)
        yield* Fiber.interrupt(drip)
        yield* raw.gone
      })
    ))

  it("is closed with 1008 when it sends its first frame byte by byte, or in fragments", () =>
    run(
      Effect.gen(function* () {
        const byBytes = yield* upgraded
        const inFragments = yield* upgraded
        for (const byte of clientFrame(connectRequest()).subarray(0, -1))
          yield* byBytes.write(Buffer.from([byte]))
        yield* inFragments.write(clientFrame(connectRequest().slice(0, -1), { fin: false }))
        yield* TestClock.adjust(patience)
        for (const raw of [byBytes, inFragments])
          expect(yield* raw.received(closeCode(1008))).toContain("handshake timeout")
      })
    ))

  it("is gone at once when it closes its side, wherever it was", () =>
    run(
      Effect.gen(function* () {
        for (const begun of ["", "GET / HT", upgradeRequest(), `${upgradeRequest()}\x81`]) {
          const raw = yield* peer
          if (begun !== "") yield* raw.write(begun)
          if (begun.startsWith(upgradeRequest())) yield* raw.received("connect.challenge")
          raw.socket.end()
          yield* raw.ended
          yield* raw.gone
        }
      })
    ))
})
