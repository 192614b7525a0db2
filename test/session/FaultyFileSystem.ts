/**
 * A `FileSystem` that writes down what changes files, and that can be made to fail, or to let a test do something in
 * between, right before a step.
 */
import { Error as PlatformErrors, FileSystem } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Context, Effect, Layer } from "effect"

export type Step = "write" | "sync" | "rename" | "utimes" | "truncate" | "open" | "remove"

export interface FileStep {
  readonly step: Step
  /** The file's name without its directory. */
  readonly name: string
}

/** What happens right before a step. A failure is the step's failure. */
export type Hook = (step: FileStep) => Effect.Effect<void, PlatformErrors.PlatformError>

export interface FaultControl {
  readonly steps: Effect.Effect<ReadonlyArray<FileStep>>
  readonly setHook: (hook: Hook) => Effect.Effect<void>
  /** The next `count` steps of this kind whose file's name matches fail with `ENOSPC`. A write does half its work. */
  readonly fail: (step: Step, name: RegExp, count?: number) => Effect.Effect<void>
}

export class FaultyFileSystem extends Context.Tag("test/FaultyFileSystem")<
  FaultyFileSystem,
  FaultControl
>() {}

export const noSpace = (method: string) =>
  new PlatformErrors.SystemError({
    module: "FileSystem",
    method,
    reason: "Unknown",
    cause: Object.assign(new Error("no space left on device"), { code: "ENOSPC" })
  })

export const layer: Layer.Layer<FileSystem.FileSystem | FaultyFileSystem> = Layer.effectContext(
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const steps: Array<FileStep> = []
    let hook: Hook = () => Effect.void
    let faults: Array<{ readonly step: Step; readonly name: RegExp; count: number }> = []

    const before = (step: Step, path: string): Effect.Effect<void, PlatformErrors.PlatformError> =>
      Effect.suspend(() => {
        const at = { step, name: path.slice(path.lastIndexOf("/") + 1) }
        steps.push(at)
        const fault = faults.find(
          (fault) => fault.count > 0 && fault.step === step && fault.name.test(at.name)
        )
        if (fault === undefined) return hook(at)
        fault.count--
        return Effect.fail(noSpace(step))
      })

    const wrap = (file: FileSystem.File, path: string): FileSystem.File => ({
      [FileSystem.FileTypeId]: FileSystem.FileTypeId,
      fd: file.fd,
      stat: Effect.suspend(() => file.stat),
      seek: (offset, from) => file.seek(offset, from),
      read: (buffer) => file.read(buffer),
      readAlloc: (size) => file.readAlloc(size),
      sync: Effect.zipRight(
        before("sync", path),
        Effect.suspend(() => file.sync)
      ),
      truncate: (length) => Effect.zipRight(before("truncate", path), file.truncate(length)),
      write: (buffer) => Effect.zipRight(before("write", path), file.write(buffer)),
      writeAll: (buffer) =>
        before("write", path).pipe(
          Effect.tapError(() => file.writeAll(buffer.subarray(0, Math.ceil(buffer.length / 2)))),
          Effect.zipRight(file.writeAll(buffer))
        )
    })

    const faulty: FileSystem.FileSystem = {
      ...fs,
      open: (path, options) =>
        Effect.zipRight(
          before("open", path),
          Effect.map(fs.open(path, options), (file) => wrap(file, path))
        ),
      rename: (from, to) => Effect.zipRight(before("rename", to), fs.rename(from, to)),
      utimes: (path, accessed, modified) =>
        Effect.zipRight(before("utimes", path), fs.utimes(path, accessed, modified)),
      remove: (path, options) => Effect.zipRight(before("remove", path), fs.remove(path, options))
    }
    const control: FaultControl = {
      steps: Effect.sync(() => Array.from(steps)),
      setHook: (next) =>
        Effect.sync(() => {
          hook = next
        }),
      fail: (step, name, count = 1) =>
        Effect.sync(() => {
          faults = [...faults, { step, name, count }]
        })
    }
    return Context.make(FileSystem.FileSystem, faulty).pipe(Context.add(FaultyFileSystem, control))
  })
).pipe(Layer.provide(NodeFileSystem.layer))
