/** Who may knock, over real sockets: browsers of other sites, names that were made to point here, and those who only stand there. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, TestClock } from "effect"
import { securityHeaders } from "../../src/transport/SecurityHeaders.js"
import * as TrustedProxies from "../../src/transport/TrustedProxies.js"
import * as WebSocketTransport from "../../src/transport/WebSocketTransport.js"
import * as Harness from "../support/Harness.js"
import { clientFrame, closeCode, connectRequest, tcp, upgradeRequest } from "../support/RawSocket.js"
import { shared } from "../support/Shared.js"

const port = Effect.map(WebSocketTransport.Address, (address) => address.port)
const peer = Effect.flatMap(port, tcp)
const connectFrame = (token?: string) =>
  clientFrame(connectRequest(token === undefined ? undefined : { token }))

/** What an upgrade, or any request, is answered with: the first line, and all. */
const answerTo = (request: string) =>
  Effect.gen(function* () {
    const raw = yield* peer
    yield* raw.write(request)
    const text = yield* raw.received("\r\n\r\n")
    return { status: Number(text.slice(9, 12)), text }
  }).pipe(Effect.scoped)

const expectHeaders = (text: string) => {
  for (const [name, value] of Object.entries(securityHeaders)) expect(text).toContain(`${name}: ${value}\r\n`)
  const [head = ""] = text.split("\r\n\r\n")
  expect(head).not.toMatch(/^(Access-Control-|Server:|X-Powered-By:|Set-Cookie:)/im)
}

describe("origins and hosts", () => {
  const run = shared(
    Harness.socket({
      listen: {
        allowedOrigins: ["https://App.example.com"],
        allowedHosts: ["Chat.example.com"],
        trustedProxies: TrustedProxies.none
      }
    })
  )

  it.for<readonly [host: string, origin: string, status: number]>([
    ["localhost:1", "", 101],
    ["localhost:1", "http://localhost:1", 101],
    ["LOCALHOST:1", "http://localhost:1", 101],
    ["127.0.0.1", "http://127.0.0.1", 101],
    ["127.0.0.1:80", "http://127.0.0.1", 101],
    ["[::1]:5", "http://[::1]:5", 101],
    ["app.localhost:5", "http://app.localhost:5", 101],
    ["chat.example.com", "http://chat.example.com", 101],
    ["chat.example.com:444", "", 101],
    ["localhost", "https://app.example.com", 101],
    ["localhost:1", "http://localhost:2", 403],
    ["localhost:1", "https://localhost:1", 403],
    ["localhost:1", "http://evil.example", 403],
    ["localhost", "null", 403],
    ["localhost", "http://app.example.com", 403],
    ["localhost", "https://app.example.com.evil.example", 403],
    ["localhost", "file://", 403],
    ["localhost", "chrome-extension://abc", 403],
    ["localhost", "http://localhost.evil.example", 403],
    ["evil.example", "", 403],
    ["evil.example", "http://evil.example", 403],
    ["localhost.evil.example", "", 403],
    ["127.0.0.1.evil.example", "", 403],
    ["127.1", "", 403],
    ["0.0.0.0", "", 403],
    ["localhost.", "", 403],
    ["a b", "", 400],
    ["", "", 400]
  ])("Host %j, Origin %j: %d", ([host, origin, status]) =>
    run(
      Effect.gen(function* () {
        const answer = yield* answerTo(upgradeRequest({ Host: host, Origin: origin }))
        expect(answer.status).toBe(status)
        if (status === 101) return
        expectHeaders(answer.text)
        // Plain HTTP asks for the same name; of where its pages come from, the browser takes care.
        const get = `GET / HTTP/1.1\r\n${host === "" ? "" : `Host: ${host}\r\n`}\r\n`
        const plain = yield* answerTo(get)
        expect(plain.status).toBe(/^localhost(:1)?$/.test(host) ? 200 : status)
        expectHeaders(plain.text)
      })
    )
  )

  it.for<readonly [name: string, request: string, status: number]>([
    ["what there is", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 200],
    ["what there is not", "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n", 404],
    ["a method that there is not", "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx", 405],
    ["no HTTP", "hello\r\n\r\n", 400],
    ["the head of it", "HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n", 200],
    ["a preflight", "OPTIONS / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\r\n", 405],
    ["an expectation", "POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 42\r\nContent-Length: 1\r\n\r\n", 405],
    ["two lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400],
    ["two names", "GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400],
    ["HTTP of long ago", "GET / HTTP/1.0\r\n\r\n", 400],
    ["an upgrade by POST", upgradeRequest({ Host: "localhost" }, "POST / HTTP/1.1"), 405],
    ["an upgrade to something else", upgradeRequest({ Host: "localhost", Upgrade: "h2c" }), 400],
    ["too many headers", `GET / HTTP/1.1\r\nHost: x\r\n${"A: b\r\n".repeat(20_000)}\r\n`, 431],
    ["an upgrade without a key", upgradeRequest({ Host: "localhost", "Sec-WebSocket-Key": "" }), 400],
    ["another version", upgradeRequest({ Host: "localhost", "Sec-WebSocket-Version": "7" }), 426]
  ])("%s has the headers, too", ([, request, status]) =>
    run(
      Effect.gen(function* () {
        const answer = yield* answerTo(request)
        expect(answer.status).toBe(status)
        expectHeaders(answer.text)
      })
    )
  )

  it("of two Origins none counts", () =>
    run(
      Effect.gen(function* () {
        for (const origins of [
          ["https://app.example.com", "http://evil.example"],
          ["http://evil.example", "https://app.example.com"]
        ]) {
          const answer = yield* answerTo(upgradeRequest({ Origin: origins.join("\r\nOrigin: ") }))
          expect(answer.status).toBe(403)
        }
      })
    ))

  it("a refused request keeps no socket, however much was to follow", () =>
    run(
      Effect.gen(function* () {
        const raw = yield* peer
        yield* raw.write("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nx")
        expect(yield* raw.ended).toContain("Connection: close")
        yield* raw.gone
      })
    ))

  it("compression that is offered is not taken, and a frame that is compressed is refused", () =>
    run(
      Effect.gen(function* () {
        const raw = yield* peer
        yield* raw.write(upgradeRequest({ "Sec-WebSocket-Extensions": "permessage-deflate" }))
        expect(yield* raw.received("connect.challenge")).not.toContain("permessage-deflate")
        const bomb = clientFrame("\x00\x00\xff\xff")
        bomb[0] = 0xc1
        yield* raw.write(bomb)
        expect((yield* raw.ended).endsWith("\x88\x02\x03\xea")).toBe(true)
      })
    ))
})

describe("tokens", () => {
  const run = shared(Harness.socket({ token: "right" }))

  it.for<readonly [where: string, request: string]>([
    ["in an address", upgradeRequest({}, "GET /?token=right&auth=right HTTP/1.1")],
    ["in a path", upgradeRequest({}, "GET /right HTTP/1.1")],
    [
      "in headers",
      upgradeRequest({
        Authorization: "Bearer right",
        Cookie: "token=right",
        "Sec-WebSocket-Protocol": "right"
      })
    ]
  ])("%s are worth nothing", ([, request]) =>
    run(
      Effect.gen(function* () {
        const raw = yield* peer
        yield* raw.write(request)
        yield* raw.received("connect.challenge")
        yield* raw.write(connectFrame())
        yield* raw.received("unauthorized: token missing")
      })
    )
  )
})

describe("behind proxies", () => {
  const tryFrom = (address: string, token: string) =>
    Effect.gen(function* () {
      const raw = yield* peer
      yield* raw.write(upgradeRequest({ "X-Forwarded-For": address }))
      yield* raw.received("connect.challenge")
      yield* raw.write(connectFrame(token))
      const text = yield* raw.received('"id":"hello"')
      return /AUTH_[A-Z_]+|hello-ok/.exec(text)?.[0]
    }).pipe(Effect.scoped)
  const guess = (address: string) =>
    Effect.replicateEffect(tryFrom(address, `cq_abcdefghijkl_${"x".repeat(43)}`), 10)

  describe("that are trusted", () => {
    const run = shared(
      Harness.socket({
        token: "right",
        listen: {
          allowedHosts: ["chat.example.com"],
          trustedProxies: Either.getOrThrow(TrustedProxies.parse(["127.0.0.1", "10.0.0.0/8"]))
        }
      })
    )

    it("failed logins count for the client's address, whatever it writes before that", () =>
      run(
        Effect.gen(function* () {
          yield* guess("198.51.100.7, 203.0.113.1, 10.1.2.3")
          expect(yield* tryFrom("203.0.113.1", "right")).toBe("AUTH_RATE_LIMITED")
          expect(yield* tryFrom("198.51.100.7", "right")).toBe("hello-ok")
        })
      ))

    it("their TLS counts: the page's own Origin begins with https", () =>
      run(
        Effect.gen(function* () {
          const own = { Host: "chat.example.com", Origin: "https://chat.example.com" }
          const over = { "X-Forwarded-Proto": "https" }
          const foreign = { Origin: "https://evil.example" }
          const answers = yield* Effect.forEach(
            [own, { ...own, ...over }, { ...own, ...over, ...foreign }],
            (headers) => answerTo(upgradeRequest(headers))
          )
          expect(answers.map(({ status }) => status)).toEqual([403, 101, 403])
        })
      ))
  })

  describe("that are not", () => {
    const run = shared(Harness.socket({ token: "right" }))

    it("the header counts for nothing", () =>
      run(
        Effect.gen(function* () {
          yield* guess("203.0.113.1")
          expect(yield* tryFrom("203.0.113.2", "right")).toBe("AUTH_RATE_LIMITED")
        })
      ))
  })
})

describe("before the login", () => {
  const run = shared(
    Harness.socket({ listen: { maxUnauthenticated: 400, maxUnauthenticatedPerAddress: 300 } })
  )
  const status = Effect.gen(function* () {
    const client = yield* (yield* Harness.Door).open
    yield* client.connect()
    return client
  })
  const upgraded = Effect.gen(function* () {
    const raw = yield* peer
    yield* raw.write(upgradeRequest())
    yield* raw.received("connect.challenge")
    return raw
  })
  /** 1009, or what `ws` says of too many fragments. */
  const tooMuch = [1009, 1008].map(closeCode)

  it.for<readonly [name: string, bytes: Buffer]>([
    ["a frame", clientFrame("x".repeat(70_000))],
    ["the beginning of a frame", clientFrame("x".repeat(70_000), { claim: 400_000 })],
    [
      "fragments",
      Buffer.concat([
        clientFrame("{", { fin: false }),
        ...Array.from({ length: 70 }, () => clientFrame("x".repeat(1000), { opcode: 0, fin: false }))
      ])
    ],
    [
      // Each of these would cost a hundred bytes until its message is whole.
      "a thousand fragments of one byte",
      Buffer.concat([
        clientFrame("{", { fin: false }),
        ...Array.from({ length: 1000 }, () => clientFrame("x", { opcode: 0, fin: false }))
      ])
    ],
    [
      "fragments of nothing",
      Buffer.concat([
        clientFrame("{", { fin: false }),
        ...Array.from({ length: 12_000 }, () => clientFrame("", { opcode: 0, fin: false }))
      ])
    ],
    ["pings", Buffer.concat(Array.from({ length: 700 }, () => clientFrame("x".repeat(100), { opcode: 9 })))]
  ])("more than 64 KiB ends it: %s", ([, bytes]) =>
    run(
      Effect.gen(function* () {
        const raw = yield* upgraded
        yield* raw.write(bytes)
        const text = yield* raw.ended
        expect(tooMuch.some((code) => text.includes(code))).toBe(true)
      })
    )
  )

  it("a login in a frame of nearly 64 KiB is one", () =>
    run(
      Effect.gen(function* () {
        const raw = yield* upgraded
        const params = {
          minProtocol: 4,
          maxProtocol: 4,
          client: { id: "test", version: "0", platform: "test", mode: "test" },
          pathEnv: "x".repeat(64_000)
        }
        yield* raw.write(clientFrame(JSON.stringify({ type: "req", id: "c", method: "connect", params })))
        yield* raw.received("hello-ok")
        // Behind it, frames may be larger.
        yield* raw.write(
          clientFrame(
            JSON.stringify({ type: "req", id: "big", method: "health", params: { x: "x".repeat(300_000) } })
          )
        )
        yield* raw.received('"id":"big","ok":true')
      })
    ))

  it.for([1, 2, 3, 4, 5])(
    "a thousand connections that never log in push out each other, and nobody else (%d)",
    () =>
      run(
        Effect.gen(function* () {
          const client = yield* status
          yield* Effect.forEach(
            Array.from({ length: 1000 }, (_, at) => at),
            (at) => Effect.flatMap(peer, (raw) => (at % 2 === 0 ? Effect.void : raw.write(upgradeRequest()))),
            { concurrency: "unbounded" }
          )
          const { payload } = yield* client.request("status")
          // Its own, and no more than may stand there.
          expect((payload as { readonly connections: number }).connections).toBeLessThanOrEqual(310)
          expect(yield* Effect.flatMap(status, (another) => another.request("health"))).toMatchObject({
            ok: true
          })
          expect(yield* client.request("health")).toMatchObject({ ok: true })
        })
      )
  )

  it("and those that are left go when their time is over", () =>
    run(
      Effect.gen(function* () {
        const raw = yield* upgraded
        yield* TestClock.adjust("10 seconds")
        yield* raw.received("handshake timeout")
        const client = yield* status
        const { payload } = yield* Effect.repeat(client.request("status"), {
          until: ({ payload }) => (payload as { readonly connections: number }).connections === 1
        })
        expect(payload).toMatchObject({ connections: 1 })
      })
    ))
})

describe("pings", () => {
  const run = shared(Harness.socket())

  it("without end, by a peer that does not read, are answered only while little waits", () =>
    run(
      Effect.gen(function* () {
        const raw = yield* peer
        yield* raw.write(upgradeRequest())
        yield* raw.received("connect.challenge")
        yield* raw.write(connectFrame())
        yield* raw.received("hello-ok")
        raw.socket.pause()
        const pings = Buffer.concat(
          Array.from({ length: 1000 }, () => clientFrame("x".repeat(120), { opcode: 9 }))
        )
        for (let round = 0; round < 60; round++) yield* raw.write(pings)
        // 8 MB of them were sent, and taken.
        const client = yield* (yield* Harness.Door).open
        yield* client.connect()
        expect(yield* client.request("health")).toMatchObject({ ok: true })
        const before = raw.socket.bytesRead
        raw.socket.resume()
        yield* raw.write(clientFrame("last", { opcode: 9 }))
        yield* raw.received("last")
        // What waited was what the system holds, not what was asked for.
        expect(raw.socket.bytesRead - before).toBeLessThan(6_000_000)
      })
    ))
})
