/** A `Wire` for `TestClient.open` that is a real socket, of the `ws` package's client. */
import { Effect } from "effect"
import { WebSocket } from "ws"
import type { Wire, WireEvents } from "../../src/testing/TestClient.js"

/**
 * Connects. What the socket does is decided by the network; what the gateway does with it, by the test's clock.
 * `ca`: over TLS, the one certificate that is trusted.
 */
export const socketWire =
  (url: string, options: { readonly ca?: string } = {}) =>
  ({ onClose, onFrame }: WireEvents): Effect.Effect<Wire> =>
    Effect.async((resume) => {
      const socket = new WebSocket(url, { ...options, perMessageDeflate: false, skipUTF8Validation: false })
      socket.on("message", (data) => onFrame(Buffer.isBuffer(data) ? data.toString("utf8") : String(data)))
      socket.on("close", (code, reason) => onClose({ code, reason: reason.toString("utf8") }))
      socket.once("error", (error) => resume(Effect.die(error)))
      socket.once("open", () => {
        // Later errors end in `close`.
        socket.on("error", () => undefined)
        resume(
          Effect.succeed({
            send: (text) => socket.send(text ?? Buffer.from([0, 1, 2]), { binary: text === null }),
            cut: () => socket.terminate(),
            stall: () => socket.pause(),
            resume: () => socket.resume()
          })
        )
      })
    })
