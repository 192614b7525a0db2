import { expect, it } from "@effect/vitest"
import * as AgentDemo from "colloquy/AgentDemo"
import * as Authenticator from "colloquy/Authenticator"
import * as Gateway from "colloquy/Gateway"
import * as GatewayConfig from "colloquy/GatewayConfig"
import * as SessionStoreMemory from "colloquy/SessionStoreMemory"
import { Address } from "colloquy/WebSocketTransport"
import { Effect, Layer, Random } from "effect"
import { TestClient } from "colloquy/testing"
import { socketWire } from "../support/SocketWire.js"

/** The nonce of a listening gateway's challenge, embedded under a Random that always begins the same. */
const nonce = Effect.gen(function* () {
  const { url } = yield* Address
  const client = yield* TestClient.open(socketWire(url))
  const challenge = yield* client.awaitFrame((frame) => frame.type === "event")
  return challenge.type === "event" ? challenge.payload : undefined
}).pipe(
  Effect.provide(
    Gateway.layerWebSocket({ host: "127.0.0.1", port: 0 }).pipe(
      Layer.provide([
        AgentDemo.layer,
        Authenticator.layerNone,
        GatewayConfig.layer(),
        SessionStoreMemory.layer()
      ])
    )
  ),
  Effect.scoped,
  Effect.withRandom(Random.make("seed"))
)

it.effect(
  "a gateway that listens draws its nonces from the system, whatever Random it is embedded under",
  () =>
    Effect.gen(function* () {
      expect(yield* nonce).not.toEqual(yield* nonce)
    })
)
