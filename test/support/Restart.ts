/** Starts over: what a gateway that is started behind a crash finds. */
import { FileSystem } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { Effect, Layer, type Scope } from "effect"
import type { SessionStoreError } from "../../src/domain/SessionError.js"
import * as FileDriver from "../../src/session/FileDriver.js"
import * as StoreEngine from "../../src/session/StoreEngine.js"
import { storeOptions } from "../contract/StoreProbe.js"

const platform = Layer.merge(NodeFileSystem.layer, NodePath.layer)

/** What a crash at this moment would leave of a state directory: a copy of it. */
export const copyOf = (stateDir: string): Effect.Effect<string, never, Scope.Scope> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const copy = `${yield* fs.makeTempDirectoryScoped({ prefix: "colloquy-crash-" })}/state`
    yield* fs.makeDirectory(copy)
    for (const name of yield* fs.readDirectory(stateDir, { recursive: true })) {
      // A file that is only there while another one is written may be gone again.
      yield* Effect.catchIf(
        fs.copy(`${stateDir}/${name}`, `${copy}/${name}`),
        (error) => error._tag === "SystemError" && error.reason === "NotFound",
        () => Effect.void
      )
    }
    return copy
  }).pipe(Effect.orDie, Effect.provide(NodeFileSystem.layer))

/** The stores of a state directory on a good disk, past its lock, with nothing remembered. */
export const open = (
  stateDir: string,
  options: StoreEngine.EngineOptions = storeOptions
): Effect.Effect<StoreEngine.Engine, SessionStoreError, Scope.Scope> =>
  Effect.flatMap(FileDriver.make(stateDir, "os"), (driver) => StoreEngine.make(driver, options)).pipe(
    Effect.provide(platform)
  )
