/** What the gateway learns of a reader over real sockets, with TLS and without. */
import { FileSystem } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Layer } from "effect"
import { WebSocket } from "ws"
import type { Sink } from "../../src/event/Outbox.js"
import { Gateway } from "../../src/gateway/Gateway.js"
import * as GatewayConfig from "../../src/GatewayConfig.js"
import * as Ids from "../../src/domain/Ids.js"
import { Visitors } from "../../src/gateway/Visitors.js"
import * as WebSocketTransport from "../../src/transport/WebSocketTransport.js"
import * as Certificate from "../support/Certificate.js"

const certificate = Certificate.make("127.0.0.1")

const files = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const dir = yield* fs.makeTempDirectoryScoped({ prefix: "colloquy-sink-" })
  const tls = { cert: `${dir}/cert.pem`, key: `${dir}/key.pem` }
  yield* fs.writeFileString(tls.cert, certificate.cert)
  yield* fs.writeFileString(tls.key, certificate.key)
  return tls
}).pipe(Effect.provide(NodeFileSystem.layer))

/** A client's socket, and the sink that the gateway is given for it. */
const connected = (tls: { readonly cert: string; readonly key: string } | undefined) =>
  Effect.gen(function* () {
    const given = yield* Deferred.make<Sink>()
    const gateway = Layer.succeed(Gateway, {
      open: (sink) =>
        Effect.gen(function* () {
          yield* Deferred.succeed(given, sink)
          return {
            id: yield* Ids.makeConnectionId,
            isJudging: false,
            receive: () => undefined,
            drained: () => undefined,
            closed: () => undefined
          }
        }),
      shutdown: Effect.void
    })
    const context = yield* Layer.build(
      WebSocketTransport.layer({ host: "127.0.0.1", port: 0, ...(tls === undefined ? {} : { tls }) }).pipe(
        Layer.provide(gateway),
        Layer.provide(Layer.succeed(Visitors, { enter: () => Effect.never, problems: Effect.succeed([]) })),
        Layer.provide(GatewayConfig.layer({}))
      )
    )
    const { url } = yield* Effect.provide(WebSocketTransport.Address, context)
    const client = yield* Effect.acquireRelease(
      Effect.sync(() => new WebSocket(url, { ca: certificate.cert, perMessageDeflate: false })),
      (socket) => Effect.sync(() => socket.terminate())
    )
    return { client, sink: yield* Deferred.await(given) }
  })

describe("what the network has taken", () => {
  const size = 16 * 1024 * 1024

  it.scoped.each([["without TLS"], ["over TLS"]])("grows while one frame is on its way, %s", ([how]) =>
    Effect.gen(function* () {
      const { client, sink } = yield* connected(how === "over TLS" ? yield* files : undefined)
      yield* Effect.promise(() => new Promise<void>((resolve) => client.once("open", () => resolve())))
      client.pause()
      sink.write("x".repeat(size))
      const turn = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      // The system's buffers are full once nothing more is taken for a while.
      let quiet = 0
      let before = sink.taken()
      while (quiet < 100) {
        yield* turn
        quiet = sink.taken() === before ? quiet + 1 : 0
        before = sink.taken()
      }
      expect(before).toBeGreaterThan(0)
      expect(before).toBeLessThan(size)
      client.resume()
      const steps = new Set<number>()
      while (sink.buffered() > 0) {
        expect(sink.taken()).toBeGreaterThanOrEqual(before)
        before = sink.taken()
        steps.add(before)
        yield* turn
      }
      expect(steps.size).toBeGreaterThan(1)
      expect(sink.taken()).toBeGreaterThanOrEqual(size)
    })
  )
})
