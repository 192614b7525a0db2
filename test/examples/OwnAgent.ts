import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as AgentRunner from "colloquy/AgentRunner"
import * as Authenticator from "colloquy/Authenticator"
import * as Gateway from "colloquy/Gateway"
import * as GatewayConfig from "colloquy/GatewayConfig"
import * as SessionStoreFile from "colloquy/SessionStoreFile"
import { Layer, Redacted, Schedule, Stream } from "effect"

// Your agent: any stream of text. Abort interrupts it, finalizers included; a failure becomes the run's `error`.
const agent = AgentRunner.fromStream(({ message }) =>
  Stream.fromIterable(["You ", "said: ", message]).pipe(Stream.schedule(Schedule.spaced("100 millis")))
)

const gateway = Gateway.layerWebSocket({ host: "127.0.0.1", port: 18789 }).pipe(
  Layer.provide([agent, Authenticator.layerToken(Redacted.make("my-token")), GatewayConfig.layer()]),
  Layer.provide(SessionStoreFile.layer({ stateDir: "./state" })),
  Layer.provide([NodeFileSystem.layer, NodePath.layer])
)

NodeRuntime.runMain(Layer.launch(gateway))
