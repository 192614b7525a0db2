/** A client that understands nothing: it keeps every frame as it came. */
import { Deferred, Effect } from "effect"
import type { Disconnect } from "../../src/protocol/CloseCode.js"
import type { Wire, WireEvents } from "../../src/testing/TestClient.js"

export interface Probe {
  readonly send: (frame: string | null) => void
  /** Frames received so far. */
  readonly texts: ReadonlyArray<string>
  /** Waits until what was received fits; looked at again after each frame. */
  readonly until: (fits: (texts: ReadonlyArray<string>) => boolean) => Effect.Effect<void>
  readonly closed: Deferred.Deferred<Disconnect>
  readonly leave: Effect.Effect<void>
}

export const open = <E, R>(
  wire: (events: WireEvents) => Effect.Effect<Wire, E, R>
): Effect.Effect<Probe, E, R> =>
  Effect.gen(function* () {
    const texts: Array<string> = []
    const closed = yield* Deferred.make<Disconnect>()
    const waiting = new Set<() => void>()
    const { cut, send } = yield* wire({
      onFrame: (text) => {
        texts.push(text)
        for (const look of waiting) look()
      },
      onClose: (disconnect) => {
        Deferred.unsafeDone(closed, Effect.succeed(disconnect))
      }
    })
    return {
      send,
      texts,
      closed,
      leave: Effect.sync(cut),
      until: (fits) =>
        Effect.async((resume) => {
          const look = (): void => {
            if (!fits(texts)) return
            waiting.delete(look)
            resume(Effect.void)
          }
          waiting.add(look)
          look()
          return Effect.sync(() => waiting.delete(look))
        })
    }
  })
