/** Where a request comes from, by its socket and its headers. */
import { IncomingMessage } from "node:http"
import { Socket } from "node:net"
import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import * as TrustedProxies from "../../src/transport/TrustedProxies.js"

const parsed = (...texts: ReadonlyArray<string>) => Either.getOrThrow(TrustedProxies.parse(texts))

/** A request over a socket whose other end has this address. */
const request = (address: string, headers: Readonly<Record<string, string>>): IncomingMessage => {
  const socket = new Socket()
  Object.defineProperty(socket, "remoteAddress", { value: address })
  const made = new IncomingMessage(socket)
  Object.assign(made.headers, headers)
  return made
}

describe("trusted proxies", () => {
  it.each([
    ["10.0.0.0/8", "10.255.0.1", true],
    ["10.0.0.0/8", "11.0.0.1", false],
    ["10.0.0.0/8", "::ffff:10.1.2.3", true],
    ["192.0.2.1", "192.0.2.1", true],
    ["192.0.2.1", "192.0.2.2", false],
    ["0.0.0.0/0", "203.0.113.9", true],
    ["0.0.0.0/0", "2001:db8::1", false],
    ["2001:db8::/32", "2001:db8:ffff::1", true],
    ["2001:db8::/32", "2001:db9::1", false],
    ["::1", "::1", true],
    ["::1", "0:0:0:0:0:0:0:1", true],
    ["127.0.0.1", "", false],
    ["127.0.0.1", "localhost", false]
  ])("%s, a socket of %j: %s", (range, address, is) => {
    expect(parsed(range).trusts(address)).toBe(is)
  })

  it.each([
    "",
    "localhost",
    "10.0.0.0/33",
    "10.0.0.0/",
    "10.0.0/8",
    "10.0.0.0/8/8",
    "::/129",
    "::/-1",
    "10.0.0.0/ 8",
    "*"
  ])("%j is none", (text) => {
    const result = TrustedProxies.parse(["127.0.0.1", text])
    expect(Either.isLeft(result) && result.left.text).toBe(text)
  })
})

describe("the client's address", () => {
  const proxies = parsed("127.0.0.1", "10.0.0.0/8", "2001:db8:1::/48")

  it.each<readonly [socket: string, header: string | undefined, address: string]>([
    ["127.0.0.1", "203.0.113.1", "203.0.113.1"],
    ["::ffff:127.0.0.1", "203.0.113.1", "203.0.113.1"],
    // What stands before the client's address it has written itself.
    ["127.0.0.1", "198.51.100.1, 203.0.113.1", "203.0.113.1"],
    ["127.0.0.1", "198.51.100.1,203.0.113.1 , 10.1.1.1,10.2.2.2", "203.0.113.1"],
    ["127.0.0.1", "nonsense, 203.0.113.1", "203.0.113.1"],
    ["127.0.0.1", "2001:db8:2::1, 2001:db8:1::1", "2001:db8:2::1"],
    ["127.0.0.1", "[2001:db8:2::1]:443", "2001:db8:2::1"],
    ["127.0.0.1", "::ffff:203.0.113.1", "203.0.113.1"],
    // Nobody is named, or nobody that can be read: it is the proxy.
    ["127.0.0.1", undefined, "127.0.0.1"],
    ["127.0.0.1", "", "127.0.0.1"],
    ["127.0.0.1", "10.1.1.1", "127.0.0.1"],
    ["127.0.0.1", "203.0.113.1, nonsense", "127.0.0.1"],
    ["127.0.0.1", "203.0.113.1, unknown", "127.0.0.1"],
    ["127.0.0.1", "203.0.113.1,", "127.0.0.1"],
    // Who is not trusted names nobody.
    ["192.0.2.1", "203.0.113.1", "192.0.2.1"],
    ["::1", "203.0.113.1", "::1"]
  ])("a socket of %j, X-Forwarded-For %j: %j", (socket, header, address) => {
    const made = request(socket, header === undefined ? {} : { "x-forwarded-for": header })
    expect(TrustedProxies.peerOf(made, proxies).address).toBe(address)
  })

  it.each<readonly [socket: string, headers: Readonly<Record<string, string>>, isLocal: boolean]>([
    ["127.0.0.1", {}, true],
    ["127.9.9.9", {}, true],
    ["::1", {}, true],
    ["::ffff:127.0.0.1", {}, true],
    ["192.0.2.1", {}, false],
    ["", {}, false],
    ["127.0.0.1", { "x-forwarded-for": "127.0.0.1" }, false],
    ["127.0.0.1", { "x-forwarded-for": "" }, false],
    ["127.0.0.1", { "x-real-ip": "127.0.0.1" }, false],
    ["127.0.0.1", { forwarded: "for=127.0.0.1" }, false],
    ["127.0.0.1", { via: "1.1 proxy" }, false]
  ])("a socket of %j with %j is local: %s", (socket, headers, isLocal) => {
    // Whether or not the proxy is trusted.
    for (const trusted of [proxies, TrustedProxies.none]) {
      expect(TrustedProxies.peerOf(request(socket, headers), trusted).isLocal).toBe(isLocal)
    }
  })

  it.each([
    ["127.0.0.1", "https", true],
    ["127.0.0.1", "http", false],
    ["127.0.0.1", "http, https", false],
    ["192.0.2.1", "https", false]
  ])("a socket of %j, X-Forwarded-Proto %j: over TLS: %s", (socket, proto, is) => {
    expect(TrustedProxies.isForwardedTls(request(socket, { "x-forwarded-proto": proto }), proxies)).toBe(is)
  })
})
