/** Frames that are hard to type. */
import * as GatewayConfig from "../../src/GatewayConfig.js"

/** The largest frame that is taken, in bytes. */
export const maxPayload = GatewayConfig.defaults.maxPayload

/** One inside the other, so many times. */
export const deep = (open: string, close: string, core = "", levels = 100_000): string =>
  open.repeat(levels) + core + close.repeat(levels)

/** A request of `health` that is exactly so many bytes long, most of them `filler`. */
export const padded = (id: string, bytes: number, filler = "x"): string => {
  const frame = (pad: string): string =>
    `{"type":"req","id":"${id}","method":"health","params":{"pad":"${pad}"}}`
  const room = bytes - Buffer.byteLength(frame(""))
  const width = Buffer.byteLength(filler)
  return frame(filler.repeat(Math.floor(room / width)) + "x".repeat(room % width))
}
