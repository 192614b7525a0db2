/**
 * Clients behind a network that cuts and delays at random, and a gateway that is stopped and started again on the same files:
 * every message is in its session exactly once, in its order, and every end is seen by its sender exactly once.
 */
import { describe, expect, it } from "@effect/vitest"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import { Context, Duration, Effect, Exit, Layer, Logger, Scope, Stream } from "effect"
import * as AgentRunner from "../../src/agent/AgentRunner.js"
import * as Authenticator from "../../src/auth/Authenticator.js"
import * as Client from "../../src/client/Client.js"
import { isTerminal } from "../../src/client/Answer.js"
import * as Gateway from "../../src/Gateway.js"
import * as GatewayConfig from "../../src/GatewayConfig.js"
import * as SessionStoreFile from "../../src/session/SessionStoreFile.js"
import * as WebSocketClient from "../../src/transport/WebSocketClient.js"
import * as WebSocketTransport from "../../src/transport/WebSocketTransport.js"
import * as ChaosProxy from "../support/ChaosProxy.js"

const agent = AgentRunner.fromStream(({ message }) =>
  Stream.fromIterable(["re ", ...message.split(/(?<= )/)]).pipe(
    Stream.mapEffect((word) => Effect.as(Effect.yieldNow(), word))
  )
)

/** A gateway on these files; answers its port. */
const gateway = (stateDir: string) =>
  Effect.map(
    Layer.build(
      Gateway.layerWebSocket({ host: "127.0.0.1", port: 0 }).pipe(
        Layer.provide([
          agent,
          Authenticator.layerNone,
          GatewayConfig.layer({ shutdownGrace: Duration.seconds(1) })
        ]),
        Layer.provide(SessionStoreFile.layer({ stateDir }))
      )
    ),
    (services) => Context.get(services, WebSocketTransport.Address).port
  )

const clients = 4
const sessions = ["a", "b"]
const rounds = 6

const world = (seed: number, restarts: number) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const stateDir = yield* fs.makeTempDirectoryScoped({ prefix: "colloquy-chaos-" })
    const proxy = yield* ChaosProxy.open(seed, { cut: 0.04, hold: 0.3 })
    let life = yield* Scope.make()
    const start = Effect.flatMap(Scope.extend(gateway(stateDir), life), proxy.aim)
    yield* start
    yield* Effect.addFinalizer(() => Effect.suspend(() => Scope.close(life, Exit.void)))

    const talk = (who: number) =>
      Effect.gen(function* () {
        const client = yield* Client.make({
          url: `ws://127.0.0.1:${proxy.port}`,
          client: { id: "test", version: "1", platform: "test", mode: "test" },
          reconnect: { base: "2 millis", max: "20 millis" }
        })
        const ends = new Map<string, number>()
        const events = yield* client.subscribe
        yield* Effect.forkScoped(
          Stream.runForEach(events, (event) =>
            Effect.sync(() => {
              if (event.event !== "chat" || !isTerminal(event.payload)) return
              ends.set(event.payload.runId, (ends.get(event.payload.runId) ?? 0) + 1)
            })
          )
        )
        const sent = []
        for (let round = 0; round < rounds; round++) {
          for (const sessionKey of sessions) {
            const key = `${who}-${sessionKey}-${round}`
            sent.push(yield* client.send({ sessionKey, message: `${key} of them`, key }))
          }
          // The last one of each round is waited for, so that rounds mix with what the network does.
          const last = sent.at(-1)
          if (last !== undefined) yield* Effect.exit(last.result)
        }
        const results = yield* Effect.forEach(sent, (run) =>
          Effect.map(Effect.exit(run.result), (exit) => ({ key: run.key, exit }))
        )
        return { results, ends, client }
      })

    const talking = yield* Effect.forkScoped(
      Effect.forEach(Array.from({ length: clients }), (_, who) => talk(who), { concurrency: "unbounded" })
    )
    for (let n = 0; n < restarts; n++) {
      // Some cuts later.
      const before = yield* proxy.cuts
      yield* Effect.repeat(
        Effect.promise(() => new Promise((resolve) => setImmediate(resolve))),
        { until: () => Effect.map(proxy.cuts, (now) => now > before + 3) }
      )
      yield* Scope.close(life, Exit.void)
      life = yield* Scope.make()
      yield* Effect.flatMap(Scope.extend(gateway(stateDir), life), proxy.aim)
    }
    const told = yield* talking
    yield* proxy.calm
    const [first] = told
    const histories = yield* Effect.forEach(sessions, (sessionKey) =>
      Effect.map(
        first?.client.call("chat.history", { sessionKey, limit: 1000 }) ?? Effect.never,
        ({ messages }) => ({
          sessionKey,
          asked: messages.filter(({ role }) => role === "user").map(({ runId }) => String(runId)),
          answered: messages.filter(({ role }) => role === "assistant").map(({ runId }) => String(runId))
        })
      )
    )
    return { told, histories, cuts: yield* proxy.cuts }
  }).pipe(Effect.scoped)

const layer = Layer.mergeAll(NodeContext.layer, WebSocketClient.layer, Logger.remove(Logger.defaultLogger))

describe("clients behind a bad network", () => {
  it.live.each([1, 2, 3, 4, 5])("lose nothing and double nothing (seed %i)", (seed) =>
    Effect.gen(function* () {
      const { cuts, histories, told } = yield* world(seed, 0)
      expect(cuts).toBeGreaterThan(3)
      for (const { ends, results } of told) {
        for (const { exit, key } of results) {
          expect([key, Exit.isSuccess(exit) && exit.value.text]).toEqual([key, `re ${key} of them`])
        }
        for (const [key, count] of ends) expect([key, count]).toEqual([key, 1])
      }
      for (const { answered, asked, sessionKey } of histories) {
        const all = Array.from({ length: clients }, (_, who) =>
          Array.from({ length: rounds }, (_, round) => `${who}-${sessionKey}-${round}`)
        )
        expect(asked.toSorted()).toEqual(all.flat().toSorted())
        expect(answered.toSorted()).toEqual(all.flat().toSorted())
        // Each client's own come in their order.
        for (const own of all) expect(asked.filter((key) => own.includes(key))).toEqual(own)
      }
    }).pipe(Effect.provide(layer))
  )

  it.live.each([11, 12, 13])("nor when the gateway is started again meanwhile (seed %i)", (seed) =>
    Effect.gen(function* () {
      const { histories, told } = yield* world(seed, 2)
      for (const { ends, results } of told) {
        // What was at work when the gateway stopped has ended with it; it has ended, and once.
        for (const { exit, key } of results) {
          const isKnown =
            Exit.isSuccess(exit) ||
            (exit.cause._tag === "Fail" && /^Run(Aborted|Failed)$/.test(exit.cause.error._tag))
          expect([key, isKnown]).toEqual([key, true])
        }
        for (const [key, count] of ends) expect([key, count]).toEqual([key, 1])
      }
      for (const { asked, sessionKey } of histories) {
        const all = Array.from({ length: clients }, (_, who) =>
          Array.from({ length: rounds }, (_, round) => `${who}-${sessionKey}-${round}`)
        )
        expect(asked.toSorted()).toEqual(all.flat().toSorted())
      }
    }).pipe(Effect.provide(layer))
  )
})
