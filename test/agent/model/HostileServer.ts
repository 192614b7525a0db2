/** A model's server that does what a test says, byte by byte, and tells what it sees of its clients. */
import * as http from "node:http"
import * as net from "node:net"
import { Deferred, Effect, FiberId, Queue, type Scope } from "effect"

/** One request as the server sees it. Its levers are for a test to pull; nothing is answered by itself. */
export interface Exchange {
  readonly method: string
  /** With its query. */
  readonly path: string
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
  /** Status and headers; a stream of events with status 200 when nothing is said. */
  readonly begin: (status?: number, headers?: http.OutgoingHttpHeaders) => void
  /** More of the body; `false`: the client does not take it in as fast. */
  readonly write: (piece: string | Uint8Array) => boolean
  /** Ends the body as HTTP has it. */
  readonly end: (last?: string) => void
  /** Cuts the connection. */
  readonly cut: () => void
  /** Receipt: what was written has left for the client. */
  readonly drained: Effect.Effect<void>
  /** Receipt: the client has closed the connection. */
  readonly closed: Effect.Effect<void>
}

export interface HostileServer {
  readonly url: string
  /** The next request that no earlier call took. */
  readonly next: Effect.Effect<Exchange>
  /** Receipt: no socket is open, idle ones included. */
  readonly allClosed: Effect.Effect<void>
  readonly openSockets: () => number
  /** Sockets that there ever were. */
  readonly connections: () => number
}

const streaming = { "content-type": "text/event-stream; charset=utf-8" }

export const make: Effect.Effect<HostileServer, never, Scope.Scope> = Effect.gen(function* () {
  const exchanges = yield* Queue.unbounded<Exchange>()
  const server = http.createServer((request, response) => {
    const pieces: Array<Buffer> = []
    const closed = Deferred.unsafeMake<void>(FiberId.none)
    response.on("close", () => Deferred.unsafeDone(closed, Effect.void))
    request.on("data", (piece: Buffer) => pieces.push(piece))
    request.on("end", () => {
      const begin: Exchange["begin"] = (status = 200, headers = streaming) => {
        response.writeHead(status, headers)
        response.flushHeaders()
      }
      Queue.unsafeOffer(exchanges, {
        method: request.method ?? "",
        path: request.url ?? "",
        headers: request.headers,
        body: Buffer.concat(pieces).toString(),
        begin,
        write: (piece) => response.write(piece),
        end: (last) => response.end(last),
        cut: () => response.destroy(),
        drained: Effect.async((resume) => {
          if (!response.writableNeedDrain) return resume(Effect.void)
          response.once("drain", () => resume(Effect.void))
        }),
        closed: Deferred.await(closed)
      })
    })
  })
  const sockets = yield* listen(server)
  return { next: Queue.take(exchanges), ...sockets, url: `http://127.0.0.1:${sockets.port}` }
})

/** One that takes connections and never says a word, not even of TLS. `heard`: receipt that a client has said something. */
export const makeSilent: Effect.Effect<
  Pick<HostileServer, "allClosed" | "openSockets"> & {
    readonly port: number
    readonly heard: Effect.Effect<void>
  },
  never,
  Scope.Scope
> = Effect.gen(function* () {
  const heard = yield* Deferred.make<void>()
  const server = net.createServer((socket) => {
    socket.on("data", () => Deferred.unsafeDone(heard, Effect.void))
  })
  return { ...(yield* listen(server)), heard: Deferred.await(heard) }
})

/** A port on which nothing listens. */
export const freePort: Effect.Effect<number> = Effect.scoped(
  Effect.map(listen(net.createServer()), ({ port }) => port)
)

function listen(server: net.Server) {
  const sockets = new Set<net.Socket>()
  const waiting = new Set<() => void>()
  let connections = 0
  server.on("connection", (socket: net.Socket) => {
    sockets.add(socket)
    connections += 1
    socket.on("error", () => {})
    socket.on("close", () => {
      sockets.delete(socket)
      if (sockets.size === 0) for (const tell of waiting) tell()
    })
  })
  const open = Effect.async<number>((resume) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      resume(
        typeof address === "object" && address !== null
          ? Effect.succeed(address.port)
          : Effect.dieMessage("no port")
      )
    })
  })
  const close = Effect.async<void>((resume) => {
    for (const socket of sockets) socket.destroy()
    server.close(() => resume(Effect.void))
  })
  return Effect.map(
    Effect.acquireRelease(open, () => close),
    (port) => ({
      port,
      openSockets: () => sockets.size,
      connections: () => connections,
      allClosed: Effect.async<void>((resume) => {
        const tell = () => {
          waiting.delete(tell)
          resume(Effect.void)
        }
        if (sockets.size === 0) tell()
        else waiting.add(tell)
      })
    })
  )
}
