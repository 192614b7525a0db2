/** The end of a server: no socket is left, not even one that has not got as far as a request. */
import { once } from "node:events"
import * as Net from "node:net"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { FileSystem } from "@effect/platform"
import { expect, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import * as WebSocketTransport from "../../src/transport/WebSocketTransport.js"
import * as Certificate from "../support/Certificate.js"
import * as Harness from "../support/Harness.js"

it.scoped("a peer in the middle of a TLS handshake is cut off when the gateway stops", () =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const dir = yield* fs.makeTempDirectoryScoped({ prefix: "colloquy-stop-" })
    const { cert, key } = Certificate.make("127.0.0.1")
    const tls = { cert: `${dir}/cert.pem`, key: `${dir}/key.pem` }
    yield* fs.writeFileString(tls.cert, cert)
    yield* fs.writeFileString(tls.key, key)
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(Harness.socket({ listen: { tls } }), scope)
    const { port } = yield* Effect.provide(WebSocketTransport.Address, context)
    const socket = yield* Effect.acquireRelease(
      Effect.promise(async () => {
        const socket = Net.connect({ port, host: "127.0.0.1" })
        socket.on("error", () => undefined)
        await once(socket, "connect")
        return socket
      }),
      (socket) => Effect.sync(() => socket.destroy())
    )
    const closed = once(socket, "close")
    socket.resume()
    // The beginning of a greeting. A connection behind it is the proof that the server has this one.
    socket.write(Buffer.from([0x16, 0x03, 0x01]))
    const later = Net.connect({ port, host: "127.0.0.1" })
    yield* Effect.promise(() => once(later, "connect"))
    later.destroy()
    yield* Scope.close(scope, Exit.void)
    yield* Effect.promise(() => closed)
    expect(socket.destroyed).toBe(true)
  }).pipe(Effect.provide(NodeFileSystem.layer))
)
