/** Disk: what files of the state directory are written and read with, over the `FileSystem` service. */
import type { Error as PlatformErrors, FileSystem } from "@effect/platform"
import { Effect, Option } from "effect"
import { SessionStoreError } from "../domain/SessionError.js"

export type Failure = PlatformErrors.PlatformError | SessionStoreError

/**
 * How durable a write is when it is said to be done. `fsync`: it survives a power cut. `os`: it is in the operating
 * system's hands, and survives the end of this process, but not that of the machine.
 */
export type Durability = "fsync" | "os"

/** Which file it is, whatever its name: device and inode. */
export const identityOf = (info: FileSystem.File.Info): string =>
  `${info.dev}:${Option.getOrElse(info.ino, () => 0)}`

/** Makes the names in a directory durable: new files and renamed ones. */
export const syncDirectory = (fs: FileSystem.FileSystem, directory: string) =>
  Effect.scoped(Effect.flatMap(fs.open(directory, { flag: "r" }), (handle) => handle.sync))

/** Makes a file durable that was written through another handle. */
export const syncFile = (fs: FileSystem.FileSystem, file: string) =>
  Effect.scoped(Effect.flatMap(fs.open(file, { flag: "r" }), (handle) => handle.sync))

/** Reads exactly `length` bytes, or up to the file's end. */
export const readFully = (handle: FileSystem.File, start: number, length: number) =>
  Effect.gen(function* () {
    yield* handle.seek(start, "start")
    const buffer = Buffer.allocUnsafe(length)
    let filled = 0
    while (filled < length) {
      const read = Number(yield* handle.read(buffer.subarray(filled)))
      if (read === 0) break
      filled += read
    }
    return buffer.subarray(0, filled)
  })

/** Nothing, when there is no such file. */
export const optional = <A, R>(
  effect: Effect.Effect<A, Failure, R>
): Effect.Effect<Option.Option<A>, Failure, R> =>
  Effect.catchIf(
    Effect.asSome(effect),
    (error) => error._tag === "SystemError" && error.reason === "NotFound",
    () => Effect.succeedNone
  )

/** The store's error for what the system said. */
export const failAs =
  (operation: "read" | "write", subject: string) =>
  <A, R>(effect: Effect.Effect<A, Failure, R>) =>
    Effect.mapError(effect, (error) =>
      error._tag === "SessionStoreError"
        ? error
        : new SessionStoreError({ operation, subject, reason: codeOf(error) })
    )

/** The system's code (`ENOSPC`) where there is one. */
const codeOf = (error: PlatformErrors.PlatformError): string => {
  const { cause } = error
  if (typeof cause === "object" && cause !== null && "code" in cause && typeof cause.code === "string")
    return cause.code
  return error._tag === "SystemError" ? error.reason : error.message
}

/** Keeps bytes in a file that only grows, for people to look at. A line of its own for each. */
export const setAside = (fs: FileSystem.FileSystem, file: string, bytes: Uint8Array) =>
  Effect.scoped(
    Effect.flatMap(fs.open(file, { flag: "a", mode: 0o600 }), (handle) =>
      Effect.zipRight(
        handle.writeAll(bytes.at(-1) === lineFeed ? bytes : Buffer.concat([bytes, Buffer.of(lineFeed)])),
        handle.sync
      )
    )
  )

export const lineFeed = 0x0a
