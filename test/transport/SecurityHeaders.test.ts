/** What answers say to browsers. */
import { describe, expect, it } from "@effect/vitest"
import { rawAnswer, securityHeaders } from "../../src/transport/SecurityHeaders.js"

describe("SecurityHeaders", () => {
  it("a page of ours may load nothing, be framed by nobody, be guessed as nothing else, be kept nowhere", () => {
    expect(securityHeaders["Content-Security-Policy"]).toBe(
      "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
    expect(securityHeaders).toMatchObject({
      "X-Content-Type-Options": "nosniff",
      "X-Frame-Options": "DENY",
      "Referrer-Policy": "no-referrer",
      "Cache-Control": "no-store"
    })
    expect(Object.keys(securityHeaders).filter((name) => /^access-control/i.test(name))).toEqual([])
  })

  it("a raw answer is whole: its status, all headers, its length in bytes, the end", () => {
    const answer = rawAnswer(426, "só", { "Sec-WebSocket-Version": "13" })
    const [head = "", body] = answer.split("\r\n\r\n")
    const [status, ...lines] = head.split("\r\n")
    expect(status).toBe("HTTP/1.1 426 Upgrade Required")
    expect(lines).toEqual(
      expect.arrayContaining([
        ...Object.entries(securityHeaders).map(([name, value]) => `${name}: ${value}`),
        "Content-Type: text/plain; charset=utf-8",
        "Content-Length: 4",
        "Connection: close",
        "Sec-WebSocket-Version: 13"
      ])
    )
    expect(body).toBe("só\n")
  })

  it.for([400, 403, 404, 405, 408, 426, 431, 503])("%s has its name", (status) => {
    expect(rawAnswer(status, "")).not.toContain(`${status} Error`)
  })
})
