/** While the first frame of a peer is judged, what it sends behind it is not read: it waits in the socket, at its own cost. */
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Layer, Queue, Stream } from "effect"
import * as Authenticator from "../../src/auth/Authenticator.js"
import * as Principal from "../../src/auth/Principal.js"
import { Unauthorized } from "../../src/domain/AuthError.js"
import type { TestClient } from "../../src/testing/TestClient.js"
import { Address } from "../../src/transport/WebSocketTransport.js"
import * as Harness from "../support/Harness.js"
import { clientFrame, closeCode, connectRequest, open, tcp, upgradeRequest } from "../support/RawSocket.js"
import { shared } from "../support/Shared.js"

const login: Authenticator.Login = { principal: Principal.owner, credentialId: "owner" }
const refusal = new Unauthorized({ reason: "token mismatch" })

/** Far more than the system's buffers hold, in frames that are allowed after the login. */
const requests = 160
const flood = Buffer.concat(
  Array.from({ length: requests }, (_, n) =>
    clientFrame(`{"type":"req","id":"r${n}","method":"health","params":{"pad":"${"x".repeat(200_000)}"}}`)
  )
)

/** How many connections the gateway knows of. */
const connections = (client: TestClient) =>
  Effect.map(client.request("status"), ({ payload }) =>
    typeof payload === "object" && payload !== null && "connections" in payload ? payload.connections : -1
  )

describe("while the first frame is judged", () => {
  /** Every attempt, to be answered by the test; whoever has the token is let in at once. */
  const attempts = Effect.runSync(Queue.unbounded<Deferred.Deferred<Authenticator.Login, Unauthorized>>())
  const run = shared(
    Harness.socket({
      config: { bytesPerSecond: 1e9, requestsPerSecond: 1e6 },
      authenticator: Layer.succeed(Authenticator.Authenticator, {
        method: "token",
        authenticate: (auth) =>
          auth?.token === "known"
            ? Effect.succeed(login)
            : Effect.gen(function* () {
                const answer = yield* Deferred.make<Authenticator.Login, Unauthorized>()
                yield* Queue.offer(attempts, answer)
                return yield* Deferred.await(answer)
              }),
        unsafeState: () => "same",
        changes: Stream.never
      })
    })
  )
  const known = Effect.gen(function* () {
    const { url } = yield* Address
    const { client } = yield* open(url)
    expect(yield* client.connect({ token: "known" })).toMatchObject({ ok: true })
    return client
  })
  /** A peer whose first frame is being judged. */
  const judged = Effect.gen(function* () {
    const { port } = yield* Address
    const raw = yield* tcp(port)
    yield* raw.write(upgradeRequest())
    yield* raw.received("connect.challenge")
    yield* raw.write(clientFrame(connectRequest()))
    return { raw, attempt: yield* Queue.take(attempts) }
  })
  /** With the flood behind it, most of which nobody has read. */
  const flooding = Effect.gen(function* () {
    const by = yield* known
    const { attempt, raw } = yield* judged
    let taken = 0
    const piece = 64 * 1024
    const send = (from: number): void => {
      taken = from
      if (from < flood.length) raw.socket.write(flood.subarray(from, from + piece), () => send(from + piece))
    }
    send(0)
    // The gateway goes on for others meanwhile, and has had its time to read on.
    for (let n = 0; n < 300; n++) yield* by.request("health")
    expect(taken).toBeLessThan(flood.length / 2)
    return { attempt, raw, taken: () => taken }
  })

  it("what comes behind it waits in the socket, and is answered after the login", () =>
    run(
      Effect.gen(function* () {
        const { attempt, raw } = yield* flooding
        yield* Deferred.succeed(attempt, login)
        const all = yield* raw.received(`"id":"r${requests - 1}"`)
        const answers = [...all.matchAll(/"id":"r(\d+)","ok":true/g)].map(([, n]) => Number(n))
        expect(answers).toEqual(Array.from({ length: requests }, (_, n) => n))
      })
    ))

  it("and after a refusal it is not read at all", () =>
    run(
      Effect.gen(function* () {
        const { attempt, raw, taken } = yield* flooding
        yield* Deferred.fail(attempt, refusal)
        expect(yield* raw.received(closeCode(1008))).toContain("unauthorized: token mismatch")
        expect(taken()).toBeLessThan(flood.length / 2)
      })
    ))

  it("a peer that goes away then is forgotten, and the answer is for nobody", () =>
    run(
      Effect.gen(function* () {
        const by = yield* known
        const before = yield* connections(by)
        for (const answer of [Effect.succeed(login), Effect.fail(refusal)]) {
          const { attempt, raw } = yield* judged
          yield* raw.reset
          yield* Effect.repeat(connections(by), { until: (count) => count === before })
          yield* Deferred.complete(attempt, answer)
          expect(yield* connections(by)).toBe(before)
        }
        expect(yield* by.request("health")).toMatchObject({ ok: true })
      })
    ))
})
