/**
 * A gateway to be killed: embedded on a state directory and a free port, with an agent that leaves a witness of each call
 * before it does anything else. Prints its address when it listens.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, Layer, Logger, LogLevel, Redacted, Stream } from "effect"
import { openSync, renameSync, writeFileSync, writeSync } from "node:fs"
import * as AgentRunner from "../../src/agent/AgentRunner.js"
import * as Authenticator from "../../src/auth/Authenticator.js"
import * as Gateway from "../../src/Gateway.js"
import * as GatewayConfig from "../../src/GatewayConfig.js"
import * as SessionStoreFile from "../../src/session/SessionStoreFile.js"
import { Address } from "../../src/transport/WebSocketTransport.js"
import * as Behaviour from "./Behaviour.js"
import * as LossyDisk from "./LossyDisk.js"
import { type GatewayOptions, parseGateway } from "./Options.js"
import * as Prng from "./Prng.js"

/** One write for each call, whatever comes behind it: what a killed process has written, the system keeps. */
const agent = (calls: string) => {
  const file = openSync(calls, "a")
  return AgentRunner.fromStream(({ images, runId }) => {
    writeSync(file, `${runId}\n`)
    if (images[0]?.data !== Behaviour.imageOf(runId)?.data) return Stream.make("not what was sent")
    const { fails, pieces } = Behaviour.of(runId)
    const answer = Stream.mapEffect(Stream.rechunk(Stream.fromIterable(pieces), 1), ({ delayMs, text }) =>
      delayMs === 0 ? Effect.succeed(text) : Effect.delay(Effect.succeed(text), delayMs)
    )
    return fails
      ? Stream.concat(
          answer,
          Stream.fail(new AgentRunner.AgentError({ message: "the agent fails as it was told to" }))
        )
      : answer
  })
}

/** What other processes would read beyond what is on the disk, written to a file when they ask by a signal. */
const showHeld =
  (file: string): Required<LossyDisk.Options>["onStart"] =>
  (held) => {
    process.on("SIGUSR2", () => {
      const texts = [...held()].map(([inode, bytes]) => [inode, Buffer.from(bytes).toString("base64")])
      writeFileSync(`${file}.tmp`, JSON.stringify(Object.fromEntries(texts)))
      renameSync(`${file}.tmp`, file)
    })
  }

const disk = ({ break: broken, disk, held, seed }: GatewayOptions) => {
  if (disk === "real") return NodeFileSystem.layer
  const lies = { fsync: "1 second", order: "30 millis", journal: undefined, none: undefined } as const
  return LossyDisk.layer({
    files: /^runs\.journal|\.jsonl$|\.png/,
    prng: Prng.make("disk", seed),
    onStart: showHeld(held),
    ...(lies[broken] === undefined ? {} : { syncsAfter: lies[broken] })
  })
}

const gateway = (options: GatewayOptions) =>
  Gateway.layerWebSocket({ host: "127.0.0.1", port: 0 }).pipe(
    Layer.provide(agent(options.calls)),
    Layer.provide(Authenticator.layerToken(Redacted.make("crash"))),
    Layer.provide(SessionStoreFile.layer({ stateDir: options.stateDir })),
    Layer.provide(GatewayConfig.layer()),
    Layer.provide(Layer.mergeAll(disk(options), NodePath.layer))
  )

const announce = Layer.effectDiscard(
  Effect.flatMap(Address, ({ url }) => Effect.sync(() => process.stdout.write(`${url}\n`)))
)

/** To standard error: the address is all that standard output has. */
const log = Layer.merge(
  Logger.replace(Logger.defaultLogger, Logger.withConsoleError(Logger.logfmtLogger)),
  Logger.minimumLogLevel(LogLevel.Info)
)

Layer.launch(announce.pipe(Layer.provide(gateway(parseGateway(process.argv.slice(2)))))).pipe(
  Effect.provide(log),
  NodeRuntime.runMain({ disablePrettyLogger: true })
)
