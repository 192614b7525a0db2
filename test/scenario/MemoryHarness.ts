/** A gateway in memory, without a socket. */
import { Effect, Layer, Option, TestClock } from "effect"
import { Gateway } from "../../src/gateway/Gateway.js"
import { SessionStoreMemory } from "../../src/session/SessionStoreMemory.js"
import * as GatewayTest from "../../src/testing/GatewayTest.js"
import { Harness, type MakeHarness, parseIndex, parseLines } from "./Harness.js"

const harness = Layer.effect(
  Harness,
  Effect.gen(function* () {
    const test = yield* GatewayTest.GatewayTest
    const gateway = yield* Gateway
    const store = yield* SessionStoreMemory
    return {
      open: test.open,
      connect: test.connect,
      // As in a finalizer, where it is called when the gateway's scope closes.
      stop: Effect.uninterruptible(gateway.shutdown),
      setSaveDelay: store.setSaveDelay,
      // No real I/O lies between a request and its save: when all fibers have come to rest, it waits.
      saving: TestClock.adjust(0),
      failWrites: (kind, count) => store.failWrites(count, { kind }),
      index: Effect.map(store.index, (text) => parseIndex(Option.getOrElse(text, () => "{}"))),
      setIndex: (index) => store.setIndex(JSON.stringify(index)),
      images: store.images,
      setImage: store.setImage,
      transcript: (file) => Effect.map(store.files, (files) => parseLines(files.get(file) ?? "")),
      setTranscript: (file, lines) =>
        store.setFile(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(""))
    }
  })
)

export const layer: MakeHarness = ({ agents, ...config } = {}) =>
  Layer.provideMerge(harness, GatewayTest.layer({ config, ...(agents === undefined ? {} : { agents }) }))
