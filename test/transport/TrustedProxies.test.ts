/** Whose word counts for where a request comes from. */
import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck } from "effect"
import * as TrustedProxies from "../../src/transport/TrustedProxies.js"
import { incoming } from "../support/Incoming.js"

const trusting = (...texts: ReadonlyArray<string>) => Either.getOrThrow(TrustedProxies.parse(texts))

describe("what can be trusted", () => {
  it.for<readonly [text: string, inside: ReadonlyArray<string>, outside: ReadonlyArray<string>]>([
    ["127.0.0.1", ["127.0.0.1", "::ffff:127.0.0.1", "::FFFF:127.0.0.1"], ["127.0.0.2", "::1", ""]],
    ["10.0.0.0/8", ["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"], ["9.255.255.255", "11.0.0.0"]],
    ["10.1.2.3/8", ["10.0.0.0", "10.255.255.255"], ["11.0.0.0"]],
    ["192.0.2.128/25", ["192.0.2.128", "192.0.2.255"], ["192.0.2.127", "192.0.3.0"]],
    ["192.0.2.1/32", ["192.0.2.1"], ["192.0.2.0", "192.0.2.2"]],
    ["0.0.0.0/0", ["0.0.0.0", "255.255.255.255"], ["2001:db8::1"]],
    ["::1", ["::1", "0:0:0:0:0:0:0:1"], ["::2", "127.0.0.1"]],
    ["2001:db8::/64", ["2001:db8::", "2001:DB8::ffff:ffff:ffff:ffff"], ["2001:db8:0:1::", "2001:db7::"]],
    ["fd00::/8", ["fd00::1", "fdff::1"], ["fc00::1", "fe80::1"]]
  ])("%s", ([text, inside, outside]) => {
    const { trusts } = trusting(text)
    expect(inside.filter((address) => !trusts(address))).toEqual([])
    expect(outside.filter(trusts)).toEqual([])
  })

  it.for([
    "",
    "localhost",
    "10.0.0.0/33",
    "10.0.0.0/",
    "10.0.0.0/-1",
    "10.0.0.0/8/8",
    "10.0.0/8",
    "10.0.0.0/255.0.0.0",
    "2001:db8::/129",
    "[::1]",
    "*",
    " 10.0.0.1",
    "10.0.0.1:80"
  ])("%s is refused by its text", (text) => {
    expect(TrustedProxies.parse(["127.0.0.1", text])).toMatchObject({ left: { _tag: "InvalidProxy", text } })
  })

  it("a range holds exactly the addresses with its first bits", () => {
    const bits = (address: string) => address.split(".").reduce((sum, byte) => sum * 256 + Number(byte), 0)
    FastCheck.assert(
      FastCheck.property(
        FastCheck.ipV4(),
        FastCheck.ipV4(),
        FastCheck.integer({ min: 0, max: 32 }),
        (one, other, prefix) => {
          const size = 2 ** (32 - prefix)
          const isSame = Math.floor(bits(one) / size) === Math.floor(bits(other) / size)
          expect(trusting(`${one}/${prefix}`).trusts(other)).toBe(isSame)
        }
      )
    )
  })
})

describe("who is there", () => {
  const proxies = trusting("127.0.0.1", "::1", "10.0.0.0/8", "2001:db8:0:1::/64")
  const peerOf = (forwarded: string | undefined, from = "127.0.0.1", by = proxies) =>
    TrustedProxies.peerOf(incoming({ "x-forwarded-for": forwarded }, from), by)

  it.for<readonly [forwarded: string, address: string]>([
    ["203.0.113.7", "203.0.113.7"],
    ["  203.0.113.7  ", "203.0.113.7"],
    ["203.0.113.7, 10.0.0.2", "203.0.113.7"],
    ["203.0.113.7, 10.0.0.2, 10.0.0.3, 127.0.0.1", "203.0.113.7"],
    ["203.0.113.7,2001:db8:0:1::9", "203.0.113.7"],
    // What the client wrote itself, before the proxy added the truth.
    ["127.0.0.1, 203.0.113.7", "203.0.113.7"],
    ["198.51.100.1, 203.0.113.7, 10.0.0.2", "203.0.113.7"],
    ["garbage, 203.0.113.7", "203.0.113.7"],
    [", , 203.0.113.7", "203.0.113.7"],
    ["2001:db8::1", "2001:db8::1"],
    ["[2001:db8::1]", "2001:db8::1"],
    ["[2001:db8::1]:4711", "2001:db8::1"],
    ["203.0.113.7:4711", "203.0.113.7"],
    ["::ffff:203.0.113.7", "203.0.113.7"],
    ["2001:db8:0:2::1, 2001:db8:0:1::1", "2001:db8:0:2::1"],
    // Nobody is named, or it can't be read: it is the proxy's own.
    ["", "127.0.0.1"],
    ["unknown", "127.0.0.1"],
    ["203.0.113.7, unknown", "127.0.0.1"],
    ["203.0.113.7,", "127.0.0.1"],
    ["_hidden", "127.0.0.1"],
    ["203.0.113", "127.0.0.1"],
    ["203.0.113.7:", "127.0.0.1"],
    ["10.0.0.2, 10.0.0.3", "127.0.0.1"]
  ])("a proxy on loopback names %s", ([forwarded, address]) => {
    expect(peerOf(forwarded)).toEqual({ address, isLocal: false })
  })

  it("from anybody else the header is only a sign that something stands in between", () => {
    expect(peerOf("203.0.113.7", "198.51.100.1")).toEqual({ address: "198.51.100.1", isLocal: false })
    expect(peerOf("203.0.113.7", "127.0.0.1", TrustedProxies.none)).toEqual({
      address: "127.0.0.1",
      isLocal: false
    })
    expect(peerOf(undefined, "::ffff:198.51.100.1")).toEqual({ address: "198.51.100.1", isLocal: false })
  })

  it("local is who comes from loopback, straight", () => {
    for (const address of ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"])
      expect(peerOf(undefined, address).isLocal).toBe(true)
    for (const name of ["x-forwarded-for", "forwarded", "x-real-ip", "via"])
      expect(TrustedProxies.peerOf(incoming({ [name]: "" }), proxies).isLocal).toBe(false)
    expect(peerOf("127.0.0.1").isLocal).toBe(false)
    expect(TrustedProxies.peerOf(incoming({}, ""), proxies)).toEqual({ address: "", isLocal: false })
  })

  it("whatever stands left of the trusted ones changes nothing", () => {
    const trusted = FastCheck.constantFrom("10.0.0.2", "10.9.9.9", "::1", "2001:db8:0:1::5")
    const spoofed = FastCheck.oneof(FastCheck.string({ maxLength: 40 }), FastCheck.ipV4(), trusted)
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(spoofed, { maxLength: 5 }),
        FastCheck.array(trusted, { maxLength: 4 }),
        (before, behind) => {
          expect(peerOf([...before, "203.0.113.7", ...behind].join(", ")).address).toBe("203.0.113.7")
        }
      )
    )
  })
})

describe("TLS in front of the proxy", () => {
  it("counts when a trusted proxy says so", () => {
    const proxies = trusting("127.0.0.1")
    const says = (proto: string | undefined, from: string) =>
      TrustedProxies.isForwardedTls(incoming({ "x-forwarded-proto": proto }, from), proxies)
    expect(says("https", "127.0.0.1")).toBe(true)
    expect(says("https", "::ffff:127.0.0.1")).toBe(true)
    expect(says("https", "198.51.100.1")).toBe(false)
    for (const proto of ["http", "", "https, http", undefined]) expect(says(proto, "127.0.0.1")).toBe(false)
  })
})
