/**
 * TrustedProxies: where a request really comes from. A header that names the client's address counts only when the socket's
 * other end is a proxy that is trusted: anybody else could write any address there.
 */
import type { IncomingMessage } from "node:http"
import { BlockList, isIP } from "node:net"
import { Either, Schema } from "effect"
import type { Peer } from "../domain/Peer.js"

/** A text that is neither an IP address nor a range of them. */
export class InvalidProxy extends Schema.TaggedError<InvalidProxy>()("InvalidProxy", {
  text: Schema.String
}) {}

export interface TrustedProxies {
  readonly trusts: (address: string) => boolean
}

/** Reads addresses (`127.0.0.1`, `::1`) and ranges (`10.0.0.0/8`). */
export const parse = (texts: ReadonlyArray<string>): Either.Either<TrustedProxies, InvalidProxy> => {
  const list = new BlockList()
  for (const text of texts) if (!add(list, text)) return Either.left(new InvalidProxy({ text }))
  return Either.right({
    trusts: (address) => {
      const plain = unmapped(address)
      const family = isIP(plain)
      return family !== 0 && list.check(plain, family === 6 ? "ipv6" : "ipv4")
    }
  })
}

export const none: TrustedProxies = { trusts: () => false }

const add = (list: BlockList, text: string): boolean => {
  const [address = "", prefix, ...more] = text.split("/")
  const family = isIP(address)
  if (family === 0 || more.length > 0) return false
  const type = family === 6 ? "ipv6" : "ipv4"
  if (prefix === undefined) {
    list.addAddress(address, type)
    return true
  }
  if (!/^\d{1,3}$/.test(prefix) || Number(prefix) > (family === 6 ? 128 : 32)) return false
  list.addSubnet(address, Number(prefix), type)
  return true
}

/** An IPv4 address that came over an IPv6 socket. */
const unmapped = (address: string): string =>
  address.toLowerCase().startsWith("::ffff:") && isIP(address.slice(7)) === 4 ? address.slice(7) : address

const isLoopback = (address: string): boolean => address === "::1" || address.startsWith("127.")

/** What of a request says that something stands in between. */
const forwardingHeaders = ["x-forwarded-for", "forwarded", "x-real-ip", "via"]

/**
 * Who is there. Behind a trusted proxy it is the last address of `X-Forwarded-For` that is not one of a trusted proxy: what
 * stands before it the client could have written itself. A header that can't be read: the proxy itself.
 */
export const peerOf = (request: IncomingMessage, proxies: TrustedProxies): Peer => {
  const socket = unmapped(request.socket.remoteAddress ?? "")
  const isForwarded = forwardingHeaders.some((name) => request.headers[name] !== undefined)
  return {
    address: proxies.trusts(socket) ? (clientOf(request, proxies) ?? socket) : socket,
    isLocal: isLoopback(socket) && !isForwarded
  }
}

const clientOf = (request: IncomingMessage, proxies: TrustedProxies): string | undefined => {
  const header = request.headers["x-forwarded-for"]
  const named = (Array.isArray(header) ? header.join(",") : (header ?? "")).split(",")
  for (const text of named.toReversed()) {
    const address = unmapped(withoutPort(text.trim()))
    if (isIP(address) === 0) return undefined
    if (!proxies.trusts(address)) return address
  }
  return undefined
}

/** Some proxies add the client's port; an IPv6 address then stands in brackets. */
const withoutPort = (text: string): string =>
  text.replace(/^\[(.*)\](:\d+)?$/, "$1").replace(/^([\d.]+):\d+$/, "$1")

/** Did the client come over TLS, as far as a trusted proxy says? */
export const isForwardedTls = (request: IncomingMessage, proxies: TrustedProxies): boolean => {
  const header = request.headers["x-forwarded-proto"]
  return header === "https" && proxies.trusts(unmapped(request.socket.remoteAddress ?? ""))
}
