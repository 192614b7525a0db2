/** LogMemory: a log in memory. Its bytes outlive whoever opened it, as a file's do. */
import { Effect } from "effect"
import type { SessionStoreError } from "../domain/SessionError.js"
import { GrowingBytes } from "./GrowingBytes.js"
import type { LogDriver } from "./LogDriver.js"

/** The bytes of a log, and what was put aside of it. */
export interface LogBytes {
  log: GrowingBytes
  readonly aside: GrowingBytes
}

/** `mayFail` is asked before each write: its failure is that of the write. */
export const make = (bytes: LogBytes, mayFail: Effect.Effect<void, SessionStoreError>): LogDriver => {
  let staged = new GrowingBytes()
  return {
    read: Effect.sync(() => bytes.log.view(0, bytes.log.size)),
    truncate: (size) => Effect.sync(() => bytes.log.truncate(size)),
    setAside: (torn) => Effect.sync(() => bytes.aside.appendLine(torn)),
    append: (more) => Effect.map(mayFail, () => bytes.log.append(more)),
    isInPlace: Effect.succeed(true),
    stage: (chunks) =>
      Effect.map(mayFail, () => {
        staged = GrowingBytes.of(...chunks)
      }),
    swap: (rest) =>
      Effect.sync(() => {
        for (const more of rest) staged.append(more)
        bytes.log = staged
        staged = new GrowingBytes()
      })
  }
}
