/**
 * SessionStoreFile: `SessionStore` in a state directory: `sessions.json` and a `.jsonl` file for each session.
 *
 * `sessions.json` is replaced atomically (write beside it, fsync, rename, fsync of the directory) by one writer; the
 * sends that wait share a write. One gateway at a time may use a state directory; other programs may edit its files.
 */
import type { FileSystem, Path } from "@effect/platform"
import { Effect, Layer } from "effect"
import * as FileDriver from "./FileDriver.js"
import type { SessionStoreError } from "../domain/SessionError.js"
import { SessionStore } from "./SessionStore.js"
import * as StoreEngine from "./StoreEngine.js"

export interface Options extends StoreEngine.EngineOptions {
  /** Made when it is missing. Nothing outside of it is ever read or written. */
  readonly stateDir: string
}

/** Fails when the state directory can't be made. Closing it waits for the writes that have begun. */
export const layer = (
  options: Options
): Layer.Layer<SessionStore, SessionStoreError, FileSystem.FileSystem | Path.Path> =>
  Layer.scoped(
    SessionStore,
    Effect.flatMap(FileDriver.make(options.stateDir), (driver) => StoreEngine.make(driver, options))
  )
