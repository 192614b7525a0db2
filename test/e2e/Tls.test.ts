/** TLS of the gateway's own: a certificate that is read again when it changes. */
import { once } from "node:events"
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls"
import { FileSystem } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Exit, Layer, Logger, Scope, TestClock } from "effect"
import { WebSocket } from "ws"
import * as TestClient from "../../src/testing/TestClient.js"
import * as WebSocketTransport from "../../src/transport/WebSocketTransport.js"
import * as Certificate from "../support/Certificate.js"
import * as Harness from "../support/Harness.js"
import { tcp, upgradeRequest } from "../support/RawSocket.js"
import { socketWire } from "../support/SocketWire.js"

const names = ["localhost", "127.0.0.1"]

interface Site {
  readonly dir: string
  readonly files: { readonly cert: string; readonly key: string }
  /** Puts other texts into the files. */
  readonly write: (certificate: Certificate.Certificate) => Effect.Effect<void>
}

const site = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const dir = yield* fs.makeTempDirectoryScoped({ prefix: "colloquy-tls-" })
  const files = { cert: `${dir}/cert.pem`, key: `${dir}/key.pem` }
  const write = ({ cert, key }: Certificate.Certificate) =>
    Effect.zipRight(fs.writeFileString(files.cert, cert), fs.writeFileString(files.key, key))
  return { dir, files, write: (certificate) => Effect.orDie(write(certificate)) } satisfies Site
})

/** The certificate that a server shows, as PEM. */
const shown = (port: number): Effect.Effect<string> =>
  Effect.async((resume) => {
    const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false }, () => {
      const { raw } = socket.getPeerCertificate()
      resume(Effect.succeed(raw.toString("base64")))
      socket.destroy()
    })
    socket.on("error", (error) => resume(Effect.die(error)))
  })
const bare = ({ cert }: Certificate.Certificate) => cert.replaceAll(/-----[A-Z ]+-----|\n/g, "")

const logged = () => {
  const lines: Array<string> = []
  return {
    lines,
    layer: Logger.replace(
      Logger.defaultLogger,
      Logger.make(({ message }) => void lines.push(String(message)))
    )
  }
}

/** Looks at the files once more, and waits for what is said about them: real files lie between the clock and what comes of it. */
const look = ({ lines }: ReturnType<typeof logged>) =>
  Effect.gen(function* () {
    const before = lines.length
    yield* TestClock.adjust("2 seconds")
    yield* Effect.repeat(
      Effect.promise(() => new Promise(setImmediate)),
      { until: () => lines.length > before }
    )
  })

/** A TLS connection that looks at no certificate. */
const secure = (
  port: number,
  options: ConnectionOptions = {}
): Effect.Effect<TLSSocket, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<TLSSocket>((resume) => {
      const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options }, () =>
        resume(Effect.succeed(socket))
      )
      socket.on("error", (error) => resume(Effect.die(error)))
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

const listening = (files: Site["files"], log: ReturnType<typeof logged>) =>
  Layer.build(Layer.provide(Harness.socket({ listen: { tls: files } }), log.layer))

describe("TLS", () => {
  it.scoped("a client that knows the certificate logs in, one that does not know it does not", () =>
    Effect.gen(function* () {
      const { files, write } = yield* site
      const certificate = Certificate.make(...names)
      yield* write(certificate)
      const context = yield* listening(files, logged())
      const { port, url } = yield* Effect.provide(WebSocketTransport.Address, context)
      expect(url).toBe(`wss://127.0.0.1:${port}`)
      const first = (options: object) =>
        Effect.async<string>((resume) => {
          const socket = new WebSocket(url, options)
          socket.on("message", (data) => {
            resume(Effect.succeed(String(data)))
            socket.terminate()
          })
          socket.on("error", (error) => resume(Effect.succeed(error.message)))
        })
      expect(yield* first({ ca: certificate.cert })).toContain("connect.challenge")
      expect(yield* first({})).toContain("self-signed")
      expect(yield* first({ ca: certificate.cert, maxVersion: "TLSv1.1", minVersion: "TLSv1" })).toMatch(
        /version|protocol|cipher/i
      )
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scoped(
    "files that change are read again; a pair that does not fit is told, once, and the one before stays",
    () =>
      Effect.gen(function* () {
        const { files, write } = yield* site
        const [one, two, other] = [
          Certificate.make(...names),
          Certificate.make(...names),
          Certificate.make("x")
        ]
        yield* write(one)
        const log = logged()
        const context = yield* listening(files, log)
        const { port } = yield* Effect.provide(WebSocketTransport.Address, context)
        expect(yield* shown(port)).toBe(bare(one))
        yield* write({ cert: two.cert, key: other.key })
        yield* look(log)
        expect(log.lines.at(-1)).toMatch(/can't be used .* stays/)
        expect(log.lines.at(-1)).not.toContain("PRIVATE")
        expect(yield* shown(port)).toBe(bare(one))
        yield* write(two)
        yield* look(log)
        expect(log.lines.at(-1)).toBe("the TLS certificate was read again")
        expect(yield* shown(port)).toBe(bare(two))
      }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scoped("TLS 1.2 and 1.3 are spoken; a page over https is of this origin, one over http is not", () =>
    Effect.gen(function* () {
      const { files, write } = yield* site
      yield* write(Certificate.make(...names))
      const { port } = yield* Effect.provide(WebSocketTransport.Address, yield* listening(files, logged()))
      const answerTo = (origin: string, options: ConnectionOptions) =>
        Effect.gen(function* () {
          const socket = yield* secure(port, options)
          socket.write(upgradeRequest({ Origin: origin }))
          const [data] = yield* Effect.promise(() => once(socket, "data"))
          return [socket.getProtocol(), String(data).slice(9, 12)]
        })
      expect(yield* answerTo("https://127.0.0.1", { maxVersion: "TLSv1.2" })).toEqual(["TLSv1.2", "101"])
      expect(yield* answerTo("https://127.0.0.1", {})).toEqual(["TLSv1.3", "101"])
      expect(yield* answerTo("http://127.0.0.1", {})).toEqual(["TLSv1.3", "403"])
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  // Node's own timer runs in real time: the end of the socket is the receipt.
  it.scoped(
    "a peer that never ends its handshake, speaks no TLS, or says nothing behind it, keeps no socket",
    () =>
      Effect.gen(function* () {
        const { files, write } = yield* site
        yield* write(Certificate.make(...names))
        const config = { handshakeTimeout: Duration.millis(200) }
        const context = yield* Layer.build(Harness.socket({ config, listen: { tls: files } }))
        const { port } = yield* Effect.provide(WebSocketTransport.Address, context)
        const silent = Effect.gen(function* () {
          const socket = yield* secure(port)
          const closed = once(socket, "close")
          socket.resume()
          yield* Effect.promise(() => closed)
        })
        const never = Effect.forEach(
          ["", "\x16\x03\x01", upgradeRequest()],
          (begun) =>
            Effect.gen(function* () {
              const raw = yield* tcp(port)
              if (begun !== "") yield* raw.write(begun)
              yield* raw.ended
              yield* raw.gone
            }),
          { concurrency: "unbounded" }
        )
        yield* Effect.all([silent, never], { concurrency: "unbounded" })
        expect((yield* secure(port)).getProtocol()).toBe("TLSv1.3")
      }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scoped(
    "a peer that resets in the middle of its handshake harms nobody; who was in before a reload stays",
    () =>
      Effect.gen(function* () {
        const { files, write } = yield* site
        const [one, two] = [Certificate.make(...names), Certificate.make(...names)]
        yield* write(one)
        const log = logged()
        const context = yield* listening(files, log)
        const { port, url } = yield* Effect.provide(WebSocketTransport.Address, context)
        const client = yield* TestClient.open(socketWire(url, { ca: one.cert }))
        yield* client.connect()
        for (let n = 0; n < 20; n++) {
          const raw = yield* tcp(port)
          if (n % 2 === 0) yield* raw.write("\x16\x03\x01\x02\x00")
          yield* raw.reset
        }
        yield* write(two)
        yield* look(log)
        expect(yield* shown(port)).toBe(bare(two))
        expect(yield* client.request("health")).toMatchObject({ ok: true })
        const later = yield* TestClient.open(socketWire(url, { ca: two.cert }))
        expect(yield* later.connect()).toMatchObject({ ok: true })
      }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scoped("what can't be used at the start is an error that says which file", () =>
    Effect.gen(function* () {
      const { dir, files, write } = yield* site
      const tlsError = (tls: Site["files"]) =>
        Effect.gen(function* () {
          const scope = yield* Scope.make()
          const built = yield* Effect.exit(
            Layer.buildWithScope(
              WebSocketTransport.layer({ host: "127.0.0.1", port: 0, tls }).pipe(
                Layer.provide(Harness.memory())
              ),
              scope
            )
          )
          yield* Scope.close(scope, Exit.void)
          return Exit.isFailure(built) ? JSON.stringify(built.cause) : ""
        })
      yield* write(Certificate.make(...names))
      expect(yield* tlsError({ ...files, cert: `${dir}/none.pem` })).toContain("none.pem")
      expect(yield* tlsError({ cert: files.key, key: files.cert })).toContain("it is no certificate")
      const strange = { cert: Certificate.make("a").cert, key: Certificate.make("b").key }
      yield* write(strange)
      expect(yield* tlsError(files)).toContain("they do not belong together")
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )
})
