/** What the contract of `SessionStore` needs to see and do beside the store: act as another program, and as a bad disk. */
import { FileSystem, Path } from "@effect/platform"
import * as NodePath from "@effect/platform-node/NodePath"
import { Context, Effect, Layer, Option } from "effect"
import { type AgentId, parseAgentId, type SessionKeyDefaults } from "../../src/domain/SessionKey.js"
import { SessionStore } from "../../src/session/SessionStore.js"
import * as SessionStoreFile from "../../src/session/SessionStoreFile.js"
import * as SessionStoreMemory from "../../src/session/SessionStoreMemory.js"
import * as FaultyFileSystem from "../session/FaultyFileSystem.js"

export interface StoreProbeShape {
  /** The text of `sessions.json`. */
  readonly index: Effect.Effect<Option.Option<string>>
  readonly setIndex: (text: string) => Effect.Effect<void>
  /** All transcripts by file name. */
  readonly transcripts: Effect.Effect<ReadonlyMap<string, string>>
  readonly setTranscript: (file: string, text: string) => Effect.Effect<void>
  readonly indexWrites: Effect.Effect<number>
  /** The next `count` writes of the index or of transcripts fail with `ENOSPC`. */
  readonly failWrites: (kind: "index" | "append", count: number) => Effect.Effect<void>
}

export class StoreProbe extends Context.Tag("test/StoreProbe")<StoreProbe, StoreProbeShape>() {}

export const defaultAgentId: AgentId = Option.getOrThrow(Option.getRight(parseAgentId("main")))
export const sessionKeyDefaults: SessionKeyDefaults = { defaultAgentId, mainKey: "main" }

/** The state directory of a store under test. */
export class StateDir extends Context.Tag("test/StateDir")<StateDir, string>() {}

const stateDir = Layer.scoped(
  StateDir,
  Effect.flatMap(FileSystem.FileSystem, (fs) =>
    // Out of the way of the faults: those are meant for the store.
    Effect.map(fs.makeTempDirectoryScoped({ prefix: "colloquy-store-" }), (directory) => `${directory}/state`)
  ).pipe(Effect.orDie)
)

export const storeOptions = { sessionKeyDefaults, cwd: "/work" }

const probeFile = Layer.effect(
  StoreProbe,
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const faults = yield* FaultyFileSystem.FaultyFileSystem
    const directory = yield* StateDir
    const store = yield* SessionStore
    const index = path.join(directory, "sessions.json")
    return {
      index: Effect.zipRight(Effect.ignore(store.flush), Effect.option(fs.readFileString(index))),
      setIndex: (text) => Effect.orDie(fs.writeFileString(index, text)),
      transcripts: Effect.gen(function* () {
        const names = (yield* fs.readDirectory(directory, { recursive: true })).filter((name) =>
          name.endsWith(".jsonl")
        )
        const texts = yield* Effect.forEach(names, (name) => fs.readFileString(path.join(directory, name)))
        return new Map(names.map((name, at) => [name, texts[at] ?? ""]))
      }).pipe(Effect.orDie),
      setTranscript: (file, text) =>
        Effect.zipRight(
          fs.makeDirectory(path.dirname(path.join(directory, file)), { recursive: true }),
          fs.writeFileString(path.join(directory, file), text)
        ).pipe(Effect.orDie),
      indexWrites: Effect.map(
        faults.steps,
        (steps) => steps.filter(({ name, step }) => step === "rename" && name === "sessions.json").length
      ),
      failWrites: (kind, count) =>
        kind === "index"
          ? faults.fail("write", /^sessions\.json\.tmp$/, count)
          : faults.fail("write", /\.jsonl$/, count)
    }
  })
)

const probeMemory = Layer.effect(
  StoreProbe,
  Effect.map(SessionStoreMemory.SessionStoreMemory, (memory) => ({
    index: memory.index,
    setIndex: memory.setIndex,
    transcripts: memory.files,
    setTranscript: memory.setFile,
    indexWrites: Effect.map(
      memory.operations,
      (operations) => operations.filter(({ operation }) => operation === "index").length
    ),
    failWrites: (kind, count) => memory.failWrites(count, { kind })
  }))
)

/** A file store in a directory of its own, on a file system with levers. */
export const layerFile = Layer.provideMerge(
  probeFile,
  Layer.unwrapEffect(
    Effect.map(StateDir, (directory) => SessionStoreFile.layer({ ...storeOptions, stateDir: directory }))
  )
).pipe(
  Layer.provideMerge(stateDir),
  Layer.provideMerge(FaultyFileSystem.layer),
  Layer.provideMerge(NodePath.layer)
)

/** A memory store. */
export const layerMemory = Layer.provideMerge(probeMemory, SessionStoreMemory.layer(storeOptions))

/** Every implementation of the port. */
export const implementations: ReadonlyArray<
  readonly [name: string, layer: Layer.Layer<SessionStore | StoreProbe, unknown>]
> = [
  ["file", layerFile],
  ["memory", layerMemory]
]
