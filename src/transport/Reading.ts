/**
 * Reading: whether a WebSocket is read from: while nobody holds it. Pausing the socket under it would not do: `ws` resumes that
 * by itself.
 */
import type { WebSocket } from "ws"

/** Who may hold it, as bits: there is one set of them for each connection. */
export const Holder = { door: 1, gateway: 2 } as const
export type Holder = (typeof Holder)[keyof typeof Holder]

export class Reading {
  readonly #socket: WebSocket
  #holders = 0

  constructor(socket: WebSocket) {
    this.#socket = socket
  }

  isHeldBy(holder: Holder): boolean {
    return (this.#holders & holder) !== 0
  }

  hold(holder: Holder): void {
    this.#holders |= holder
    this.#socket.pause()
  }

  release(holder: Holder): void {
    if (!this.isHeldBy(holder)) return
    this.#holders &= ~holder
    if (this.#holders === 0) this.#socket.resume()
  }
}
