/** A `Wire` for `TestClient.open` over TLS. */
import { Effect } from "effect"
import { WebSocket } from "ws"
import type { Wire, WireEvents } from "../../src/testing/TestClient.js"

/** `ca`: the one certificate that is trusted. */
export const secureWire =
  (url: string, ca: string) =>
  ({ onClose, onFrame }: WireEvents): Effect.Effect<Wire> =>
    Effect.async((resume) => {
      const socket = new WebSocket(url, { ca, perMessageDeflate: false })
      socket.on("message", (data) => onFrame(String(data)))
      socket.on("close", (code, reason) => onClose({ code, reason: reason.toString("utf8") }))
      socket.on("error", (error) => resume(Effect.die(error)))
      socket.once("open", () =>
        resume(
          Effect.succeed({
            send: (text) => socket.send(text ?? Buffer.from([0, 1, 2])),
            cut: () => socket.terminate(),
            stall: () => socket.pause(),
            resume: () => socket.resume()
          })
        )
      )
    })
