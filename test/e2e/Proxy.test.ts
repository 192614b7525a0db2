/** Behind nginx, with the configuration of docs/deployment.md. */
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import * as Net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, type Scope } from "effect"
import { WebSocket } from "ws"
import { ScriptedAgent } from "../../src/testing/ScriptedAgent.js"
import * as TestClient from "../../src/testing/TestClient.js"
import * as TrustedProxies from "../../src/transport/TrustedProxies.js"
import * as WebSocketTransport from "../../src/transport/WebSocketTransport.js"
import * as Certificate from "../support/Certificate.js"
import * as Harness from "../support/Harness.js"
import { shared } from "../support/Shared.js"

const root = join(import.meta.dirname, "../..")
/** The path of an nginx, which scripts/test has got; none on a machine that has none and no Debian. */
const findNginx = (): string | undefined => {
  try {
    return execFileSync(join(root, "scripts/nginx"), {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"]
    }).trim()
  } catch (error) {
    if (process.env["CI"] === "true") throw error
    return undefined
  }
}
const nginx = findNginx()

/** The one code block of that language in the document. */
const block = (language: string): string => {
  const text = readFileSync(join(root, "docs/deployment.md"), "utf8")
  const [found, ...more] = [...text.matchAll(new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``, "g"))]
  if (found?.[1] === undefined || more.length > 0) throw new Error(`not one block of ${language}`)
  return found[1]
}

/** Replaces what must be there exactly once. */
const put = (text: string, what: string, by: string): string => {
  if (text.split(what).length !== 2) throw new Error(`not once in the configuration: ${what}`)
  return text.replace(what, () => by)
}

const freePort = Effect.promise(async () => {
  const server = Net.createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  await once(server, "close")
  return typeof address === "object" && address !== null ? address.port : 0
})

const certificate = Certificate.make("chat.example.com", "127.0.0.1")

/** Runs nginx before a gateway; answers on which port it listens. */
const proxied = (gatewayPort: number): Effect.Effect<number, never, Scope.Scope> =>
  Effect.gen(function* () {
    const port = yield* freePort
    const dir = mkdtempSync(join(tmpdir(), "colloquy-nginx-"))
    for (const name of ["body", "proxy", "fastcgi", "uwsgi", "scgi"]) mkdirSync(join(dir, name))
    writeFileSync(join(dir, "cert.pem"), certificate.cert)
    writeFileSync(join(dir, "key.pem"), certificate.key)
    const server = [
      ["listen 443 ssl;", `listen 127.0.0.1:${port} ssl;`],
      ["/etc/ssl/chat.example.com.pem", join(dir, "cert.pem")],
      ["/etc/ssl/private/chat.example.com.key", join(dir, "key.pem")],
      ["http://127.0.0.1:18789", `http://127.0.0.1:${gatewayPort}`]
    ].reduce((text, [what = "", by = ""]) => put(text, what, by), block("nginx"))
    writeFileSync(
      join(dir, "nginx.conf"),
      `daemon off; master_process off; pid ${dir}/pid; error_log stderr notice;
events { worker_connections 256; }
http {
  access_log ${dir}/access.log;
  client_body_temp_path ${dir}/body; proxy_temp_path ${dir}/proxy; fastcgi_temp_path ${dir}/fastcgi;
  uwsgi_temp_path ${dir}/uwsgi; scgi_temp_path ${dir}/scgi;
  ${server}
}`
    )
    const child = spawn(nginx ?? "nginx", ["-p", dir, "-c", join(dir, "nginx.conf"), "-e", "stderr"], {
      stdio: ["ignore", "ignore", "pipe"]
    })
    yield* Effect.addFinalizer(() =>
      Effect.promise(async () => {
        if (child.exitCode === null) {
          child.kill("SIGKILL")
          await once(child, "exit")
        }
        rmSync(dir, { recursive: true, force: true })
      })
    )
    let said = ""
    child.stderr.on("data", (data) => {
      said += String(data)
    })
    // A connection is the proof that it listens.
    yield* Effect.repeat(
      Effect.promise(() => isListening(port)),
      {
        until: (listens) => listens || child.exitCode !== null
      }
    )
    if (child.exitCode !== null) return yield* Effect.die(new Error(said))
    return port
  })

const isListening = async (port: number): Promise<boolean> => {
  const socket = Net.connect({ port, host: "127.0.0.1" })
  const [what] = await Promise.race([
    once(socket, "connect").then(() => [true] as const),
    once(socket, "close").then(() => [false] as const)
  ]).catch(() => [false] as const)
  socket.destroy()
  return what
}

interface Way {
  readonly origin?: string
  readonly host?: string
  readonly path?: string
  readonly forwardedFor?: string
}

/** Connects through the proxy: the client, or the status that refused it. */
const through = (port: number, way: Way = {}): Effect.Effect<TestClient.TestClient, string, Scope.Scope> =>
  TestClient.open(({ onClose, onFrame }) =>
    Effect.acquireRelease(
      Effect.async<WebSocket, string>((resume) => {
        const socket = new WebSocket(`wss://127.0.0.1:${port}${way.path ?? "/"}`, {
          ca: certificate.cert,
          // Not the address of the proxy, which is trusted.
          localAddress: "127.0.0.2",
          headers: {
            Host: way.host ?? "chat.example.com",
            ...(way.forwardedFor === undefined ? {} : { "X-Forwarded-For": way.forwardedFor })
          },
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

// eslint-disable-next-line house/no-focus-or-skip -- not every machine has nginx or Debian; CI has
describe.skipIf(nginx === undefined)("behind nginx, as docs/deployment.md has it", () => {
  const run = shared(
    Harness.socket({
      token: "right",
      listen: {
        allowedHosts: ["chat.example.com"],
        trustedProxies: Either.getOrThrow(TrustedProxies.parse(["127.0.0.1"]))
      }
    })
  )
  const start = Effect.flatMap(WebSocketTransport.Address, ({ port }) => proxied(port))

  it("clients log in under the public name, on any path; an answer comes as it is made", () =>
    run(
      Effect.gen(function* () {
        const port = yield* start
        const agent = yield* ScriptedAgent
        const client = yield* through(port, { path: "/some/prefix/ws" })
        expect(yield* client.connect({ token: "right" })).toMatchObject({ ok: true })
        yield* client.request("chat.send", { sessionKey: "main", message: "hi", idempotencyKey: "k" })
        const turn = yield* agent.next
        yield* turn.say("one ")
        // The agent goes on only when this has arrived.
        yield* client.awaitChat(({ state }) => state === "delta")
        yield* turn.say("two")
        yield* turn.finish
        expect(yield* client.terminal("k")).toMatchObject({ message: { content: [{ text: "one two" }] } })
      })
    ))

  it("pages of the public name may connect, others not; nor may other names", () =>
    run(
      Effect.gen(function* () {
        const port = yield* start
        const status = (way: Way) =>
          Effect.match(Effect.scoped(through(port, way)), {
            onFailure: (why) => why,
            onSuccess: () => "open"
          })
        expect(yield* status({ origin: "https://chat.example.com" })).toBe("open")
        expect(yield* status({ origin: "http://chat.example.com" })).toContain("403")
        expect(yield* status({ origin: "https://evil.example" })).toContain("403")
        expect(yield* status({ host: "evil.example" })).toContain("403")
      })
    ))

  it("failed logins count for the client, whatever address it writes itself", () =>
    run(
      Effect.gen(function* () {
        const port = yield* start
        const login = (token: string, forwardedFor: string) =>
          Effect.scoped(
            Effect.flatMap(through(port, { forwardedFor }), (client) => client.connect({ token }))
          )
        const guess = `cq_abcdefghijkl_${"x".repeat(43)}`
        for (let at = 0; at < 10; at++) yield* login(guess, `203.0.113.${at}`)
        expect(yield* login("right", "203.0.113.99")).toMatchObject({
          error: { details: { code: "AUTH_RATE_LIMITED" } }
        })
      })
    ))
})
