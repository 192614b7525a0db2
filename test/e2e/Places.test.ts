/** Places for those who have not logged in: bounded for each address and in all, and nobody pays for others. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either } from "effect"
import * as TrustedProxies from "../../src/transport/TrustedProxies.js"
import { Address } from "../../src/transport/WebSocketTransport.js"
import { crowd } from "../support/Crowd.js"
import * as Harness from "../support/Harness.js"
import { clientFrame, connectRequest, upgradeRequest } from "../support/RawSocket.js"
import { shared } from "../support/Shared.js"

describe("those that have logged in", () => {
  const bound = 50
  const run = shared(Harness.socket({ listen: { maxUnauthenticated: bound } }))

  it("take no place, however many they are", () =>
    run(
      Effect.gen(function* () {
        const { port } = yield* Address
        const words = upgradeRequest() + clientFrame(connectRequest()).toString("latin1")
        const many = yield* crowd(port, bound * 2, () => words)
        yield* many.received("hello-ok", bound * 2)
        expect(yield* many.atMost(bound * 2)).toBe(bound * 2)
      })
    ))
})

describe("behind a proxy", () => {
  const run = shared(
    Harness.socket({
      listen: {
        maxUnauthenticated: 100,
        maxUnauthenticatedPerAddress: 10,
        trustedProxies: Either.getOrThrow(TrustedProxies.parse(["127.0.0.1"]))
      }
    })
  )
  const through = (address: string) => upgradeRequest({ "X-Forwarded-For": `spoofed, ${address}` })

  it("each client counts for itself, whatever it says of itself; one customer's network is one address", () =>
    run(
      Effect.gen(function* () {
        const { port } = yield* Address
        const decent = yield* crowd(port, 20, (n) => through(`192.0.2.${n}`))
        yield* decent.received("connect.challenge", 20)
        for (const address of [() => "203.0.113.1", (n: number) => `2001:db8::${n}`]) {
          const many = yield* crowd(port, 50, (n) => through(address(n)))
          expect(yield* many.atMost(10)).toBe(10)
        }
        expect(yield* decent.atMost(20)).toBe(20)
      })
    ))

  it("and all together have their bound, which keeps out nobody who logs in", () =>
    run(
      Effect.gen(function* () {
        const { port } = yield* Address
        const many = yield* crowd(port, 300, (n) => through(`198.51.100.${n % 250}`))
        expect(yield* many.atMost(100)).toBe(100)
        const client = yield* (yield* Harness.Door).open
        expect(yield* client.connect()).toMatchObject({ ok: true })
      })
    ))
})
