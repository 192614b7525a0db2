/**
 * The gateway, put together: what a team embeds. `layer` is everything behind a transport, `layerWebSocket` listens too.
 */
import { Layer } from "effect"
import type { AgentRunner } from "./agent/AgentRunner.js"
import type { Authenticator } from "./auth/Authenticator.js"
import * as CryptoRandom from "./auth/CryptoRandom.js"
import * as EventHub from "./event/EventHub.js"
import * as FanOut from "./event/FanOut.js"
import * as Boot from "./gateway/Boot.js"
import * as Connection from "./gateway/Connection.js"
import * as Dispatch from "./gateway/Dispatch.js"
import * as Inside from "./gateway/Gateway.js"
import * as Followers from "./gateway/Followers.js"
import * as Presence from "./gateway/Presence.js"
import * as Quota from "./gateway/Quota.js"
import * as Visitors from "./gateway/Visitors.js"
import type { GatewayConfig } from "./GatewayConfig.js"
import * as AgentEvents from "./run/AgentEvents.js"
import * as Permissions from "./run/Permissions.js"
import type { RunRegistry } from "./run/RunRegistry.js"
import * as RunRegistryLocal from "./run/RunRegistryLocal.js"
import type { RunJournal } from "./journal/RunJournal.js"
import type { SessionStore } from "./session/SessionStore.js"
import * as WebSocketTransport from "./transport/WebSocketTransport.js"

/** The services that make up a gateway, for those who embed or observe it. */
export type Services =
  | Inside.Gateway
  | Visitors.Visitors
  | RunRegistry
  | EventHub.EventHub
  | AgentEvents.AgentEvents
  | Permissions.Permissions

/** What a gateway is built on: its settings, a store (whose layers give the run journal too), an agent and a door. */
export type Requirements = GatewayConfig | SessionStore | RunJournal | AgentRunner | Authenticator

/**
 * The whole gateway without a transport. Everything in it is scoped: when the layer's scope closes, it shuts down in
 * order.
 */
export const layer: Layer.Layer<Services, never, Requirements> = Inside.layer.pipe(
  Layer.provide(Connection.layer),
  Layer.provideMerge(Visitors.layer),
  Layer.provide(Followers.layer),
  Layer.provide(Dispatch.layer),
  Layer.provide(Layer.mergeAll(Presence.layer, Quota.layer, Boot.layer)),
  Layer.provideMerge(AgentEvents.layer),
  Layer.provideMerge(RunRegistryLocal.layer),
  Layer.provideMerge(Permissions.layer),
  // Before the registry: whatever that publishes, from its start on, is kept for those who come back.
  Layer.provide(FanOut.layer),
  Layer.provideMerge(EventHub.layer)
)

/**
 * The whole gateway, listening for WebSockets, its ids and nonces from the system's cryptographic generator. Fails if the
 * address can't be taken.
 */
export const layerWebSocket = (
  options: WebSocketTransport.ListenOptions
): Layer.Layer<
  Services | WebSocketTransport.Address,
  WebSocketTransport.ListenError | WebSocketTransport.TlsError,
  Requirements
> => WebSocketTransport.layer(options).pipe(Layer.provideMerge(layer), Layer.provide(CryptoRandom.layer))
