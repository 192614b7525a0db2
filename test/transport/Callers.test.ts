/** The sockets of a server: none is kept that is gone, whatever address it turned out to come from. */
import { once } from "node:events"
import * as Net from "node:net"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either } from "effect"
import { Callers } from "../../src/transport/Callers.js"
import { Doorway } from "../../src/transport/Doorway.js"
import * as TrustedProxies from "../../src/transport/TrustedProxies.js"

const loopback = Either.getOrThrow(TrustedProxies.parse(["127.0.0.1"]))

/** A server that is told of its sockets; `knock` connects and answers the server's end. */
const door = (proxies: TrustedProxies.TrustedProxies, maxPerAddress = 100) =>
  Effect.gen(function* () {
    const doorway = new Doorway({ max: 100, maxPerAddress })
    const callers = new Callers(doorway, proxies)
    const server = yield* Effect.acquireRelease(
      Effect.promise(async () => {
        const server = Net.createServer()
        await once(server.listen(0, "127.0.0.1"), "listening")
        return server
      }),
      (server) => Effect.sync(() => server.close())
    )
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    const knock = Effect.acquireRelease(
      Effect.async<{ readonly client: Net.Socket; readonly tcp: Net.Socket }>((resume) => {
        const client = Net.connect({ port, host: "127.0.0.1" })
        server.once("connection", (tcp) => {
          callers.enter(tcp)
          resume(Effect.succeed({ client, tcp }))
        })
      }),
      ({ client, tcp }) =>
        Effect.sync(() => {
          client.destroy()
          tcp.destroy()
        })
    )
    return { callers, doorway, knock }
  })
const closed = (socket: Net.Socket) => Effect.promise(() => once(socket, "close"))
const from = (address: string) => ({ address, isLocal: false })

describe("Callers", () => {
  it.scoped("whoever is gone is forgotten, behind a proxy too", () =>
    Effect.gen(function* () {
      const { callers, doorway, knock } = yield* door(loopback)
      for (let n = 0; n < 20; n++) {
        const { client, tcp } = yield* knock
        expect(callers.find(tcp, from(`203.0.113.${n % 3}`))?.tcp).toBe(tcp)
        client.destroy()
        yield* closed(tcp)
      }
      expect([callers.size, doorway.size]).toEqual([0, 0])
    })
  )

  it.scoped("who has come in is known as long as the socket is there, and takes no place", () =>
    Effect.gen(function* () {
      const { callers, doorway, knock } = yield* door(TrustedProxies.none)
      const { client, tcp } = yield* knock
      callers.find(tcp, from("127.0.0.1"))?.visitor.leaves()
      expect([callers.size, doorway.size]).toEqual([1, 0])
      client.destroy()
      yield* closed(tcp)
      expect(callers.size).toBe(0)
    })
  )

  it.scoped("the sockets of a proxy are not counted together; its clients are, by their own addresses", () =>
    Effect.gen(function* () {
      const { callers, knock } = yield* door(loopback, 1)
      const [one, other, third] = [yield* knock, yield* knock, yield* knock]
      callers.find(one.tcp, from("203.0.113.1"))
      callers.find(other.tcp, from("203.0.113.2"))
      // A proxy that names nobody is not counted as one client.
      callers.find(third.tcp, from("127.0.0.1"))
      expect([one, other, third].map(({ tcp }) => tcp.destroyed)).toEqual([false, false, false])
      callers.find(third.tcp, from("203.0.113.1"))
      expect([one, other, third].map(({ tcp }) => tcp.destroyed)).toEqual([true, false, false])
    })
  )

  it.scoped("at the end all are cut off, those too that have never said anything", () =>
    Effect.gen(function* () {
      const { callers, knock } = yield* door(TrustedProxies.none)
      const all = [yield* knock, yield* knock]
      callers.cutOff()
      yield* Effect.forEach(all, ({ client }) => (client.closed ? Effect.void : closed(client)))
      expect(callers.size).toBe(0)
    })
  )
})
