/** Proxies of others before a gateway: nginx and Caddy, with the configurations of docs/deployment.md. */
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import * as Net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, type Scope } from "effect"
import * as Certificate from "./Certificate.js"

const root = join(import.meta.dirname, "../..")

/** The name for which the document's configurations are. */
export const publicName = "chat.example.com"

/** What the proxies show. */
export const certificate = Certificate.make(publicName)

export type Kind = "nginx" | "caddy"

/**
 * The path of the program, which scripts/test has got; none on a machine that has none and no Debian. CI must have an nginx; not
 * every Debian-like system has a package of Caddy.
 */
export const find = (kind: Kind): string | undefined => {
  try {
    return execFileSync(join(root, "scripts", kind), {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"]
    }).trim()
  } catch (error) {
    if (kind === "nginx" && process.env["CI"] === "true") throw error
    return undefined
  }
}

/** The one code block of that language in docs/deployment.md. */
export const block = (language: string): string => {
  const text = readFileSync(join(root, "docs/deployment.md"), "utf8")
  const [found, ...more] = [...text.matchAll(new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``, "g"))]
  if (found?.[1] === undefined || more.length > 0) throw new Error(`not one block of ${language}`)
  return found[1]
}

export type Changes = ReadonlyArray<readonly [what: string, by: string]>

/** Replaces what must be there exactly once. */
export const put = (text: string, replacements: ReadonlyArray<readonly [what: string, by: string]>): string =>
  replacements.reduce((before, [what, by]) => {
    if (before.split(what).length !== 2) throw new Error(`not once in the configuration: ${what}`)
    return before.replace(what, () => by)
  }, text)

export interface Options {
  readonly kind: Kind
  /** The program. */
  readonly path: string
  /** Where the gateway listens, on 127.0.0.1. */
  readonly gatewayPort: number
  /** Changes of the configuration, made before those that every test needs. */
  readonly changes?: Changes
}

/** Runs a proxy until the scope closes; answers on which port of 127.0.0.1 it speaks TLS. */
export const start = ({
  changes = [],
  gatewayPort,
  kind,
  path
}: Options): Effect.Effect<number, never, Scope.Scope> =>
  Effect.gen(function* () {
    const port = yield* freePort
    const dir = yield* directory
    writeFileSync(join(dir, "cert.pem"), certificate.cert)
    writeFileSync(join(dir, "key.pem"), certificate.key)
    const text = put(block(kind === "nginx" ? "nginx" : "caddyfile"), changes)
    yield* begin[kind]({ path, dir, port, gatewayPort, text })
    return port
  })

interface Place {
  readonly path: string
  readonly dir: string
  readonly port: number
  readonly gatewayPort: number
  readonly text: string
}

const nginx = ({ dir, gatewayPort, path, port, text }: Place) => {
  for (const name of ["body", "proxy", "fastcgi", "uwsgi", "scgi"]) mkdirSync(join(dir, name))
  const server = put(text, [
    ["listen 443 ssl;", `listen 127.0.0.1:${port} ssl;`],
    ["/etc/ssl/chat.example.com.pem", join(dir, "cert.pem")],
    ["/etc/ssl/private/chat.example.com.key", join(dir, "key.pem")],
    ["http://127.0.0.1:18789", `http://127.0.0.1:${gatewayPort}`]
  ])
  const file = join(dir, "nginx.conf")
  writeFileSync(
    file,
    `daemon off; master_process off; pid ${dir}/pid; error_log stderr notice;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path ${dir}/body; proxy_temp_path ${dir}/proxy; fastcgi_temp_path ${dir}/fastcgi;
  uwsgi_temp_path ${dir}/uwsgi; scgi_temp_path ${dir}/scgi;
  ${server}
}`
  )
  // It tells its version when it has begun to listen.
  return running(path, ["-p", dir, "-c", file, "-e", "stderr"], dir, /notice.*nginx\//)
}

const caddy = ({ dir, gatewayPort, path, port, text }: Place) => {
  const site = put(text, [
    [
      "chat.example.com {",
      `chat.example.com:${port} {\n    bind 127.0.0.1\n    tls ${join(dir, "cert.pem")} ${join(dir, "key.pem")}`
    ],
    ["127.0.0.1:18789", `127.0.0.1:${gatewayPort}`]
  ])
  const file = join(dir, "Caddyfile")
  // It is to touch nothing outside, and not to take port 80.
  writeFileSync(
    file,
    `{\n    admin off\n    auto_https disable_redirects\n    storage file_system ${dir}\n}\n${site}`
  )
  return running(
    path,
    ["run", "--config", file, "--adapter", "caddyfile"],
    dir,
    /serving initial configuration/
  )
}

const begin = { nginx, caddy }

/** Runs a program until the scope closes; waits for what it says when it is ready. */
const running = (
  path: string,
  args: ReadonlyArray<string>,
  dir: string,
  ready: RegExp
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(path, args, {
          cwd: dir,
          env: {
            PATH: process.env["PATH"],
            HOME: dir,
            XDG_DATA_HOME: dir,
            XDG_CONFIG_HOME: dir
          },
          stdio: ["ignore", "ignore", "pipe"]
        })
      ),
      (child) =>
        Effect.promise(async () => {
          if (child.exitCode !== null || child.signalCode !== null) return
          const exit = once(child, "exit")
          child.kill("SIGKILL")
          await exit
        })
    )
    yield* Effect.async<void>((resume) => {
      let said = ""
      const look = (data: unknown): void => {
        said += String(data)
        if (ready.test(said)) resume(Effect.void)
      }
      child.stderr.on("data", look)
      child.once("error", (error) => resume(Effect.die(error)))
      child.once("close", () => resume(Effect.die(new Error(`${path} ended: ${said}`))))
    })
  })

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "colloquy-proxy-"))),
  (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
)

const freePort = Effect.promise(async () => {
  const server = Net.createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  await once(server, "close")
  return typeof address === "object" && address !== null ? address.port : 0
})
