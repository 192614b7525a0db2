/**
 * Gateway: everything behind the transport, put together. `layer` is what a team embeds; a transport or a test opens
 * connections on it.
 */
import { Context, Effect, Layer } from "effect"
import type { AgentRunner } from "./agent/AgentRunner.js"
import type { Authenticator } from "./auth/Authenticator.js"
import * as EventHub from "./event/EventHub.js"
import * as FanOut from "./event/FanOut.js"
import type { Sink } from "./event/Outbox.js"
import * as Boot from "./gateway/Boot.js"
import * as Connection from "./gateway/Connection.js"
import * as Dispatch from "./gateway/Dispatch.js"
import * as Presence from "./gateway/Presence.js"
import type { GatewayConfig } from "./GatewayConfig.js"
import * as CloseCode from "./protocol/CloseCode.js"
import * as AgentEvents from "./run/AgentEvents.js"
import * as RunRegistry from "./run/RunRegistry.js"
import * as RunRegistryLocal from "./run/RunRegistryLocal.js"
import type { SessionStore } from "./session/SessionStore.js"

export interface GatewayShape {
  /** Begins a connection over a transport's sink: the challenge goes out at once. */
  readonly open: (sink: Sink) => Effect.Effect<Connection.Connection>
  /**
   * Stops in order: no more sends are accepted, every run ends and is told, then every connection gets `shutdown` and
   * is closed with 1012. Takes `shutdownGrace` at most. Runs once; later calls wait for the first.
   */
  readonly shutdown: Effect.Effect<void>
}

export class Gateway extends Context.Tag("colloquy/Gateway")<Gateway, GatewayShape>() {}

const make = Effect.gen(function* () {
  const connections = yield* Connection.Connections
  const presence = yield* Presence.Presence
  const registry = yield* RunRegistry.RunRegistry
  const fanOut = yield* FanOut.FanOut
  let stopped = false

  const shutdown = yield* Effect.cached(
    Effect.gen(function* () {
      yield* registry.shutdown
      yield* fanOut.broadcast("shutdown", { reason: "service restart" })
      stopped = true
      for (const member of presence.all()) member.disconnect(CloseCode.serviceRestart)
    })
  )
  yield* Effect.addFinalizer(() => shutdown)

  return Gateway.of({
    open: (sink) =>
      Effect.tap(connections.open(sink), () =>
        Effect.sync(() => {
          if (stopped) for (const member of presence.all()) member.disconnect(CloseCode.serviceRestart)
        })
      ),
    shutdown
  })
})

/** The services that make up a gateway, for those who embed or observe it. */
export type Services = Gateway | RunRegistry.RunRegistry | EventHub.EventHub | AgentEvents.AgentEvents

/**
 * The whole gateway over a store, an agent and a door. Every service in it is scoped: when the layer's scope closes,
 * it shuts down in order.
 */
export const layer: Layer.Layer<Services, never, GatewayConfig | SessionStore | AgentRunner | Authenticator> =
  Layer.scoped(Gateway, make).pipe(
    Layer.provide(Connection.layer),
    Layer.provide(Dispatch.layer),
    Layer.provide(Layer.mergeAll(FanOut.layer, Presence.layer, Boot.layer)),
    Layer.provideMerge(AgentEvents.layer),
    Layer.provideMerge(RunRegistryLocal.layer),
    Layer.provideMerge(EventHub.layer)
  )
