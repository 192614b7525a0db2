/** What a connection may send before it has logged in. */
import * as Net from "node:net"
import { describe, expect, it } from "@effect/vitest"
import { Stranger } from "../../src/transport/Stranger.js"

/** A stranger on a socket that leads nowhere; `send` is what arrives of it. */
const stranger = (options: { readonly isJudging?: boolean } = {}) => {
  const raw = new Net.Socket()
  const closes: Array<number | undefined> = []
  const socket = { close: (code?: number) => void closes.push(code), isPaused: false, terminate: () => {} }
  const made = new Stranger({ socket, raw, maxBytes: 100, isJudging: () => options.isJudging ?? false })
  return { closes, made, raw, send: (bytes: number) => raw.emit("data", Buffer.alloc(bytes)), socket }
}

describe("Stranger", () => {
  it("as many bytes as may be, and not one more", () => {
    const { closes, raw, send } = stranger()
    send(60)
    send(40)
    expect([closes, raw.isPaused()]).toEqual([[], false])
    send(1)
    expect([closes, raw.isPaused()]).toEqual([[1009], true])
    send(1000)
    expect(closes).toEqual([1009])
  })

  it("while its first frame is judged it is only held back, and read from again when it is in", () => {
    const { closes, made, raw, send } = stranger({ isJudging: true })
    send(101)
    // Whoever resumes it for another reason does not let it go on.
    raw.resume()
    send(1)
    expect([closes, raw.isPaused()]).toEqual([[], true])
    made.admit()
    expect(raw.isPaused()).toBe(false)
    send(1000)
    expect([closes, raw.isPaused()]).toEqual([[], false])
  })

  it("one that the gateway has paused stays so when it is in", () => {
    const { made, raw, send, socket } = stranger({ isJudging: true })
    send(101)
    socket.isPaused = true
    made.admit()
    expect(raw.isPaused()).toBe(true)
  })
})
