import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Client from "colloquy/client"
import * as WebSocketClient from "colloquy/WebSocketClient"
import { Console, Effect, Layer, Redacted, Stream } from "effect"

const program = Effect.gen(function* () {
  const client = yield* Client.Client
  const run = yield* client.send({ sessionKey: "notes", message: "What did we decide?" })
  // The answer as it grows; fails with RunFailed, RunAborted or SendRejected.
  yield* Stream.runForEach(run.deltas, ({ added }) => Console.log(added))
  const { usage } = yield* run.result
  yield* Console.log("tokens", usage)
})

const client = Client.layer({
  url: "ws://127.0.0.1:18789",
  token: Redacted.make("my-token"),
  client: { id: "my-program", version: "1.0.0", platform: "node", mode: "backend" }
}).pipe(Layer.provide(WebSocketClient.layer))

NodeRuntime.runMain(Effect.provide(program, client))
