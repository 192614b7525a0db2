/**
 * WebSocket transport: sockets of the `ws` package on an HTTP server of Node.
 *
 * The platform's own upgrade handler is not used: it has no error listener on the raw socket (a peer's RST would end the
 * process), takes frames of 100 MiB, forks handlers per frame (which reorders them) and knows no backpressure.
 */
import type * as Http from "node:http"
import type * as Net from "node:net"
import type { Duplex } from "node:stream"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { Cause, Context, Duration, Effect, Layer, Runtime } from "effect"
import { type WebSocket, WebSocketServer } from "ws"
import { isLoopback } from "../domain/Loopback.js"
import type { Peer } from "../domain/Peer.js"
import type { Connection } from "../gateway/Connection.js"
import type { LoginLink } from "../auth/LoginLink.js"
import { Gateway } from "../gateway/Gateway.js"
import type { Visitors } from "../gateway/Visitors.js"
import * as HttpFront from "./http/HttpFront.js"
import { GatewayConfig } from "../GatewayConfig.js"
import { type Caller, Callers } from "./Callers.js"
import { Doorway } from "./Doorway.js"
import * as HttpServer from "./HttpServer.js"
import { Reading } from "./Reading.js"
import * as SameOrigin from "./SameOrigin.js"
import { rawAnswer } from "./SecurityHeaders.js"
import * as SocketSink from "./SocketSink.js"
import { Stranger } from "./Stranger.js"
import * as Tls from "./Tls.js"
import * as TrustedProxies from "./TrustedProxies.js"

export { ListenError } from "./HttpServer.js"
export { TlsError } from "./Tls.js"

/** Where to listen, and whom to let knock. */
export interface ListenOptions {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** Absent: no TLS. */
  readonly tls?: Tls.TlsFiles
  /** Origins whose pages may connect besides the gateway's own, as browsers write them. Default: none. */
  readonly allowedOrigins?: ReadonlyArray<string>
  /** Names under which the gateway is reached, without a port. Default: loopback names, or any where it does not listen on loopback. */
  readonly allowedHosts?: ReadonlyArray<string>
  /** Proxies that tell the truth of the client's address. Default: none. */
  readonly trustedProxies?: TrustedProxies.TrustedProxies
  /** Connections that have not logged in, in all. Default: 4096. */
  readonly maxUnauthenticated?: number
  /** The same of one address. Default: 2048. */
  readonly maxUnauthenticatedPerAddress?: number
  /** The directory with the files of the page, as the build makes it. Default: no page. */
  readonly page?: string
  /** What lets the owner into the page without a token in the address. Default: nothing. */
  readonly loginLink?: LoginLink
}

/** Where the gateway listens. */
export interface AddressShape {
  readonly host: string
  readonly port: number
  /** `ws://host:port`, or `wss:` */
  readonly url: string
}
export class Address extends Context.Tag("colloquy/Address")<Address, AddressShape>() {}

/** How long a closed socket may take to say goodbye itself. */
const closeGrace = Duration.seconds(1)

/** What a connection that has not logged in may send besides its frame: heads of frames, a ping. */
const handshakeOverhead = 1024

/**
 * Fragments of one message, and pieces in which one frame may arrive. Each costs a hundred bytes until the message is whole,
 * however short it is.
 */
const maxFragments = 128
const maxBufferedChunks = 8192

/** Bytes in a socket up to which a ping is answered: of pings without end the newest one's answer does (RFC 6455, 5.5.3). */
const pongBelow = 16 * 1024

/** Serves the gateway until the scope closes; then it stops accepting, shuts the gateway down and cuts off what is left. */
export const layer = (
  options: ListenOptions
): Layer.Layer<Address, HttpServer.ListenError | Tls.TlsError, Gateway | Visitors | GatewayConfig> =>
  Layer.provide(Layer.scoped(Address, make(options)), [NodeFileSystem.layer, NodePath.layer])

const make = (options: ListenOptions) =>
  Effect.gen(function* () {
    const { host, tls, trustedProxies: proxies = TrustedProxies.none } = options
    const gateway = yield* Gateway
    const config = yield* GatewayConfig
    const runtime = yield* Effect.runtime()
    const rules: SameOrigin.OriginRules = {
      isLoopback: isLoopback(host),
      isTls: tls !== undefined,
      allowedHosts: new Set(options.allowedHosts?.map((name) => name.toLowerCase())),
      allowedOrigins: new Set(options.allowedOrigins?.map((origin) => origin.toLowerCase()))
    }
    const doorway = new Doorway({
      max: options.maxUnauthenticated ?? 4096,
      maxPerAddress: options.maxUnauthenticatedPerAddress ?? 2048
    })
    const certificate = tls === undefined ? undefined : yield* Tls.open(tls)
    const callers = new Callers(doorway, proxies)
    const front = yield* HttpFront.make({
      rules,
      isForwardedTls: (request) => TrustedProxies.isForwardedTls(request, proxies),
      peerOf: (request) => TrustedProxies.peerOf(request, proxies),
      onEntered: (request) =>
        callers.find(request.socket, TrustedProxies.peerOf(request, proxies))?.visitor.leaves(),
      page: options.page,
      loginLink: options.loginLink
    })
    const server = HttpServer.make(front, config.handshakeTimeout, certificate?.pair)
    const sockets = new WebSocketServer({
      noServer: true,
      maxPayload: config.maxPayload,
      perMessageDeflate: false,
      autoPong: false,
      clientTracking: true,
      maxFragments,
      maxBufferedChunks,
      // How long a peer that was told goodbye may keep its socket and what waits in it, in milliseconds.
      ...{ closeTimeout: 10_000 }
    })
    // What `ws` would answer by itself, with our headers.
    sockets.on("wsClientError", (error, socket) =>
      HttpServer.end(socket, rawAnswer(...upgradeError(error.message)))
    )
    let stopping = false

    server.on("connection", (socket: Net.Socket) => callers.enter(socket))

    server.on("upgrade", (request: Http.IncomingMessage, socket: Duplex, head: Buffer) => {
      // Until `ws` has taken over, a reset by the peer would otherwise be an uncaught error.
      socket.on("error", () => socket.destroy())
      if (stopping) {
        HttpServer.end(socket, rawAnswer(503, "the gateway is stopping"))
        return
      }
      const refusal =
        SameOrigin.refuseHost(request, rules) ??
        SameOrigin.refuseOrigin(request, rules, TrustedProxies.isForwardedTls(request, proxies))
      if (refusal !== undefined) {
        HttpServer.end(socket, rawAnswer(refusal.status, refusal.text))
        return
      }
      const peer = TrustedProxies.peerOf(request, proxies)
      const caller = callers.find(request.socket, peer)
      // The upgrade's response and the challenge leave in one system call.
      socket.cork()
      process.nextTick(() => socket.uncork())
      sockets.handleUpgrade(request, socket, head, (webSocket) => {
        Runtime.runSync(runtime)(
          serve(
            { gateway, maxBytes: config.handshakeMaxPayload + handshakeOverhead, peer, caller },
            webSocket
          )
        )
      })
    })

    const port = yield* HttpServer.listen(server, host, options.port)
    if (certificate !== undefined && "setSecureContext" in server) {
      yield* Effect.forkScoped(certificate.watch((pair) => server.setSecureContext(pair)))
    }
    yield* Effect.addFinalizer(() =>
      Effect.gen(function* () {
        stopping = true
        server.close()
        yield* gateway.shutdown
        // A finalizer is uninterruptible, and there a timeout would wait for what it gives up on.
        yield* Effect.timeoutOption(Effect.interruptible(allClosed(sockets)), closeGrace)
        for (const socket of sockets.clients) socket.terminate()
        callers.cutOff()
      }).pipe(
        Effect.catchAllCause((cause) =>
          Effect.logError("the server did not stop cleanly", Cause.squash(cause))
        )
      )
    )
    const scheme = tls === undefined ? "ws" : "wss"
    return { host, port, url: `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}` }
  })

/** What is wrong with a request to upgrade, by what `ws` says of it. */
const upgradeError = (message: string): [status: number, text: string, extra?: Record<string, string>] =>
  /method/i.test(message)
    ? [405, "a WebSocket begins with GET", { Allow: "GET" }]
    : /Sec-WebSocket-Version/i.test(message)
      ? [426, "only version 13 of the WebSocket protocol is spoken here", { "Sec-WebSocket-Version": "13" }]
      : [400, "this is no request to upgrade to a WebSocket"]

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

interface Arrival {
  readonly gateway: Gateway["Type"]
  readonly peer: Peer
  readonly caller: Caller | undefined
  /** What it may send before it has logged in. */
  readonly maxBytes: number
}

/** Connects one socket with the gateway. */
const serve = ({ caller, gateway, maxBytes, peer }: Arrival, socket: WebSocket): Effect.Effect<void> =>
  Effect.suspend(() => {
    const raw = SocketSink.rawSocket(socket)
    const reading = new Reading(socket)
    const stranger =
      raw === undefined
        ? undefined
        : new Stranger({
            socket,
            raw,
            reading,
            maxBytes,
            isJudging: () => connection?.isJudging ?? false,
            onTooMuch: () => connection?.closed()
          })
    let connection: Connection | undefined
    const sink = SocketSink.make({
      socket,
      tcp: caller?.tcp,
      reading,
      onAdmitted: () => {
        caller?.visitor.leaves()
        stranger?.admit()
      },
      onClose: () => stranger?.dismiss()
    })
    return Effect.map(gateway.open(sink, peer), (opened) => {
      connection = opened
      socket.on("message", (data, isBinary) => {
        caller?.visitor.speaks()
        opened.receive(isBinary ? null : SocketSink.text(data))
      })
      let owed: Buffer | undefined
      socket.on("ping", (data) => {
        if (socket.bufferedAmount < pongBelow) socket.pong(data, false, SocketSink.ignore)
        else owed = data
      })
      socket.on("close", () => opened.closed())
      // `ws` closes by itself, with the code that says why (1002, 1007, 1009): behind what was sent, so that is not cut off.
      socket.on("error", SocketSink.ignore)
      raw?.on("drain", () => {
        if (owed !== undefined) socket.pong(owed, false, SocketSink.ignore)
        owed = undefined
        opened.drained()
      })
    })
  })
