/** A gateway behind a real WebSocket, with its sessions in files. */
import { Context, Deferred, Duration, Effect, Exit, Layer, Option, Scope } from "effect"
import * as Authenticator from "../../src/auth/Authenticator.js"
import * as Gateway from "../../src/Gateway.js"
import * as GatewayConfig from "../../src/GatewayConfig.js"
import * as ClosingTime from "../../src/testing/ClosingTime.js"
import { FaultyFileSystem } from "../../src/testing/FaultyFileSystem.js"
import * as ScriptedAgent from "../../src/testing/ScriptedAgent.js"
import * as TestClient from "../../src/testing/TestClient.js"
import * as WebSocketTransport from "../../src/transport/WebSocketTransport.js"
import * as StoreProbe from "../contract/StoreProbe.js"
import { socketWire } from "../support/SocketWire.js"
import { Harness, type MakeHarness, parseIndex, parseLines } from "./Harness.js"

const harness = Layer.scoped(
  Harness,
  Effect.gen(function* () {
    const probe = yield* StoreProbe.StoreProbe
    const files = yield* FaultyFileSystem
    const server = yield* Scope.make()
    const address = yield* Layer.buildWithScope(
      WebSocketTransport.layer({ host: "127.0.0.1", port: 0 }),
      server
    ).pipe(Effect.map(Context.get(WebSocketTransport.Address)), Effect.orDie)
    const clients: Array<TestClient.TestClient> = []
    let saving = yield* Deferred.make<void>()

    // Clients that a test has left stalled would make the server wait for a clock that nobody moves any more.
    yield* Effect.addFinalizer(() =>
      Effect.zipRight(
        Effect.forEach(clients, (client) => client.leave),
        Scope.close(server, Exit.void)
      )
    )

    const open = Effect.tap(TestClient.open(socketWire(address.url)), (client) =>
      Effect.sync(() => clients.push(client))
    )
    return {
      open,
      connect: (options) => Effect.tap(open, (client) => client.connect(options)),
      stop: Scope.close(server, Exit.void),
      setSaveDelay: (input) =>
        Effect.gen(function* () {
          const delay = Duration.decode(input)
          const begun = yield* Deferred.make<void>()
          saving = begun
          yield* files.setHook(({ name, step }) =>
            step === "write" && name.endsWith(".jsonl") && Duration.greaterThan(delay, Duration.zero)
              ? // The clock takes the sleeper in before anybody who waits for the receipt goes on.
                Effect.zipRight(Deferred.succeed(begun, undefined), Effect.sleep(delay))
              : Effect.void
          )
        }),
      saving: Effect.suspend(() => Deferred.await(saving)),
      failWrites: probe.failWrites,
      index: Effect.map(probe.index, (text) => parseIndex(Option.getOrElse(text, () => "{}"))),
      setIndex: (index) => probe.setIndex(JSON.stringify(index)),
      images: probe.images,
      setImage: probe.setImage,
      transcript: (file) =>
        Effect.map(probe.transcripts, (transcripts) => parseLines(transcripts.get(file) ?? "")),
      setTranscript: (file, lines) =>
        probe.setTranscript(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(""))
    }
  })
)

export const layer: MakeHarness = ({ agents, ...config } = {}) =>
  ClosingTime.layer(
    harness.pipe(
      Layer.provideMerge(Gateway.layer),
      Layer.provideMerge(
        Layer.mergeAll(
          agents === undefined ? ScriptedAgent.layer : ScriptedAgent.layerOf(agents),
          Authenticator.layerNone,
          StoreProbe.layerFile,
          GatewayConfig.layer(config)
        )
      ),
      Layer.orDie
    )
  )
