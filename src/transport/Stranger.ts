/**
 * Stranger: what a connection may send before it has logged in, counted on the TCP socket: `ws` would gather fragments and
 * answer pings first, and a frame that is still coming is in nobody's hands yet.
 */
import type * as Net from "node:net"
import { Duration } from "effect"
import type { WebSocket } from "ws"
import * as CloseCode from "../protocol/CloseCode.js"
import { Holder, type Reading } from "./Reading.js"

/** How long a connection that was told goodbye may keep its socket. */
const farewell = Duration.seconds(1)

/** Pieces in which that may come: byte by byte it would take a hundred times its size. */
const maxChunks = 1024

export interface StrangerOptions {
  readonly socket: WebSocket
  readonly reading: Reading
  /** The socket under it. */
  readonly raw: Net.Socket
  /** Bytes that it may send. */
  readonly maxBytes: number
  /** Has its first frame come, and is it being judged? Then what comes behind has time. */
  readonly isJudging: () => boolean
  /** It has sent too much, and is being closed: what was gathered of it must not log in any more. */
  readonly onTooMuch: () => void
}

export class Stranger {
  readonly #options: StrangerOptions
  #bytes = 0
  #chunks = 0
  #isAdmitted = false
  #isOver = false
  readonly #count = (chunk: Buffer): void => this.#take(chunk.length)

  constructor(options: StrangerOptions) {
    this.#options = options
    options.raw.on("data", this.#count)
  }

  /** It has logged in: it may say more. */
  admit(): void {
    this.#isAdmitted = true
    this.#options.raw.off("data", this.#count)
    this.#options.reading.release(Holder.door)
  }

  /** It was told goodbye. Who has never come in does not get long to answer that. */
  dismiss(): void {
    if (!this.#isAdmitted)
      setTimeout(() => this.#options.socket.terminate(), Duration.toMillis(farewell)).unref()
  }

  #take(bytes: number): void {
    this.#bytes += bytes
    this.#chunks += 1
    if (this.#bytes <= this.#options.maxBytes && this.#chunks <= maxChunks) return
    const { isJudging, onTooMuch, reading, socket } = this.#options
    reading.hold(Holder.door)
    if (this.#isOver) return
    this.#isOver = true
    if (isJudging()) return
    socket.close(CloseCode.tooBig.code)
    onTooMuch()
    this.dismiss()
  }
}
