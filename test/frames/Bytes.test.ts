/**
 * Random WebSocket bytes over a real socket: wrong opcodes, reserved bits, lengths that lie, frames without a mask, fragments,
 * control frames that are too long. Whoever sends them is thrown out at most; the gateway lives and serves the others.
 */
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { Address } from "../../src/transport/WebSocketTransport.js"
import * as Prng from "../crash/Prng.js"
import * as Harness from "../support/Harness.js"
import * as RawSocket from "../support/RawSocket.js"
import { shared } from "../support/Shared.js"
import * as Mutation from "./Mutation.js"

const asked = Number(process.env["COLLOQUY_TEST_BYTES"])
const total = Number.isSafeInteger(asked) && asked > 0 ? asked : 200
const seed = process.env["COLLOQUY_TEST_SEED"] ?? String(Math.floor(Math.random() * 1e9))
const perTest = 50

const bytes = (random: Prng.Prng, most: number): Buffer =>
  Buffer.from(Array.from({ length: random.between(0, most) }, () => random.between(0, 255)))

/** A frame's head and what follows it; any of it may be wrong. */
const rawFrame = (random: Prng.Prng): Buffer => {
  const opcode = random.chance(0.7) ? random.pick([0, 1, 1, 1, 2, 8, 9, 10]) : random.between(0, 15)
  const fin = random.chance(0.7) ? 0x80 : 0
  const reserved = random.chance(0.1) ? random.pick([0x10, 0x20, 0x40, 0x70]) : 0
  const isMasked = random.chance(0.9)
  const payload = random.pick([
    () => bytes(random, 300),
    () => bytes(random, 10),
    () => Buffer.from(Mutation.frame(random, "f") ?? ""),
    // No UTF-8.
    () => Buffer.from([0xc3, 0x28, 0xed, 0xa0, 0x80, 0xff]),
    // A close frame's code and reason.
    () => Buffer.concat([Buffer.from([random.between(0, 255), random.between(0, 255)]), bytes(random, 130)])
  ])()
  const claimed = random.chance(0.85)
    ? payload.length
    : random.pick([0, 1, payload.length + 5, 70_000, 2 ** 31])
  const form = random.chance(0.1) ? random.pick([7, 16, 64]) : claimed < 126 ? 7 : claimed < 65_536 ? 16 : 64
  const mask = isMasked ? 0x80 : 0
  const first = fin | reserved | opcode
  const length = Buffer.alloc(form === 7 ? 0 : form === 16 ? 2 : 8)
  if (form === 16) length.writeUInt16BE(claimed & 0xffff)
  if (form === 64) length.writeBigUInt64BE(random.chance(0.1) ? 2n ** 64n - 1n : BigInt(claimed))
  const key = Buffer.from(isMasked ? [1, 2, 3, 4] : [])
  const masked = isMasked ? payload.map((byte, at) => byte ^ ((at & 3) + 1)) : payload
  const second = mask | (form === 7 ? claimed & 0x7f : form === 16 ? 126 : 127)
  return Buffer.concat([Buffer.from([first, second]), length, key, masked])
}

describe("random bytes", () => {
  // A frame may begin a run by chance. Nobody ends it, and nobody moves the clock for its time to drain.
  const config = { requestsPerSecond: 1e9, bytesPerSecond: 1e12, drainGrace: Duration.zero }
  const run = shared(Harness.socket({ config }))
  const url = Effect.map(Address, (address) => new URL(address.url))

  it.for(Array.from({ length: Math.ceil(total / perTest) }, (_, at) => at))(
    `throw out whoever sends them, and nobody else (part %d, seed ${seed})`,
    (part) =>
      run(
        Effect.gen(function* () {
          const random = Prng.make(seed, "bytes", part)
          const { port } = yield* url
          const healthy = yield* (yield* Harness.Door).open
          yield* healthy.connect()
          for (let turn = 0; turn < perTest; turn++) {
            const peer = yield* RawSocket.tcp(Number(port))
            yield* peer.write(RawSocket.upgradeRequest())
            yield* peer.received("connect.challenge")
            if (random.chance(0.7)) {
              const params = {
                minProtocol: 3,
                maxProtocol: 4,
                client: { id: "test", version: "0", platform: "test", mode: "test" }
              }
              yield* peer.write(
                RawSocket.clientFrame(JSON.stringify({ type: "req", id: "c", method: "connect", params }))
              )
              yield* peer.received("hello-ok")
            }
            for (let count = random.between(1, 20); count > 0; count--) {
              // The bytes may come in pieces, and the peer may have been thrown out by now.
              const frame = rawFrame(random)
              const cut = random.between(0, frame.length)
              peer.socket.write(frame.subarray(0, cut))
              peer.socket.write(frame.subarray(cut))
            }
            // The others are served meanwhile.
            expect((yield* healthy.request("health")).ok).toBe(true)
            if (random.chance(0.5)) yield* peer.reset
            else peer.socket.destroy()
          }
          // All of them are gone, and nothing of them is left.
          yield* Effect.repeat(healthy.request("status"), {
            until: ({ payload }) => JSON.stringify(payload).includes('"connections":1,')
          })
          yield* healthy.leave
        })
      )
  )
})
