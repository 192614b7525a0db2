/** HttpServer: the server of Node, with limits for those who are slow or say too much, and with answers of ours throughout. */
import * as Http from "node:http"
import * as Https from "node:https"
import type { Duplex } from "node:stream"
import { Duration, Effect, Schema } from "effect"
import { rawAnswer, securityHeaders } from "./SecurityHeaders.js"
import type { Pair } from "./Tls.js"

/** The address could not be taken. */
export class ListenError extends Schema.TaggedError<ListenError>()("ListenError", {
  host: Schema.String,
  port: Schema.Number,
  /** The system's code: `EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL`, … */
  code: Schema.String
}) {}

export type Server = Http.Server | Https.Server

/** Headers of a request, in bytes, and how many. */
const maxHeaderSize = 16 * 1024
const maxHeaders = 100
/** How long a connection may be kept for a next request. */
const keepAlive = Duration.seconds(5)

/** `patience`: how long the headers of a request, and the request, may take, and the handshake of TLS. */
export const make = (
  answer: Http.RequestListener,
  patience: Duration.Duration,
  tls: Pair | undefined
): Server => {
  const milliseconds = Math.max(1, Duration.toMillis(patience))
  const options: Http.ServerOptions = {
    maxHeaderSize,
    headersTimeout: milliseconds,
    requestTimeout: milliseconds,
    connectionsCheckingInterval: Math.min(1000, milliseconds),
    // Node would answer that without our headers: it is looked at with the rest of the Host.
    requireHostHeader: false,
    keepAliveTimeout: Duration.toMillis(keepAlive)
  }
  const server =
    tls === undefined
      ? Http.createServer(options, answer)
      : Https.createServer({ ...options, ...tls, handshakeTimeout: milliseconds }, answer)
  server.maxHeadersCount = maxHeaders
  // Else Node answers 417 to what is expected, without our headers; nothing here waits for a 100.
  server.on("checkExpectation", answer)
  // A last word would wait for the end of a handshake that has none, and keep the socket.
  server.on("tlsClientError", (_error: Error, socket: Duplex) => socket.destroy())
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Duplex) => {
    const [status, text] = unreadable[error.code ?? ""] ?? [400, "the request can't be read"]
    end(socket, rawAnswer(status, text))
  })
  return server
}

const unreadable: Readonly<Record<string, readonly [number, string] | undefined>> = {
  HPE_HEADER_OVERFLOW: [431, `the headers are larger than ${maxHeaderSize} bytes`],
  ERR_HTTP_REQUEST_TIMEOUT: [408, "the request took too long"]
}

/** Says a last word, and lets go: a peer that never ends its side would keep the socket. */
export const end = (socket: Duplex, text: string): void => {
  socket.on("error", () => socket.destroy())
  if (!socket.writable) {
    socket.destroy()
    return
  }
  socket.once("finish", () => socket.destroy())
  socket.end(text)
}

/** Answers a request in plain text. */
export const respond = (
  response: Http.ServerResponse,
  status: number,
  text: string,
  extra: Readonly<Record<string, string>> = {}
): void => {
  response
    .writeHead(status, { ...securityHeaders, "Content-Type": "text/plain; charset=utf-8", ...extra })
    .end(`${text}\n`)
}

/** Listens; answers on which port. */
export const listen = (server: Server, host: string, port: number): Effect.Effect<number, ListenError> =>
  Effect.async((resume) => {
    const failed = (error: NodeJS.ErrnoException) =>
      resume(Effect.fail(new ListenError({ host, port, code: error.code ?? error.message })))
    server.once("error", failed)
    server.listen({ host, port, backlog: 4096 }, () => {
      server.off("error", failed)
      // Errors of single connections (a failed accept) must not end the process.
      server.on("error", () => undefined)
      const address = server.address()
      resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : port))
    })
  })
