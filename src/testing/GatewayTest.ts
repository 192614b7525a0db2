/**
 * GatewayTest: a whole gateway in memory, without a socket, under the clock of the test: the store, a scripted agent and
 * everything between them are the real ones.
 */
import { Context, Effect, Layer, Redacted } from "effect"
import type { AgentRunner } from "../agent/AgentRunner.js"
import * as Authenticator from "../auth/Authenticator.js"
import type { Principal } from "../auth/Principal.js"
import * as Gateway from "../Gateway.js"
import * as Inside from "../gateway/Gateway.js"
import * as GatewayConfig from "../GatewayConfig.js"
import type { RunJournal } from "../journal/RunJournal.js"
import type { SessionStore } from "../session/SessionStore.js"
import * as SessionStoreMemory from "../session/SessionStoreMemory.js"
import * as ClosingTime from "./ClosingTime.js"
import * as ScriptedAgent from "./ScriptedAgent.js"
import * as TestClient from "./TestClient.js"

export interface GatewayTestShape {
  /** A client that has not said anything yet. */
  readonly open: Effect.Effect<TestClient.TestClient>
  /** A client that has shaken hands. */
  readonly connect: (
    options?: TestClient.ConnectOptions
  ) => Effect.Effect<TestClient.TestClient, TestClient.ContractViolation>
}

export class GatewayTest extends Context.Tag("colloquy/GatewayTest")<GatewayTest, GatewayTestShape>() {}

export interface Options {
  readonly config?: Partial<GatewayConfig.GatewayConfigShape>
  /** Who may come in, by the tokens that they present. Default: everybody is the owner. */
  readonly principals?: Readonly<Record<string, Principal>>
  /** Which agents the script plays. Default: one, as the default agent. */
  readonly agents?: ScriptedAgent.Cast
  /** What the store has at the start: what `SessionStoreMemory.crash` of another gateway gave. Default: nothing. */
  readonly disk?: SessionStoreMemory.MemoryDisk
}

/** Everything that a test may ask for. */
export type Services =
  | GatewayTest
  | Gateway.Services
  | ScriptedAgent.ScriptedAgent
  | SessionStore
  | RunJournal
  | SessionStoreMemory.SessionStoreMemory
  | GatewayConfig.GatewayConfig

const core: Layer.Layer<GatewayTest, never, Inside.Gateway> = Layer.effect(
  GatewayTest,
  Effect.map(Inside.Gateway, (gateway) => ({
    open: TestClient.open(TestClient.memoryWire(gateway)),
    connect: (options) =>
      Effect.tap(TestClient.open(TestClient.memoryWire(gateway)), (client) => client.connect(options))
  }))
)

/** A gateway with a scripted agent. */
export const layer = (options: Options = {}): Layer.Layer<Services> =>
  layerWith(
    options.agents === undefined ? ScriptedAgent.layer : ScriptedAgent.layerOf(options.agents),
    options
  )

/** A gateway with an agent of your own, to test that agent against the whole of it. */
export const layerWith = <A, E, R>(
  agent: Layer.Layer<A | AgentRunner, E, R>,
  options: Options = {}
): Layer.Layer<
  | GatewayTest
  | Gateway.Services
  | A
  | SessionStore
  | RunJournal
  | SessionStoreMemory.SessionStoreMemory
  | GatewayConfig.GatewayConfig,
  E,
  R
> => {
  const config = { ...GatewayConfig.defaults, ...options.config }
  return ClosingTime.layer(
    core.pipe(
      Layer.provideMerge(Gateway.layer),
      Layer.provideMerge(
        Layer.mergeAll(
          agent,
          options.principals === undefined
            ? Authenticator.layerNone
            : Authenticator.layerTokens(
                Object.entries(options.principals).map(([token, principal]) => ({
                  token: Redacted.make(token),
                  principal
                }))
              ),
          SessionStoreMemory.layer({
            sessionKeyDefaults: config,
            cwd: "/",
            ...(options.disk === undefined ? {} : { disk: options.disk })
          }),
          GatewayConfig.layer(options.config)
        )
      )
    )
  )
}
