/**
 * ChaosProxy: stands between clients and a gateway, over TCP, and does by chance what networks do: cuts connections at any byte,
 * in either direction, with or without what was under way; holds pieces back; splits them and joins them; lets the end of an
 * old connection come after the beginning of a new one.
 */
import { once } from "node:events"
import * as Net from "node:net"
import { Effect, type Scope } from "effect"

/** What may happen to a piece, as chances between 0 and 1. */
export interface Weather {
  /** The connection is cut before the piece, which is lost; or behind the half of it. */
  readonly cut: number
  /** The piece is held back for some turns of the event loop; what follows in its direction waits behind it. */
  readonly hold: number
}

export interface ChaosProxy {
  readonly port: number
  /** Where connections go from now on. */
  readonly aim: (port: number) => Effect.Effect<void>
  /** Does no harm any more. */
  readonly calm: Effect.Effect<void>
  /** Connections that were cut. */
  readonly cuts: Effect.Effect<number>
}

/** A connection of a client and the one to the gateway that belongs to it. */
interface Pair {
  readonly cut: () => void
  readonly isOver: () => boolean
}

/** A generator of numbers between 0 and 1, the same for the same seed (mulberry32). */
export const random = (seed: number): (() => number) => {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

export const open = (seed: number, weather: Weather): Effect.Effect<ChaosProxy, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const chance = random(seed)
      const sockets = new Set<Net.Socket>()
      let target = 0
      let isCalm = false
      let cuts = 0

      /** Passes on what comes, in its order. */
      const pass = (from: Net.Socket, to: Net.Socket, { cut, isOver }: Pair): void => {
        let line: Promise<void> = Promise.resolve()
        from.on("data", (piece) => {
          const isCut = !isCalm && chance() < weather.cut
          const half =
            chance() < 0.5 ? piece.subarray(0, Math.floor(piece.length * chance())) : piece.subarray(0, 0)
          const turns = !isCalm && chance() < weather.hold ? Math.floor(chance() * 40) : 0
          line = line.then(async () => {
            for (let n = 0; n < turns; n++) await turn()
            // Behind what was lost nothing comes: that is what TCP promises.
            if (to.destroyed || isOver()) return
            to.write(isCut ? half : piece)
            if (isCut) cut()
          })
        })
        from.on("close", () => {
          line = line.then(() => void to.end())
        })
      }

      const server = Net.createServer((client) => {
        const gateway = Net.connect(target, "127.0.0.1")
        for (const socket of [client, gateway]) {
          sockets.add(socket)
          socket.on("close", () => sockets.delete(socket))
          socket.on("error", () => socket.destroy())
        }
        let isOver = false
        const cut = (): void => {
          cuts += 1
          isOver = true
          // One side hears of it now, the other one later: by then the client may be back.
          const [first, second] = chance() < 0.5 ? [client, gateway] : [gateway, client]
          first.resetAndDestroy()
          const turns = Math.floor(chance() * 60)
          void (async () => {
            for (let n = 0; n < turns; n++) await turn()
            second.destroy()
          })()
        }
        const pair: Pair = { cut, isOver: () => isOver }
        pass(client, gateway, pair)
        pass(gateway, client, pair)
      }).listen(0, "127.0.0.1")
      await once(server, "listening")
      const address = server.address()
      return {
        proxy: {
          port: typeof address === "object" && address !== null ? address.port : 0,
          aim: (port: number) =>
            Effect.sync(() => {
              target = port
            }),
          calm: Effect.sync(() => {
            isCalm = true
          }),
          cuts: Effect.sync(() => cuts)
        },
        stop: () => {
          server.close()
          for (const socket of sockets) socket.destroy()
        }
      }
    }),
    ({ stop }) => Effect.sync(stop)
  ).pipe(Effect.map(({ proxy }) => proxy))
