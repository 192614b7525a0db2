/**
 * A whole gateway with a scripted agent, reached in memory or through a real socket: one test can be run against both.
 * Under TestClock either way: the gateway's time is the test's.
 */
import { Context, Effect, Layer, Redacted, type Scope } from "effect"
import * as Authenticator from "../../src/auth/Authenticator.js"
import * as Gateway from "../../src/Gateway.js"
import * as Inside from "../../src/gateway/Gateway.js"
import * as GatewayConfig from "../../src/GatewayConfig.js"
import type { SessionStore } from "../../src/session/SessionStore.js"
import * as SessionStoreMemory from "../../src/session/SessionStoreMemory.js"
import * as ScriptedAgent from "../../src/testing/ScriptedAgent.js"
import * as TestClient from "../../src/testing/TestClient.js"
import * as WebSocketTransport from "../../src/transport/WebSocketTransport.js"
import * as RawSocket from "./RawSocket.js"

/** Opens connections on which nothing was said yet. */
export class Door extends Context.Tag("test/Door")<
  Door,
  { readonly open: Effect.Effect<TestClient.TestClient, never, Scope.Scope> }
>() {}

export interface Options {
  readonly config?: Partial<GatewayConfig.GatewayConfigShape>
  /** Who comes in must bring it; without one everybody may. */
  readonly token?: string
  /** Who may come in, instead. */
  readonly authenticator?: Layer.Layer<Authenticator.Authenticator>
  /** How a gateway over sockets listens. Default: on a port of the system's choice, of loopback. */
  readonly listen?: Partial<WebSocketTransport.ListenOptions>
}

type Core =
  | Gateway.Services
  | ScriptedAgent.ScriptedAgent
  | SessionStore
  | SessionStoreMemory.SessionStoreMemory
  | GatewayConfig.GatewayConfig

const core = ({ authenticator, config, token }: Options): Layer.Layer<Core> =>
  Gateway.layer.pipe(
    Layer.provideMerge(
      Layer.mergeAll(
        ScriptedAgent.layer,
        authenticator ??
          (token === undefined ? Authenticator.layerNone : Authenticator.layerToken(Redacted.make(token))),
        SessionStoreMemory.layer({ sessionKeyDefaults: { ...GatewayConfig.defaults, ...config }, cwd: "/" }),
        GatewayConfig.layer(config)
      )
    )
  )

/** Frames go from hand to hand. */
export const memory = (options: Options = {}): Layer.Layer<Core | Door> =>
  Layer.effect(
    Door,
    Effect.map(Inside.Gateway, (gateway) => ({ open: TestClient.open(TestClient.memoryWire(gateway)) }))
  ).pipe(Layer.provideMerge(core(options)))

/** Frames go through TCP, on a port of the system's choice. */
export const socket = (options: Options = {}): Layer.Layer<Core | Door | WebSocketTransport.Address> =>
  Layer.effect(
    Door,
    Effect.map(WebSocketTransport.Address, ({ url }) => ({
      open: Effect.map(RawSocket.open(url), ({ client }) => client)
    }))
  ).pipe(
    Layer.provideMerge(
      Layer.orDie(WebSocketTransport.layer({ host: "127.0.0.1", port: 0, ...options.listen }))
    ),
    Layer.provideMerge(core(options))
  )

/** Both ways in. */
export const ways: ReadonlyArray<
  readonly [name: string, layer: (options?: Options) => Layer.Layer<Core | Door>]
> = [
  ["memory", memory],
  ["socket", socket]
]
