/** Gateway: what a transport needs of it: a way in, and an orderly end. */
import { Context, Effect, FiberSet, Layer } from "effect"
import * as FanOut from "../event/FanOut.js"
import type { Peer } from "../domain/Peer.js"
import type { Sink } from "../event/Outbox.js"
import { GatewayConfig } from "../GatewayConfig.js"
import { RunJournal } from "../journal/RunJournal.js"
import * as CloseCode from "../protocol/CloseCode.js"
import { RunRegistry } from "../run/RunRegistry.js"
import { type Connection, Connections } from "./Connection.js"
import { Presence } from "./Presence.js"

export interface GatewayShape {
  /** Begins a connection over a transport's sink: the challenge goes out at once. */
  readonly open: (sink: Sink, peer: Peer) => Effect.Effect<Connection>
  /**
   * Stops in order: no more sends are accepted, runs may go on for `drainGrace`, every run ends and is told, then every
   * connection gets `shutdown` and is closed with 1012. Takes `drainGrace` and `shutdownGrace` at most. Runs once; later calls wait for the first. Also the finalizer
   * of the layer.
   */
  readonly shutdown: Effect.Effect<void>
}

export class Gateway extends Context.Tag("colloquy/Gateway")<Gateway, GatewayShape>() {}

const make = Effect.gen(function* () {
  const connections = yield* Connections
  const presence = yield* Presence
  const registry = yield* RunRegistry
  const config = yield* GatewayConfig
  const fanOut = yield* FanOut.FanOut
  const journal = yield* RunJournal
  const fork = yield* FiberSet.makeRuntime<never, void>()
  let stopped = false

  // Who comes back after a restart is not told again what it was told.
  fanOut.observe(({ perspectives, runId }) => fork(journal.seen(runId, perspectives)))

  const disconnectAll = Effect.sync(() => {
    for (const member of presence.all()) member.disconnect(CloseCode.serviceRestart)
  })
  const shutdown = yield* Effect.cached(
    Effect.gen(function* () {
      yield* registry.shutdown
      // Whoever was refused meanwhile is told so before the connection goes.
      yield* Effect.timeoutOption(Effect.interruptible(connections.answered), config.shutdownGrace)
      yield* fanOut.broadcast("shutdown", { reason: "service restart" })
      stopped = true
      yield* disconnectAll
    })
  )
  yield* Effect.addFinalizer(() => shutdown)
  // Now that everybody listens who keeps what is told.
  yield* registry.recover

  return Gateway.of({
    open: (sink, peer) =>
      Effect.tap(connections.open(sink, peer), () => (stopped ? disconnectAll : Effect.void)),
    shutdown
  })
})

export const layer: Layer.Layer<
  Gateway,
  never,
  Connections | Presence | RunRegistry | FanOut.FanOut | GatewayConfig | RunJournal
> = Layer.scoped(Gateway, make)
