/**
 * SessionStoreFile: `SessionStore` in a state directory: `sessions.json` and a `.jsonl` file for each session.
 *
 * A send waits for one fsync of the run journal (`runs.journal`), which it shares with all that wait then. `sessions.json`
 * follows: it is replaced atomically (write beside it, rename), and the last durable version before is kept as
 * `sessions.json.bak`. One gateway at a time uses a state directory (`StateLock`); other programs may edit its files.
 */
import type { FileSystem, Path } from "@effect/platform"
import { Context, Effect, Layer } from "effect"
import type { SessionStoreError, StateDirLocked } from "../domain/SessionError.js"
import type { Durability } from "../journal/Disk.js"
import { RunJournal } from "../journal/RunJournal.js"
import * as FileDriver from "./FileDriver.js"
import { SessionStore } from "./SessionStore.js"
import * as StateLock from "./StateLock.js"
import * as StoreEngine from "./StoreEngine.js"

export interface Options extends StoreEngine.EngineOptions {
  /** Made when it is missing. Nothing outside of it is ever read or written. */
  readonly stateDir: string
  /** Default `fsync`. */
  readonly durability?: Durability
}

/**
 * Repairs what a crash has left undone, then serves. Fails when another gateway uses the state directory, or when it can't
 * be made, locked, read or written. Nothing is read before it is locked. Closing it waits for the writes that have begun;
 * the lock goes last.
 */
export const layer = (
  options: Options
): Layer.Layer<
  SessionStore | RunJournal | StateLock.StateLock,
  SessionStoreError | StateDirLocked,
  FileSystem.FileSystem | Path.Path
> =>
  Layer.scopedContext(
    Effect.gen(function* () {
      const lock = yield* StateLock.acquire(options.stateDir)
      const driver = yield* FileDriver.make(options.stateDir, options.durability ?? "fsync")
      const { journal, store } = yield* StoreEngine.make(driver, options)
      return Context.make(SessionStore, store).pipe(
        Context.add(RunJournal, journal),
        Context.add(StateLock.StateLock, lock)
      )
    })
  )
