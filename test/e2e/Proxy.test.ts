/** Behind nginx and behind Caddy, with the configurations of docs/deployment.md. */
import { once } from "node:events"
import { request } from "node:https"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, type Scope } from "effect"
import { WebSocket } from "ws"
import { ScriptedAgent } from "../../src/testing/ScriptedAgent.js"
import * as TestClient from "../../src/testing/TestClient.js"
import * as TrustedProxies from "../../src/transport/TrustedProxies.js"
import * as WebSocketTransport from "../../src/transport/WebSocketTransport.js"
import * as Harness from "../support/Harness.js"
import * as Proxy from "../support/Proxy.js"
import { shared } from "../support/Shared.js"

interface Way {
  readonly origin?: string
  readonly host?: string
  readonly path?: string
  readonly forwardedFor?: string
  /** Where it connects from: not the proxy's address, unless a test wants that, since that is trusted. */
  readonly from?: string
}

const tls = { ca: Proxy.certificate.cert, servername: Proxy.publicName }
const headersOf = ({ forwardedFor, host = Proxy.publicName }: Way) => ({
  Host: host,
  ...(forwardedFor === undefined ? {} : { "X-Forwarded-For": forwardedFor })
})

/** Connects through the proxy: the client, or what refused it. */
const through = (port: number, way: Way = {}): Effect.Effect<TestClient.TestClient, string, Scope.Scope> =>
  TestClient.open(({ onClose, onFrame }) =>
    Effect.acquireRelease(
      Effect.async<WebSocket, string>((resume) => {
        const socket = new WebSocket(`wss://127.0.0.1:${port}${way.path ?? "/"}`, {
          ...tls,
          localAddress: way.from ?? "127.0.0.2",
          headers: headersOf(way),
          ...(way.origin === undefined ? {} : { origin: way.origin })
        })
        socket.on("message", (data) => onFrame(String(data)))
        socket.on("close", (code, reason) => onClose({ code, reason: reason.toString() }))
        socket.on("open", () => resume(Effect.succeed(socket)))
        socket.on("error", (error) => resume(Effect.fail(error.message)))
      }),
      (socket) => Effect.sync(() => socket.terminate())
    ).pipe(
      Effect.map((socket) => ({
        send: (text) => socket.send(text ?? Buffer.from([0])),
        cut: () => socket.terminate(),
        stall: () => socket.pause(),
        resume: () => socket.resume()
      }))
    )
  )

/** What becomes of a try to connect: `open`, or why not. */
const outcome = (port: number, way: Way) =>
  Effect.match(Effect.scoped(through(port, way)), { onFailure: (why) => why, onSuccess: () => "open" })

const login = (port: number, token: string, way: Way) =>
  Effect.scoped(Effect.flatMap(through(port, way), (client) => client.connect({ token })))

/** Ten logins that fail: as many as go without a back-off. `id`: of the token that is guessed, which has a limit of its own. */
const guess = (port: number, way: (at: number) => Way, id = "abcdefghijkl") =>
  Effect.forEach(
    Array.from({ length: 10 }, (_, at) => at),
    (at) => login(port, `cq_${id}_${"x".repeat(43)}`, way(at)),
    { discard: true }
  )

const limited = { ok: false, error: { details: { code: "AUTH_RATE_LIMITED" } } }

/** The status of a plain request. */
const get = (port: number): Effect.Effect<number | undefined> =>
  Effect.promise(async () => {
    const sent = request({ ...tls, port, host: "127.0.0.1", headers: headersOf({}) }).end()
    const [response] = await once(sent, "response")
    response.resume()
    return response.statusCode
  })

const gateway = (...trusted: ReadonlyArray<string>) =>
  shared(
    Harness.socket({
      token: "right",
      listen: {
        allowedHosts: [Proxy.publicName],
        trustedProxies: Either.getOrThrow(TrustedProxies.parse(trusted))
      }
    })
  )

const kinds = (["nginx", "caddy"] as const).map((kind) => ({ kind, path: Proxy.find(kind) }))

/** Runs a proxy before the gateway; answers on which port. */
const proxied =
  (kind: Proxy.Kind, path: string) =>
  (changes: Proxy.Changes = []) =>
    Effect.flatMap(WebSocketTransport.Address, ({ port }) =>
      Proxy.start({ kind, path, gatewayPort: port, changes })
    )

describe.each(kinds)("behind $kind, as docs/deployment.md has it", ({ kind, path }) => {
  if (path === undefined) {
    it("is not tested", (context) => context.skip(`scripts/${kind} found none and could get none`))
    return
  }
  const start = proxied(kind, path)

  describe("on the same machine", () => {
    const run = gateway("127.0.0.1")

    it("clients log in under the public name, on any path; an answer comes as it is made", () =>
      run(
        Effect.gen(function* () {
          const port = yield* start()
          const agent = yield* ScriptedAgent
          expect(yield* get(port)).toBe(200)
          for (const [n, path] of ["/", "/some/prefix/ws"].entries()) {
            const client = yield* through(port, { path })
            expect(yield* client.connect({ token: "right" })).toMatchObject({ ok: true })
            const runId = `run-${n}`
            yield* client.request("chat.send", { sessionKey: runId, message: "hi", idempotencyKey: runId })
            const turn = yield* agent.next
            yield* turn.say("one ")
            // The agent goes on only when this has arrived.
            yield* client.awaitChat((event) => event.runId === runId && event.state === "delta")
            yield* turn.say("two")
            yield* turn.finish
            expect(yield* client.terminal(runId)).toMatchObject({
              message: { content: [{ text: "one two" }] }
            })
          }
        })
      ))

    it("pages of the public name may connect, others not; nor may other names", () =>
      run(
        Effect.gen(function* () {
          const port = yield* start()
          expect(yield* outcome(port, { origin: "https://chat.example.com" })).toBe("open")
          expect(yield* outcome(port, { origin: "http://chat.example.com" })).toContain("403")
          expect(yield* outcome(port, { origin: "https://evil.example" })).toContain("403")
          // nginx asks the gateway; Caddy itself knows no such site, and answers with an empty page.
          const refusal = kind === "nginx" ? "403" : "200"
          expect(yield* outcome(port, { host: "evil.example" })).toBe(
            `Unexpected server response: ${refusal}`
          )
        })
      ))

    it("failed logins count for the client, whatever address it writes itself", () =>
      run(
        Effect.gen(function* () {
          const port = yield* start()
          yield* guess(port, (at) => ({ forwardedFor: `203.0.113.${at}` }))
          expect(yield* login(port, "right", { forwardedFor: "203.0.113.99" })).toMatchObject(limited)
        })
      ))
  })
})

describe("behind nginx, changed as docs/deployment.md says", () => {
  const path = kinds.find(({ kind }) => kind === "nginx")?.path
  if (path === undefined) {
    it("is not tested", (context) => context.skip("scripts/nginx found none and could get none"))
    return
  }
  const start = proxied("nginx", path)

  describe("before which there is a proxy that is trusted, too", () => {
    const run = gateway("127.0.0.1", "127.0.0.3")

    it("each client has its own failed logins, as that one names them; from others the names count for nothing", () =>
      run(
        Effect.gen(function* () {
          const port = yield* start()
          const from = "127.0.0.3"
          yield* guess(port, () => ({ from, forwardedFor: "203.0.113.1" }))
          expect(yield* login(port, "right", { from, forwardedFor: "203.0.113.1" })).toMatchObject(limited)
          expect(yield* login(port, "right", { from, forwardedFor: "203.0.113.2" })).toMatchObject({
            ok: true
          })
          // The same from an address that is not trusted is one client, whatever it writes, and another than those.
          yield* guess(port, (at) => ({ forwardedFor: `203.0.113.${100 + at}` }), "mnopqrstuvwx")
          expect(yield* login(port, "right", { forwardedFor: "203.0.113.2" })).toMatchObject(limited)
          expect(yield* login(port, "right", { from, forwardedFor: "203.0.113.100" })).toMatchObject({
            ok: true
          })
        })
      ))
  })

  describe("that the gateway does not trust", () => {
    const run = gateway()

    it("all clients are one, and no page is of the public origin", () =>
      run(
        Effect.gen(function* () {
          const port = yield* start()
          expect(yield* outcome(port, { origin: "https://chat.example.com" })).toContain("403")
          yield* guess(port, () => ({ from: "127.0.0.3", forwardedFor: "203.0.113.1" }))
          expect(yield* login(port, "right", { forwardedFor: "203.0.113.2" })).toMatchObject(limited)
        })
      ))
  })

  describe("beside another site, under a path", () => {
    const run = gateway("127.0.0.1")

    it("only that path is the gateway's", () =>
      run(
        Effect.gen(function* () {
          const port = yield* start([["location / {", "location /chat/ {"]])
          expect(yield* outcome(port, { path: "/chat/", origin: "https://chat.example.com" })).toBe("open")
          expect(yield* outcome(port, { path: "/other/" })).toBe("Unexpected server response: 404")
        })
      ))
  })

  describe("on another port", () => {
    const run = gateway("127.0.0.1")

    it("the port belongs to the name, and to the origin of pages", () =>
      run(
        Effect.gen(function* () {
          const port = yield* start([["Host $host;", "Host $host:$server_port;"]])
          const origin = `https://chat.example.com:${port}`
          expect(yield* outcome(port, { origin })).toBe("open")
          expect(yield* outcome(port, { origin: "https://chat.example.com" })).toContain("403")
        })
      ))
  })
})
