/**
 * WebSocket close codes and reasons. An error for one request never closes the connection: these end it, and say
 * whether coming back makes sense.
 */

/** Why a connection ends. A reason holds at most 123 bytes of UTF-8 (RFC 6455, section 5.5). */
export interface Disconnect {
  readonly code: number
  readonly reason: string
}

export const normal: Disconnect = { code: 1000, reason: "" }
export const protocolMismatch: Disconnect = { code: 1002, reason: "protocol mismatch" }
export const slowConsumer: Disconnect = { code: 1008, reason: "slow consumer" }
export const handshakeTimeout: Disconnect = { code: 1008, reason: "handshake timeout" }
export const unauthorized: Disconnect = { code: 1008, reason: "unauthorized" }
/** The principal has as many connections as it may. */
export const tooManyConnections: Disconnect = { code: 1008, reason: "too many connections" }
/** What the client has logged in with is no longer good. */
export const accessRevoked: Disconnect = { code: 1008, reason: "access revoked" }
/** What it may do and see is something else by now: it comes back and is told. */
export const accessChanged: Disconnect = { code: 1012, reason: "access changed" }
export const tooBig: Disconnect = { code: 1009, reason: "frame too big" }
/** A fault of ours. */
export const internalError: Disconnect = { code: 1011, reason: "internal error" }
/** The service restarts: come back in a moment. */
export const serviceRestart: Disconnect = { code: 1012, reason: "service restart" }

/** A handshake that can't go on, with a reason cut to what a close frame holds. */
export const badHandshake = (reason: string): Disconnect => ({ code: 1008, reason: cut(reason, 123) })

/** Cuts a text to at most `bytes` bytes of UTF-8, between characters. */
export const cut = (text: string, bytes: number): string => {
  const encoded = new TextEncoder().encode(text)
  if (encoded.length <= bytes) return text
  let end = bytes
  // A byte 10xxxxxx goes on with a character: step back to where that one begins.
  while (end > 0 && ((encoded[end] ?? 0) & 0xc0) === 0x80) end--
  return new TextDecoder().decode(encoded.subarray(0, end))
}
