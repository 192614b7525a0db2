/** SocketSink: a WebSocket of the `ws` package as the gateway writes to it. */
import * as Net from "node:net"
import { WebSocket } from "ws"
import type { Sink } from "../event/Outbox.js"
import type { Disconnect } from "../protocol/CloseCode.js"
import { Holder, type Reading } from "./Reading.js"

export interface SinkOptions {
  readonly socket: WebSocket
  /** The socket that the system writes to: under TLS it is not the one of the WebSocket. */
  readonly tcp: Net.Socket | undefined
  readonly reading: Reading
  /** It has logged in. */
  readonly onAdmitted: () => void
  /** It was told goodbye. */
  readonly onClose: () => void
}

export const make = ({ onAdmitted, onClose, reading, socket, tcp }: SinkOptions): Sink => {
  const raw = rawSocket(socket)
  const lowest = tcp ?? raw
  let corked = false
  return {
    write: (frame) => {
      if (socket.readyState !== WebSocket.OPEN) return
      if (!corked && raw !== undefined) {
        // Frames written in one turn leave in one system call.
        corked = true
        raw.cork()
        process.nextTick(() => {
          corked = false
          raw.uncork()
        })
      }
      socket.send(frame, ignore)
    },
    buffered: () => socket.bufferedAmount,
    taken: () => (lowest === undefined ? 0 : takenBySystem(lowest)),
    close: ({ code, reason }: Disconnect) => {
      socket.close(code, reason)
      onClose()
    },
    pause: () => reading.hold(Holder.gateway),
    resume: () => reading.release(Holder.gateway),
    admitted: onAdmitted
  }
}

/** The text of a message: one string, copied out of the socket's buffer only once. */
export const text = (data: WebSocket.RawData): string =>
  Buffer.isBuffer(data)
    ? data.toString("utf8")
    : Array.isArray(data)
      ? Buffer.concat(data).toString("utf8")
      : Buffer.from(data).toString("utf8")

// The socket is closing, and `close` says so.
export const ignore = (): void => undefined

/** The TCP socket under a WebSocket. `ws` has no public way to it, and only it says when it has drained. */
export const rawSocket = (socket: WebSocket): Net.Socket | undefined =>
  "_socket" in socket && socket._socket instanceof Net.Socket ? socket._socket : undefined

/**
 * Bytes that the system has taken of what was written to a TCP socket: those of the write under way, too. Without these a reader
 * that is slow but alive would show no progress while one large frame trickles out; and a socket of TLS shows none of it, whatever
 * it is asked. Node's own socket timeout looks at the same numbers.
 */
const takenBySystem = (tcp: Net.Socket): number => {
  const handle: unknown = "_handle" in tcp ? tcp._handle : undefined
  return typeof handle === "object" &&
    handle !== null &&
    "bytesWritten" in handle &&
    typeof handle.bytesWritten === "number" &&
    "writeQueueSize" in handle &&
    typeof handle.writeQueueSize === "number"
    ? handle.bytesWritten - handle.writeQueueSize
    : tcp.bytesWritten - tcp.writableLength
}
