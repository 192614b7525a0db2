/** What the contract of the run journal needs beside it: a log's disk, which can fail, and what a crash leaves of it. */
import { FileSystem, Path } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { Context, Deferred, Effect, Layer, type Scope } from "effect"
import { SessionStoreError } from "../../src/domain/SessionError.js"
import { GrowingBytes } from "../../src/journal/GrowingBytes.js"
import type { LogDriver } from "../../src/journal/LogDriver.js"
import * as LogFile from "../../src/journal/LogFile.js"
import * as LogMemory from "../../src/journal/LogMemory.js"

/** One log. */
export interface LogProbeShape {
  /** A driver of it, as one that is just started. */
  readonly driver: Effect.Effect<LogDriver, SessionStoreError, Scope.Scope>
  readonly bytes: Effect.Effect<Buffer>
  /** What was put aside of it. */
  readonly aside: Effect.Effect<string>
  /** How often something was appended. */
  readonly writes: Effect.Effect<number>
  /** Receipt: so many appends were tried, whether they succeeded or not. */
  readonly tried: (count: number) => Effect.Effect<void>
  /** The next `count` appends fail with `ENOSPC`. */
  readonly failWrites: (count: number) => Effect.Effect<void>
  /** The next `count` compactions fail with `ENOSPC`. */
  readonly failCompactions: (count: number) => Effect.Effect<void>
  /** Another log, with these bytes: what a crash has left of this one. */
  readonly restore: (bytes: Uint8Array) => Effect.Effect<LogProbeShape, never, Scope.Scope>
}

export class LogProbe extends Context.Tag("test/LogProbe")<LogProbe, LogProbeShape>() {}

const full = new SessionStoreError({ operation: "write", subject: "runs.journal", reason: "ENOSPC" })

/** The levers that all logs have. */
const levers = () => {
  let tries = 0
  let writes = 0
  const failing = { append: 0, stage: 0 }
  const waiting = new Set<{ readonly count: number; readonly done: Deferred.Deferred<void> }>()
  const mayFail = (kind: "append" | "stage"): Effect.Effect<void, SessionStoreError> =>
    Effect.suspend(() => (failing[kind] > 0 ? (failing[kind]--, full) : Effect.void))
  const tell = Effect.suspend(() => {
    tries++
    return Effect.forEach(waiting, (one) => {
      if (one.count > tries) return Effect.void
      waiting.delete(one)
      return Deferred.succeed(one.done, undefined)
    })
  })
  return {
    mayFail,
    over: (driver: LogDriver): LogDriver => ({
      ...driver,
      append: (bytes) =>
        Effect.zipRight(mayFail("append"), driver.append(bytes)).pipe(
          Effect.tap(() => Effect.sync(() => writes++)),
          Effect.ensuring(tell)
        ),
      stage: (chunks) => Effect.zipRight(mayFail("stage"), driver.stage(chunks))
    }),
    writes: Effect.sync(() => writes),
    tried: (count: number) =>
      Effect.flatMap(Deferred.make<void>(), (done) => {
        if (tries >= count) return Effect.void
        waiting.add({ count, done })
        return Deferred.await(done)
      }),
    failWrites: (count: number) => Effect.sync(() => void (failing.append = count)),
    failCompactions: (count: number) => Effect.sync(() => void (failing.stage = count))
  }
}

const memory = (bytes: Uint8Array): LogProbeShape => {
  const log: LogMemory.LogBytes = { log: GrowingBytes.of(bytes), aside: new GrowingBytes() }
  const { over, ...rest } = levers()
  return {
    ...rest,
    driver: Effect.sync(() => over(LogMemory.make(log, Effect.void))),
    bytes: Effect.sync(() => Buffer.from(log.log.text())),
    aside: Effect.sync(() => log.aside.text()),
    restore: (found) => Effect.sync(() => memory(found))
  }
}

const file = (bytes: Uint8Array): Effect.Effect<LogProbeShape, never, Scope.Scope> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const directory = yield* fs.makeTempDirectoryScoped({ prefix: "colloquy-log-" })
    const name = "runs.journal"
    const place = path.join(directory, name)
    yield* fs.writeFile(place, bytes)
    const { over, ...rest } = levers()
    return {
      ...rest,
      driver: Effect.map(LogFile.make({ fs, path, directory, name, durability: "os" }), over),
      bytes: Effect.orDie(Effect.map(fs.readFile(place), Buffer.from)),
      aside: Effect.orElseSucceed(fs.readFileString(`${place}.torn`), () => ""),
      restore: file
    }
  }).pipe(Effect.orDie, Effect.provide([NodeFileSystem.layer, NodePath.layer]))

/** Every implementation of the log. */
export const implementations: ReadonlyArray<readonly [name: string, layer: Layer.Layer<LogProbe>]> = [
  ["file", Layer.scoped(LogProbe, file(Buffer.of()))],
  ["memory", Layer.sync(LogProbe, () => memory(Buffer.of()))]
]
