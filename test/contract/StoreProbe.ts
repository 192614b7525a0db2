/** What the contract of `SessionStore` needs to see and do beside the store: act as another program, and as a bad disk. */
import { FileSystem, Path } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { Context, Effect, Layer, Option } from "effect"
import { type AgentId, parseAgentId, type SessionKeyDefaults } from "../../src/domain/SessionKey.js"
import { SessionStore } from "../../src/session/SessionStore.js"
import * as SessionStoreFile from "../../src/session/SessionStoreFile.js"
import * as SessionStoreMemory from "../../src/session/SessionStoreMemory.js"
import * as FaultyFileSystem from "../../src/testing/FaultyFileSystem.js"

export interface StoreProbeShape {
  /** The text of `sessions.json`, with all that was accepted so far. */
  readonly index: Effect.Effect<Option.Option<string>>
  /** Replaces it, when all that was accepted so far is in it. */
  readonly setIndex: (text: string) => Effect.Effect<void>
  /** All transcripts by file name. */
  readonly transcripts: Effect.Effect<ReadonlyMap<string, string>>
  readonly setTranscript: (file: string, text: string) => Effect.Effect<void>
  /** What was put aside of transcripts, by the name of its file. */
  readonly aside: Effect.Effect<ReadonlyMap<string, string>>
  /** The files of images by name. */
  readonly images: Effect.Effect<ReadonlyMap<string, Uint8Array>>
  /** Undefined: it goes away. */
  readonly setImage: (name: string, bytes: Uint8Array | undefined) => Effect.Effect<void>
  readonly indexWrites: Effect.Effect<number>
  /**
   * The next `count` writes of the run journal, of transcripts, of images or of the index fail with `ENOSPC`. Replaces what was set
   * before.
   */
  readonly failWrites: (kind: SessionStoreMemory.WriteKind, count: number) => Effect.Effect<void>
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
    const images = path.join(directory, "attachments")
    const flushed = Effect.ignore(store.flush)
    const filesNamed = (suffix: string) =>
      Effect.gen(function* () {
        const names = (yield* fs.readDirectory(directory, { recursive: true })).filter((name) =>
          name.endsWith(suffix)
        )
        const texts = yield* Effect.forEach(names, (name) => fs.readFileString(path.join(directory, name)))
        return new Map(names.map((name, at) => [name, texts[at] ?? ""]))
      }).pipe(Effect.orDie)
    return {
      index: Effect.zipRight(flushed, Effect.option(fs.readFileString(index))),
      setIndex: (text) => Effect.zipRight(flushed, Effect.orDie(fs.writeFileString(index, text))),
      transcripts: filesNamed(".jsonl"),
      aside: filesNamed(".jsonl.torn"),
      setTranscript: (file, text) =>
        Effect.zipRight(
          fs.makeDirectory(path.dirname(path.join(directory, file)), { recursive: true }),
          fs.writeFileString(path.join(directory, file), text)
        ).pipe(Effect.orDie),
      images: Effect.gen(function* () {
        const names = yield* Effect.orElseSucceed(fs.readDirectory(images), () => [])
        const found = yield* Effect.forEach(names, (name) => fs.readFile(path.join(images, name)))
        return new Map(names.map((name, at) => [name, found[at] ?? new Uint8Array()]))
      }).pipe(Effect.orDie),
      setImage: (name, bytes) =>
        Effect.orDie(
          bytes === undefined
            ? fs.remove(path.join(images, name))
            : fs.writeFile(path.join(images, name), bytes)
        ),
      indexWrites: Effect.map(
        Effect.zipRight(flushed, faults.steps),
        (steps) => steps.filter(({ name, step }) => step === "rename" && name === "sessions.json").length
      ),
      failWrites: (kind, count) =>
        Effect.zipRight(
          faults.heal,
          faults.fail(kind === "rename" ? "rename" : "write", filesOf[kind], count)
        )
    }
  })
).pipe(
  // The faults are meant for the store.
  Layer.provide(NodeFileSystem.layer)
)

const filesOf: { readonly [K in SessionStoreMemory.WriteKind]: RegExp } = {
  journal: /^runs\.journal$/,
  append: /\.jsonl$/,
  rename: /\.jsonl\.deleted\./,
  image: /\.(?:png|jpg|gif|webp)\.\d+\.tmp$/,
  index: /^sessions\.json\.tmp$/,
  any: /./
}

const probeMemory = Layer.effect(
  StoreProbe,
  Effect.gen(function* () {
    const memory = yield* SessionStoreMemory.SessionStoreMemory
    const filesNamed = (suffix: string) =>
      Effect.map(
        memory.files,
        (files) => new Map(Array.from(files).filter(([name]) => name.endsWith(suffix)))
      )
    return {
      index: memory.index,
      setIndex: memory.setIndex,
      transcripts: filesNamed(".jsonl"),
      aside: filesNamed(".jsonl.torn"),
      setTranscript: memory.setFile,
      images: memory.images,
      setImage: memory.setImage,
      indexWrites: Effect.map(
        Effect.zipRight(memory.index, memory.operations),
        (operations) => operations.filter(({ operation }) => operation === "index").length
      ),
      failWrites: (kind: SessionStoreMemory.WriteKind, count: number) => memory.failWrites(count, { kind })
    }
  })
)

/** A file store in a directory of its own, on a file system with levers. */
export const layerFile = Layer.provideMerge(
  probeFile,
  Layer.unwrapEffect(
    Effect.map(StateDir, (directory) => SessionStoreFile.layer({ ...storeOptions, stateDir: directory }))
  )
).pipe(
  Layer.provideMerge(stateDir),
  Layer.provideMerge(Layer.provide(FaultyFileSystem.layer, NodeFileSystem.layer)),
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
