/** The disk of a store between two lives of a gateway: what a crash has left of it, or somebody has done to it. */
import { FileSystem } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Context, Effect, Layer, type Scope } from "effect"
import type { SessionStoreError } from "../../src/domain/SessionError.js"
import { GrowingBytes } from "../../src/journal/GrowingBytes.js"
import { RunJournal } from "../../src/journal/RunJournal.js"
import { SessionStore } from "../../src/session/SessionStore.js"
import * as SessionStoreMemory from "../../src/session/SessionStoreMemory.js"
import type { Engine } from "../../src/session/StoreEngine.js"
import * as Restart from "../support/Restart.js"
import { storeOptions } from "./StoreProbe.js"

/** A file of the state directory. */
export type Place = "index" | "backup" | "journal" | { readonly file: string }

export interface StoreDisk {
  /** Starts a store on it. */
  readonly open: Effect.Effect<Engine, SessionStoreError, Scope.Scope>
  /** Undefined: there is no such file. */
  readonly read: (place: Place) => Effect.Effect<Buffer | undefined>
  /** Undefined: the file goes away. */
  readonly write: (place: Place, bytes: Uint8Array | undefined) => Effect.Effect<void>
  /** The names of files that are kept for people to look at: `….torn`, `….damaged…`. */
  readonly kept: Effect.Effect<ReadonlyArray<string>>
  /** What a crash at this moment leaves. */
  readonly copy: Effect.Effect<StoreDisk, never, Scope.Scope>
}

const isKept = (name: string): boolean => /\.torn$|\.damaged/.test(name)

const file = (stateDir: string): StoreDisk => {
  const pathOf = (place: Place): string =>
    `${stateDir}/${
      place === "index"
        ? "sessions.json"
        : place === "backup"
          ? "sessions.json.bak"
          : place === "journal"
            ? "runs.journal"
            : place.file
    }`
  const withFiles = <A, E>(use: (fs: FileSystem.FileSystem) => Effect.Effect<A, E>) =>
    Effect.flatMap(FileSystem.FileSystem, use).pipe(Effect.orDie, Effect.provide(NodeFileSystem.layer))
  return {
    open: Restart.open(stateDir),
    read: (place) =>
      withFiles((fs) =>
        Effect.map(Effect.option(fs.readFile(pathOf(place))), (found) =>
          found._tag === "None" ? undefined : Buffer.from(found.value)
        )
      ),
    write: (place, bytes) =>
      withFiles((fs) =>
        bytes === undefined
          ? fs.remove(pathOf(place), { force: true })
          : // A file that has two names is not to be changed under the other one.
            Effect.zipRight(fs.remove(pathOf(place), { force: true }), fs.writeFile(pathOf(place), bytes))
      ),
    kept: withFiles((fs) =>
      Effect.map(fs.readDirectory(stateDir, { recursive: true }), (names) => names.filter(isKept))
    ),
    copy: Effect.map(Restart.copyOf(stateDir), file)
  }
}

const memory = (disk: SessionStoreMemory.MemoryDisk): StoreDisk => {
  // Its stamps are numbers; one that another program has made is higher than all before.
  let foreign = 1_000_000
  return {
    open: Effect.map(Layer.build(SessionStoreMemory.layer({ ...storeOptions, disk })), (services) => ({
      store: Context.get(services, SessionStore),
      journal: Context.get(services, RunJournal)
    })),
    read: (place) =>
      Effect.sync(() => {
        if (place === "index") return disk.index && Buffer.from(disk.index.bytes)
        if (place === "backup") return disk.backup && Buffer.from(disk.backup)
        const bytes = place === "journal" ? disk.journal.log : disk.files.get(place.file)
        return bytes && Buffer.from(bytes.view(0, bytes.size))
      }),
    write: (place, bytes) =>
      Effect.sync(() => {
        if (place === "index")
          disk.index =
            bytes === undefined
              ? undefined
              : { bytes, stamp: { id: String(++foreign), modifiedAt: undefined } }
        else if (place === "backup") disk.backup = bytes
        else if (place === "journal") disk.journal.log = GrowingBytes.of(bytes ?? Buffer.of())
        else if (bytes === undefined) disk.files.delete(place.file)
        else disk.files.set(place.file, GrowingBytes.of(bytes))
      }),
    kept: Effect.sync(() => Array.from(disk.files.keys()).filter(isKept)),
    copy: Effect.sync(() => memory(SessionStoreMemory.copyDisk(disk)))
  }
}

/** An empty disk of each kind. */
export const implementations: ReadonlyArray<
  readonly [name: string, make: Effect.Effect<StoreDisk, never, Scope.Scope>]
> = [
  [
    "file",
    Effect.flatMap(FileSystem.FileSystem, (fs) =>
      Effect.map(fs.makeTempDirectoryScoped({ prefix: "colloquy-disk-" }), (directory) =>
        file(`${directory}/state`)
      )
    ).pipe(Effect.orDie, Effect.provide(NodeFileSystem.layer))
  ],
  ["memory", Effect.sync(() => memory(SessionStoreMemory.makeDisk()))]
]
