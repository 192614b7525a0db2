/**
 * WebSocket transport: sockets of the `ws` package on a plain HTTP server. The only file that knows either.
 *
 * The platform's own upgrade handler is not used: it has no error listener on the raw socket (a peer's RST would end the
 * process), takes frames of 100 MiB, forks handlers per frame (which reorders them) and knows no backpressure.
 */
import * as Http from "node:http"
import * as Net from "node:net"
import type { Duplex } from "node:stream"
import { Cause, Context, Duration, Effect, Layer, Runtime, Schema } from "effect"
import { WebSocket, WebSocketServer } from "ws"
import type { Peer } from "../domain/Peer.js"
import type { Sink } from "../event/Outbox.js"
import { Gateway } from "../gateway/Gateway.js"
import { GatewayConfig } from "../GatewayConfig.js"
import type { Disconnect } from "../protocol/CloseCode.js"

/** Where to listen. */
export interface ListenOptions {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
}

/** The address could not be taken. */
export class ListenError extends Schema.TaggedError<ListenError>()("ListenError", {
  host: Schema.String,
  port: Schema.Number,
  /** The system's code: `EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL`, … */
  code: Schema.String
}) {}

/** Where the gateway listens. */
export interface AddressShape {
  readonly host: string
  readonly port: number
  /** `ws://host:port` */
  readonly url: string
}
export class Address extends Context.Tag("colloquy/Address")<Address, AddressShape>() {}

/** How long a closed socket may take to say goodbye itself. */
const closeGrace = Duration.seconds(1)

/** Serves the gateway until the scope closes; then it stops accepting, shuts the gateway down and cuts off what is left. */
export const layer = (options: ListenOptions): Layer.Layer<Address, ListenError, Gateway | GatewayConfig> =>
  Layer.scoped(
    Address,
    Effect.gen(function* () {
      const gateway = yield* Gateway
      const config = yield* GatewayConfig
      const runtime = yield* Effect.runtime()
      const server = Http.createServer(answerHttp)
      const socketOptions = {
        noServer: true,
        maxPayload: config.maxPayload,
        perMessageDeflate: false,
        clientTracking: true,
        // How long a peer that was told goodbye may keep its socket and what waits in it, in milliseconds.
        closeTimeout: 10_000
      }
      const sockets = new WebSocketServer(socketOptions)
      let stopping = false

      server.on("upgrade", (request: Http.IncomingMessage, socket: Duplex, head: Buffer) => {
        // Until `ws` has taken over, a reset by the peer would otherwise be an uncaught error.
        socket.on("error", () => socket.destroy())
        if (stopping) {
          // Not only ended: a peer that never ends its side would keep the socket, and with it the process.
          socket.once("finish", () => socket.destroy())
          socket.end("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
          return
        }
        // The upgrade's response and the challenge leave in one system call.
        socket.cork()
        process.nextTick(() => socket.uncork())
        // Answers what is no upgrade that it can take (400, 405, 426) and destroys the socket.
        sockets.handleUpgrade(request, socket, head, (webSocket) => {
          Runtime.runSync(runtime)(serve(gateway, webSocket, peerOf(request)))
        })
      })

      const address = yield* listen(server, options)
      yield* Effect.addFinalizer(() =>
        Effect.gen(function* () {
          stopping = true
          server.close()
          yield* gateway.shutdown
          // A finalizer is uninterruptible, and there a timeout would wait for what it gives up on.
          yield* Effect.timeoutOption(Effect.interruptible(allClosed(sockets)), closeGrace)
          for (const socket of sockets.clients) socket.terminate()
          server.closeAllConnections()
        }).pipe(
          Effect.catchAllCause((cause) =>
            Effect.logError("the server did not stop cleanly", Cause.squash(cause))
          )
        )
      )
      return address
    })
  )

const listen = (
  server: Http.Server,
  { host, port }: ListenOptions
): Effect.Effect<AddressShape, ListenError> =>
  Effect.async((resume) => {
    const failed = (error: NodeJS.ErrnoException) =>
      resume(Effect.fail(new ListenError({ host, port, code: error.code ?? error.message })))
    server.once("error", failed)
    server.listen({ host, port, backlog: 4096 }, () => {
      server.off("error", failed)
      // Errors of single connections (a failed accept) must not end the process.
      server.on("error", () => undefined)
      const bound = boundPort(server.address(), port)
      resume(
        Effect.succeed({ host, port: bound, url: `ws://${host.includes(":") ? `[${host}]` : host}:${bound}` })
      )
    })
  })

const boundPort = (address: Net.AddressInfo | string | null, fallback: number): number =>
  typeof address === "object" && address !== null ? address.port : fallback

const allClosed = (sockets: WebSocketServer): Effect.Effect<void> =>
  Effect.async((resume) => {
    let open = sockets.clients.size
    if (open === 0) return resume(Effect.void)
    for (const socket of sockets.clients) {
      socket.once("close", () => {
        open -= 1
        if (open === 0) resume(Effect.void)
      })
    }
  })

/** Connects one socket with the gateway. */
const serve = (gateway: Gateway["Type"], socket: WebSocket, peer: Peer): Effect.Effect<void> =>
  Effect.map(gateway.open(makeSink(socket), peer), (connection) => {
    // One string per message, copied out of the socket's buffer only once.
    socket.on("message", (data, isBinary) => {
      connection.receive(isBinary ? null : text(data))
    })
    socket.on("close", () => connection.closed())
    // `ws` closes by itself, with the code that says why (1002, 1007, 1009): behind what was sent, so that is not cut off.
    socket.on("error", ignore)
    rawSocket(socket)?.on("drain", () => connection.drained())
  })

const peerOf = (request: Http.IncomingMessage): Peer => {
  const address = request.socket.remoteAddress ?? ""
  return {
    address,
    isLocal: address === "::1" || address.startsWith("127.") || address.startsWith("::ffff:127.")
  }
}

const text = (data: WebSocket.RawData): string =>
  Buffer.isBuffer(data)
    ? data.toString("utf8")
    : Array.isArray(data)
      ? Buffer.concat(data).toString("utf8")
      : Buffer.from(data).toString("utf8")

const makeSink = (socket: WebSocket): Sink => {
  const raw = rawSocket(socket)
  let corked = false
  return {
    write: (frame) => {
      if (socket.readyState !== WebSocket.OPEN) return
      if (!corked && raw !== undefined) {
        // Frames written in one turn leave in one system call.
        corked = true
        raw.cork()
        process.nextTick(() => {
          corked = false
          raw.uncork()
        })
      }
      socket.send(frame, ignore)
    },
    buffered: () => socket.bufferedAmount,
    taken: () => (raw === undefined ? 0 : raw.bytesWritten - raw.writableLength - inKernelQueue(raw)),
    close: ({ code, reason }: Disconnect) => socket.close(code, reason),
    pause: () => socket.pause(),
    resume: () => socket.resume()
  }
}

// The socket is closing, and `close` says so.
const ignore = (): void => undefined

/** The TCP socket under a WebSocket. `ws` has no public way to it, and only it says when it has drained. */
const rawSocket = (socket: WebSocket): Net.Socket | undefined =>
  "_socket" in socket && socket._socket instanceof Net.Socket ? socket._socket : undefined

/**
 * Bytes of the write under way that the system has not taken. Without it a reader that is slow but alive would show no
 * progress while one large frame trickles out. Node's own socket timeout looks at the same number.
 */
const inKernelQueue = (socket: Net.Socket): number => {
  const handle: unknown = "_handle" in socket ? socket._handle : undefined
  return typeof handle === "object" &&
    handle !== null &&
    "writeQueueSize" in handle &&
    typeof handle.writeQueueSize === "number"
    ? handle.writeQueueSize
    : 0
}

const answerHttp: Http.RequestListener = (request, response) => {
  response.setHeader("X-Content-Type-Options", "nosniff")
  response.setHeader("Content-Type", "text/plain; charset=utf-8")
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.writeHead(405, { Allow: "GET, HEAD" }).end("method not allowed\n")
  } else if (request.url === "/") {
    response.end("This is a Colloquy gateway. Connect a chat client by WebSocket to this address.\n")
  } else {
    response.writeHead(404).end("not found\n")
  }
}
