/** Addresses of gateways: what is one, and what of them may be shown. */
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import * as Urls from "../../src/cli/Urls.js"

describe("Urls", () => {
  it.for<readonly [url: string, secret: boolean]>([
    ["ws://localhost:18789", false],
    ["ws://localhost:18789/ws?session=main", false],
    ["ws://localhost/?author=me&keyboard=de&monkey=1", false],
    ["ws://user@localhost", true],
    ["ws://:pw@localhost", true],
    ["ws://user:pw@localhost", true],
    ["wss://example.com/?token", true],
    ["wss://example.com/?a=b&Access_Token=x", true],
    ["wss://example.com/?TOKEN=x", true],
    ["wss://example.com/?auth.token=x", true],
    ["wss://example.com/?api-key=x", true],
    ["wss://example.com/?apikey=x", true],
    ["wss://example.com/?accessToken=x", true],
    ["wss://example.com/?auth%5Ftoken=x", true],
    ["wss://example.com/?passwords=x", true],
    ["wss://example.com/?jwt=x", true],
    ["wss://example.com/?a=b&secret=x", true],
    ["wss://example.com/?privateKey=x", true],
    ["wss://example.com/?token[]=x", true],
    ["wss://example.com/?password2=x", true],
    ["wss://example.com/?pwd=x", true],
    ["wss://example.com/?X-Signature=x", true],
    ["ws://localhost/?tokens_used=1&compass=n&passing=1&hockey=1", false]
  ])("%s has a secret: %s", ([url, secret]) => {
    expect(Option.map(Urls.parse(url), Urls.hasSecret)).toEqual(Option.some(secret))
  })

  it.for(["", "localhost:18789", "http://localhost", "ws://", "ws://localhost/#x", "javascript:0"])(
    "%s is no gateway's address",
    (url) => expect(Urls.parse(url)).toEqual(Option.none())
  )

  it.for<readonly [text: string, shown: string]>([
    ["localhost:18789", '"localhost:18789"'],
    ["http://localhost:18789", '"http://localhost:18789"'],
    ["http://[::1]:18789/chat", '"http://[::1]:18789…"'],
    ["ws://localhost:99999", '"ws://localhost:99999"'],
    ["ws://localhost/#sesame", '"ws://localhost…"'],
    ["https://example.com?token=sesame", '"https://example.com…"'],
    ["http://user:sesame@example.com", "something else"],
    ["http://user:12/sesame@example.com", "something else"],
    ["ws://localhost:sesame", "something else"],
    ["user:sesame@example.com", "something else"],
    ["sesame:1234@example.com", "something else"],
    ["token=sesame", "something else"],
    ["cq_sesame_sesame", "something else"],
    ["sesame", "something else"],
    ["", "something else"]
  ])("%s is quoted as %s", ([text, shown]) => {
    expect(Urls.shown(text)).toBe(shown)
  })

  it("a gateway on all addresses is reached on loopback", () => {
    expect(Urls.gateway("0.0.0.0", 1, false)).toBe("ws://127.0.0.1:1")
    expect(Urls.gateway("::", 1, true)).toBe("wss://[::1]:1")
    expect(Urls.gateway("2001:db8::1", 1, true)).toBe("wss://[2001:db8::1]:1")
    expect(Urls.gateway("chat.example.com", 1, true)).toBe("wss://chat.example.com:1")
  })
})
