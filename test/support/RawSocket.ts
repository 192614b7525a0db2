/** Clients for what no decent client does: a `ws` socket under a TestClient, and plain TCP under nothing. */
import { once } from "node:events"
import * as Net from "node:net"
import { Effect, type Scope } from "effect"
import { WebSocket } from "ws"
import * as TestClient from "../../src/testing/TestClient.js"

/** A TestClient and the socket that it speaks through, so that a test can do to it what the client would not. */
export interface RawClient {
  readonly client: TestClient.TestClient
  readonly socket: WebSocket
}

/** Opens a socket; it is cut when the scope closes. A failure to open is a defect: the test can't go on. */
export const open = (
  url: string,
  options: { readonly path?: string } = {}
): Effect.Effect<RawClient, never, Scope.Scope> =>
  Effect.gen(function* () {
    const socket = yield* Effect.acquireRelease(
      Effect.sync(
        () =>
          new WebSocket(url + (options.path ?? "/"), {
            perMessageDeflate: false,
            maxPayload: 25 * 1024 * 1024
          })
      ),
      (socket) => Effect.sync(() => socket.terminate())
    )
    const client = yield* TestClient.open(({ onClose, onFrame }) =>
      Effect.async<TestClient.Wire>((resume) => {
        socket.on("open", () =>
          resume(
            Effect.succeed({
              send: (text) => socket.send(text ?? Buffer.from([0, 1, 2])),
              cut: () => socket.terminate(),
              stall: () => socket.pause(),
              resume: () => socket.resume()
            })
          )
        )
        socket.on("error", (error) => resume(Effect.die(error)))
        socket.on("message", (data) => onFrame(String(data)))
        socket.on("close", (code, reason) => onClose({ code, reason: reason.toString() }))
      })
    )
    return { client, socket }
  })

/** A TCP connection whose bytes the test writes itself. */
export interface Tcp {
  readonly socket: Net.Socket
  readonly write: (data: string | Buffer) => Effect.Effect<void>
  /** Waits for an answer whose text holds `text`; answers all that was received. */
  readonly received: (text: string) => Effect.Effect<string>
  /** Waits until the peer has ended its side, or the connection is gone; answers all that was received. */
  readonly ended: Effect.Effect<string>
  /** Waits until the peer has nothing of the connection any more: what it is sent then is answered with an RST. */
  readonly gone: Effect.Effect<void>
  /** Goes away with an RST. */
  readonly reset: Effect.Effect<void>
}

/** Connects. The socket stays half open when the peer ends its side: hostile peers don't say goodbye. */
export const tcp = (port: number): Effect.Effect<Tcp, never, Scope.Scope> =>
  Effect.gen(function* () {
    const socket = yield* Effect.acquireRelease(
      Effect.promise(async () => {
        const socket = Net.connect({ port, host: "127.0.0.1", allowHalfOpen: true })
        await once(socket, "connect")
        return socket
      }),
      (socket) => Effect.sync(() => socket.destroy())
    )
    let text = ""
    let over = false
    let closed = false
    const waiting = new Set<() => void>()
    const wake = (): void => {
      for (const look of waiting) look()
    }
    const end = (): void => {
      over = true
      wake()
    }
    socket.on("data", (data) => {
      text += data.toString("latin1")
      wake()
    })
    socket.on("end", end)
    socket.on("close", () => {
      closed = true
      end()
    })
    socket.on("error", end)
    const until = (done: () => boolean): Effect.Effect<string> =>
      Effect.async((resume) => {
        const look = (): void => {
          if (!done()) return
          waiting.delete(look)
          resume(Effect.succeed(text))
        }
        waiting.add(look)
        look()
        return Effect.sync(() => waiting.delete(look))
      })
    return {
      socket,
      write: (data) => Effect.async((resume) => void socket.write(data, () => resume(Effect.void))),
      received: (part) => until(() => text.includes(part)),
      ended: until(() => over),
      // Writing goes on until it fails: the first bytes may still be taken by a socket that is about to go.
      gone: Effect.suspend(() => {
        const poke = (): void => {
          if (!closed) socket.write("x", () => setImmediate(poke))
        }
        poke()
        return Effect.asVoid(until(() => closed))
      }),
      reset: Effect.sync(() => void socket.resetAndDestroy())
    }
  })

/** An upgrade request as a browser sends it; `headers` replace or (empty) remove its own. */
export const upgradeRequest = (
  headers: Readonly<Record<string, string>> = {},
  start = "GET / HTTP/1.1"
): string => {
  const all = {
    Host: "127.0.0.1",
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    ...headers
  }
  const lines = Object.entries(all).flatMap(([name, value]) => (value === "" ? [] : [`${name}: ${value}`]))
  return `${start}\r\n${lines.join("\r\n")}\r\n\r\n`
}

/** A client's frame, masked with zeros, so that its payload stays readable. */
export const clientFrame = (
  payload: string | Buffer,
  options: { readonly opcode?: number; readonly fin?: boolean; readonly claim?: number } = {}
): Buffer => {
  const body = Buffer.from(payload)
  const length = options.claim ?? body.length
  const head = (options.fin === false ? 0 : 0x80) | (options.opcode ?? 1)
  const size =
    length < 126
      ? Buffer.from([head, 0x80 | length])
      : length < 65_536
        ? Buffer.from([head, 0x80 | 126, length >> 8, length & 0xff])
        : Buffer.concat([Buffer.from([head, 0x80 | 127, 0, 0, 0, 0]), uint32(length)])
  return Buffer.concat([size, Buffer.alloc(4), body])
}

const uint32 = (value: number): Buffer => {
  const buffer = Buffer.alloc(4)
  buffer.writeUInt32BE(value)
  return buffer
}

/** The first request of a client, as text. */
export const connectRequest = (auth?: { readonly token: string }): string =>
  JSON.stringify({
    type: "req",
    id: "hello",
    method: "connect",
    params: {
      minProtocol: 4,
      maxProtocol: 4,
      client: { id: "test", version: "0", platform: "test", mode: "test" },
      ...(auth === undefined ? {} : { auth })
    }
  })

/** A server's close frame with that code, as the bytes on the wire begin; a reason may follow. */
export const closeCode = (code: number): string => String.fromCharCode(code >> 8, code & 0xff)
