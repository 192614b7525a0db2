/** PrefixProxy: a reverse proxy that serves what is behind it under a path, and takes that path off, like many do. */
import { once } from "node:events"
import * as Http from "node:http"
import * as Net from "node:net"
import { Effect, type Scope } from "effect"

/** Answers its port. What is not under `prefix` (`/chat/`) is 404. */
export const open = (prefix: string, target: number): Effect.Effect<number, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const inside = (url: string | undefined): string | undefined =>
          url?.startsWith(prefix) === true ? url.slice(prefix.length - 1) : undefined
        const server = Http.createServer((request, response) => {
          const path = inside(request.url)
          if (path === undefined) return void response.writeHead(404).end()
          const { headers, method } = request
          const onward = Http.request(
            { host: "127.0.0.1", port: target, path, method, headers },
            (answer) => {
              response.writeHead(answer.statusCode ?? 502, answer.headers)
              answer.pipe(response)
            }
          )
          onward.on("error", () => response.destroy())
          request.pipe(onward)
        })
        server.on("upgrade", (request, socket) => {
          const path = inside(request.url)
          if (path === undefined) return void socket.destroy()
          const onward = Net.connect(target, "127.0.0.1", () => {
            const headers = Object.entries(request.headers).map(
              ([name, value]) => `${name}: ${String(value)}`
            )
            onward.write([`GET ${path} HTTP/1.1`, ...headers, "", ""].join("\r\n"))
            onward.pipe(socket).pipe(onward)
          })
          for (const one of [onward, socket])
            one.on("error", () => [onward, socket].map((each) => each.destroy()))
        })
        server.listen(0, "127.0.0.1")
        await once(server, "listening")
        return server
      }),
      (server) =>
        Effect.sync(() => {
          server.close()
          server.closeAllConnections()
        })
    ),
    (server) => {
      const address = server.address()
      return typeof address === "object" && address !== null ? address.port : 0
    }
  )
