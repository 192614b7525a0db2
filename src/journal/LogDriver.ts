/**
 * LogDriver: the narrow interface under `Log`: the bytes of one file that grows at its end and is now and then replaced
 * as a whole. One call at a time, but for `stage`, which runs beside `append`. Writing calls run in uninterruptible fibers.
 */
import type { Effect } from "effect"
import type { SessionStoreError } from "../domain/SessionError.js"

export interface LogDriver {
  /** Everything in the log, read once, at the start. Empty when there is no log. */
  readonly read: Effect.Effect<Uint8Array, SessionStoreError>
  /** Cuts the log to its first `size` bytes. */
  readonly truncate: (size: number) => Effect.Effect<void, SessionStoreError>
  /** Keeps bytes that can't be used in a file beside the log, for people to look at. */
  readonly setAside: (bytes: Uint8Array) => Effect.Effect<void, SessionStoreError>
  /**
   * Appends; when it succeeds the bytes are as durable as the driver was told to make them. When it fails, nothing of them
   * stays in the log: it is cut back, at the latest before the next append.
   */
  readonly append: (bytes: Uint8Array) => Effect.Effect<void, SessionStoreError>
  /** Is the log still under its name? Not when somebody has removed or replaced the file. */
  readonly isInPlace: Effect.Effect<boolean, SessionStoreError>
  /** Writes the beginning of a new log beside this one. Nobody sees it yet. A staged log that was there is dropped. */
  readonly stage: (chunks: Iterable<Uint8Array>) => Effect.Effect<void, SessionStoreError>
  /**
   * Appends `rest` to the staged log and puts it in the place of this one, atomically; appends go there from now on. When
   * it fails, the old log stays.
   */
  readonly swap: (rest: ReadonlyArray<Uint8Array>) => Effect.Effect<void, SessionStoreError>
}
