/** Many peers that say the same and wait: as plain as can be, since it is the gateway that is looked at. */
import * as Net from "node:net"
import { Effect, type Scope } from "effect"

export interface Crowd {
  /** Waits until at most so many are still connected. */
  readonly atMost: (count: number) => Effect.Effect<number>
  /** Waits until so many have been sent this text. */
  readonly received: (text: string, count: number) => Effect.Effect<void>
}

/** `words`: what the n-th of them says when it is connected. They are gone when the scope closes. */
export const crowd = (
  port: number,
  count: number,
  words: (n: number) => string
): Effect.Effect<Crowd, never, Scope.Scope> =>
  Effect.gen(function* () {
    const sockets: Array<Net.Socket> = []
    yield* Effect.addFinalizer(() => Effect.sync(() => sockets.forEach((socket) => socket.destroy())))
    const texts: Array<string> = []
    const watchers = new Set<() => void>()
    const changed = (): void => {
      for (const look of watchers) look()
    }
    let connected = 0
    let closed = 0
    const until = <A>(look: () => A | undefined): Effect.Effect<A> =>
      Effect.async((resume) => {
        const watcher = (): void => {
          const found = look()
          if (found === undefined) return
          watchers.delete(watcher)
          resume(Effect.succeed(found))
        }
        watchers.add(watcher)
        watcher()
        return Effect.sync(() => watchers.delete(watcher))
      })
    for (let n = 0; n < count; n++) {
      const socket = Net.connect(port, "127.0.0.1", () => {
        connected += 1
        changed()
        const said = words(n)
        if (said !== "") socket.write(said, "latin1")
      })
      sockets.push(socket)
      texts.push("")
      socket.on("error", () => undefined)
      socket.on("data", (data) => {
        texts[n] += data.toString("latin1")
        changed()
      })
      socket.on("close", () => {
        closed += 1
        changed()
      })
    }
    yield* until(() => (connected === count ? true : undefined))
    return {
      atMost: (most) => until(() => (count - closed <= most ? count - closed : undefined)),
      received: (text, wanted) =>
        Effect.asVoid(
          until(() => (texts.filter((one) => one.includes(text)).length >= wanted ? true : undefined))
        )
    }
  })
