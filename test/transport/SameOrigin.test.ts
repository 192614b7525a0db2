/** Which pages may connect, and under which names the gateway is reached. */
import { describe, expect, it } from "@effect/vitest"
import { FastCheck } from "effect"
import * as SameOrigin from "../../src/transport/SameOrigin.js"
import { incoming } from "../support/Incoming.js"

const rules = (some: Partial<SameOrigin.OriginRules> = {}): SameOrigin.OriginRules => ({
  isLoopback: true,
  isTls: false,
  allowedHosts: new Set(),
  allowedOrigins: new Set(),
  ...some
})
const loopback = rules()
const open = rules({ isLoopback: false })
const named = rules({ isLoopback: false, allowedHosts: new Set(["chat.example.com"]) })

describe("Host", () => {
  const statusOf = (host: string | undefined, by: SameOrigin.OriginRules) =>
    SameOrigin.refuseHost(incoming({ host }), by)?.status ?? 200

  it.for<readonly [host: string | undefined, loopback: number, open: number, named: number]>([
    ["localhost", 200, 200, 403],
    ["localhost:18789", 200, 200, 403],
    ["LocalHost:18789", 200, 200, 403],
    ["app.localhost", 200, 200, 403],
    ["127.0.0.1", 200, 200, 403],
    ["127.8.9.10:1", 200, 200, 403],
    ["[::1]", 200, 200, 403],
    ["[::1]:18789", 200, 200, 403],
    ["chat.example.com", 403, 200, 200],
    ["CHAT.example.COM:443", 403, 200, 200],
    // Names of others that begin or end like ours.
    ["localhost.evil.com", 403, 200, 403],
    ["127.0.0.1.evil.com", 403, 200, 403],
    ["evillocalhost", 403, 200, 403],
    ["evil.chat.example.com", 403, 200, 403],
    ["chat.example.com.evil.com", 403, 200, 403],
    ["127.0.0.1.", 403, 200, 403],
    ["localhost.", 403, 200, 403],
    ["chat.example.com.", 403, 200, 403],
    ["0.0.0.0", 403, 200, 403],
    ["[::]", 403, 200, 403],
    ["[::ffff:127.0.0.1]", 403, 200, 403],
    ["10.0.0.1", 403, 200, 403],
    ["2130706433", 403, 200, 403],
    // What can't be read.
    [undefined, 400, 400, 400],
    ["", 400, 400, 400],
    [":18789", 400, 400, 400],
    ["localhost:", 400, 400, 400],
    ["localhost:123456", 400, 400, 400],
    ["localhost:80:80", 400, 400, 400],
    ["localhost, evil.com", 400, 400, 400],
    ["localhost@evil.com", 400, 400, 400],
    ["user:pw@localhost", 400, 400, 400],
    ["localhost/", 400, 400, 400],
    ["localhost#@evil.com", 400, 400, 400],
    ["::1", 400, 400, 400],
    ["[::1", 400, 400, 400],
    ["[::1%lo]", 400, 400, 400],
    ["[localhost]", 400, 400, 400],
    ["localhost\u0000", 400, 400, 400],
    ["lоcalhost", 400, 400, 400]
  ])("%s", ([host, ...expected]) => {
    expect([loopback, open, named].map((by) => statusOf(host, by))).toEqual(expected)
  })

  it("two of them can't be read, even if they are the same", () => {
    for (const second of ["localhost", "evil.com"]) {
      const request = incoming({ host: "localhost" })
      request.rawHeaders.push("Host", "localhost", "hOST", second)
      expect(SameOrigin.refuseHost(request, loopback)?.status).toBe(400)
    }
  })

  it("a name that is allowed goes on loopback, too, and there the loopback names go on", () => {
    const both = rules({ allowedHosts: new Set(["chat.example.com"]) })
    expect(["chat.example.com", "localhost", "evil.com"].map((host) => statusOf(host, both))).toEqual([
      200, 200, 403
    ])
  })

  it("names nothing of the request in a 400, and the name and the setting in a 403", () => {
    expect(SameOrigin.refuseHost(incoming({ host: "<script>" }), loopback)?.text).not.toContain("script")
    expect(SameOrigin.refuseHost(incoming({ host: "Evil.com" }), loopback)?.text).toContain(
      "--allowed-hosts evil.com"
    )
  })

  it("whatever the header, on loopback only loopback names pass", () => {
    const anyHost = FastCheck.oneof(
      FastCheck.string(),
      FastCheck.domain(),
      FastCheck.ipV4(),
      FastCheck.ipV6().map((address) => `[${address}]`),
      FastCheck.tuple(
        FastCheck.constantFrom("localhost", "127.0.0.1", "[::1]", ""),
        FastCheck.string({ maxLength: 8 })
      ).map(([start, rest]) => start + rest)
    )
    FastCheck.assert(
      FastCheck.property(anyHost, (host) => {
        if (statusOf(host, loopback) !== 200) return
        const { hostname } = new URL(`http://${host.toLowerCase().replace(/:\d+$/, "")}`)
        expect(hostname).toMatch(/^(localhost|.*\.localhost|127\.\d+\.\d+\.\d+|\[::1\])$/)
      }),
      { numRuns: 2000 }
    )
  })
})

describe("Origin", () => {
  const passes = (
    origin: string | undefined,
    host: string,
    by: SameOrigin.OriginRules,
    isForwardedTls = false
  ) => SameOrigin.refuseOrigin(incoming({ origin, host }), by, isForwardedTls) === undefined

  it.for<readonly [origin: string | undefined, host: string, loopback: boolean]>([
    // No browser.
    [undefined, "localhost:18789", true],
    ["http://localhost:18789", "localhost:18789", true],
    ["http://LOCALHOST:18789", "localhost:18789", true],
    ["http://localhost:18789", "LOCALHOST:18789", true],
    ["http://127.0.0.1:18789", "127.0.0.1:18789", true],
    ["http://[::1]:18789", "[::1]:18789", true],
    ["http://[0:0:0:0:0:0:0:1]:18789", "[::1]:18789", true],
    ["http://app.localhost:18789", "app.localhost:18789", true],
    // Default ports.
    ["http://localhost", "localhost", true],
    ["http://localhost", "localhost:80", true],
    ["http://localhost:80", "localhost", true],
    ["http://localhost", "localhost:443", false],
    ["http://localhost", "localhost:18789", false],
    ["http://localhost:3000", "localhost:18789", false],
    // Another name is another origin, loopback or not.
    ["http://127.0.0.1:18789", "localhost:18789", false],
    ["http://[::1]:18789", "127.0.0.1:18789", false],
    ["http://evil.com", "localhost:18789", false],
    ["http://localhost.evil.com:18789", "localhost:18789", false],
    ["http://127.0.0.1.evil.com:18789", "127.0.0.1:18789", false],
    ["http://localhost.:18789", "localhost:18789", false],
    ["http://evil.com:18789", "evil.com:18789", false],
    // Another scheme is, too.
    ["https://localhost:18789", "localhost:18789", false],
    ["ws://localhost:18789", "localhost:18789", false],
    ["file://", "localhost", false],
    ["file://localhost", "localhost", false],
    ["chrome-extension://localhost", "localhost", false],
    // What hides where it is from, and what is no origin.
    ["null", "localhost:18789", false],
    ["", "localhost:18789", false],
    ["localhost:18789", "localhost:18789", false],
    ["*", "localhost:18789", false],
    // Hosts that make no origin must not be the same as no origin.
    ["null", "localhost:99999", false],
    ["", "localhost:99999", false],
    ["garbage", "127.0.0.999", false]
  ])("%s at %s on loopback: %s", ([origin, host, expected]) => {
    expect(passes(origin, host, loopback)).toBe(expected)
  })

  it.for<readonly [origin: string, host: string, open: boolean, named: boolean, tls: boolean]>([
    // An address can't be made to point elsewhere; a name can, unless a certificate or the owner vouches for it.
    ["http://192.0.2.1:18789", "192.0.2.1:18789", true, true, false],
    ["https://192.0.2.1:18789", "192.0.2.1:18789", false, false, true],
    ["http://[2001:db8::1]:18789", "[2001:db8::1]:18789", true, true, false],
    ["http://chat.example.com", "chat.example.com", false, true, false],
    ["https://chat.example.com", "chat.example.com", false, false, true],
    ["https://chat.example.com", "chat.example.com:443", false, false, true],
    ["https://chat.example.com:443", "chat.example.com", false, false, true],
    ["https://chat.example.com", "chat.example.com:80", false, false, false],
    ["http://evil.com", "evil.com", false, false, false],
    ["https://evil.com", "evil.com", false, false, true],
    ["https://evil.com", "chat.example.com", false, false, false],
    ["https://chat.example.com.evil.com", "chat.example.com", false, false, false],
    ["https://chat.example.com.", "chat.example.com", false, false, false],
    ["null", "chat.example.com", false, false, false],
    ["null", "chat.example.com:99999", false, false, false]
  ])("%s at %s: open %s, with that name allowed %s, with TLS %s", ([origin, host, ...expected]) => {
    const tls = rules({ isLoopback: false, isTls: true })
    expect([open, named, tls].map((by) => passes(origin, host, by))).toEqual(expected)
  })

  it("behind a proxy that speaks TLS its own origin begins with https", () => {
    const { allowedHosts } = named
    const behind = rules({ allowedHosts })
    expect(passes("https://chat.example.com", "chat.example.com", behind, true)).toBe(true)
    expect(passes("http://chat.example.com", "chat.example.com", behind, true)).toBe(false)
    expect(passes("https://evil.com", "evil.com", behind, true)).toBe(false)
  })

  it("origins that are configured, in any case, and no others that begin or end like them", () => {
    const by = rules({ allowedOrigins: new Set(["https://app.example.com", "tauri://localhost"]) })
    for (const [origin, expected] of [
      ["https://app.example.com", true],
      ["https://APP.example.com", true],
      ["tauri://localhost", true],
      ["http://app.example.com", false],
      ["https://app.example.com:8443", false],
      ["https://app.example.com.evil.com", false],
      ["https://evil.com#https://app.example.com", false],
      ["https://app.example.com.", false],
      ["null", false]
    ] as const)
      expect([origin, passes(origin, "localhost:18789", by)]).toEqual([origin, expected])
  })

  it("whatever the headers: what passes has the origin of the Host", () => {
    const word = FastCheck.oneof(
      FastCheck.constantFrom(
        "localhost",
        "127.0.0.1",
        "[::1]",
        "evil.com",
        "null",
        "",
        "a..b",
        "127.0.0.999"
      ),
      FastCheck.string({ maxLength: 12 })
    )
    const port = FastCheck.constantFrom("", ":80", ":443", ":18789", ":99999", ":")
    const scheme = FastCheck.constantFrom("http://", "https://", "ws://", "file://", "")
    FastCheck.assert(
      FastCheck.property(
        FastCheck.tuple(scheme, word, port),
        FastCheck.tuple(word, port),
        FastCheck.boolean(),
        (origin, host, isTls) => {
          if (!passes(origin.join(""), host.join(""), rules({ isLoopback: false, isTls }))) return
          const scheme = isTls ? "https" : "http"
          expect(new URL(origin.join("")).origin).toBe(new URL(`${scheme}://${host.join("")}`).origin)
        }
      ),
      { numRuns: 5000 }
    )
  })
})

describe("an origin as a setting", () => {
  it.for<readonly [text: string, origin: string | undefined]>([
    ["https://app.example.com", "https://app.example.com"],
    ["https://APP.example.com/", "https://app.example.com"],
    ["http://localhost:3000", "http://localhost:3000"],
    ["http://[::1]:3000", "http://[::1]:3000"],
    ["tauri://localhost", "tauri://localhost"],
    ["chrome-extension://abcdef", "chrome-extension://abcdef"],
    // Written as no browser writes it, it would never match.
    ["https://app.example.com:443", undefined],
    ["https://app.example.com/chat", undefined],
    ["https://user@app.example.com", undefined],
    ["https://app.example.com?", undefined],
    ["app.example.com", undefined],
    ["*", undefined],
    ["https://*", undefined],
    ["null", undefined],
    ["", undefined],
    ["https://", undefined],
    ["javascript:alert(1)", undefined]
  ])("%s", ([text, origin]) => {
    expect(SameOrigin.parseOrigin(text)).toBe(origin)
  })
})
