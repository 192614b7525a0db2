/**
 * FaultyFileSystem: a bad disk. A `FileSystem` over another one that writes down each step, and in which chosen steps
 * fail, are done in part, are slow, or only seem to be done. `crash` freezes the disk as a kill at that moment leaves it.
 *
 * Steps that are counted: those of the service that are listed in `Step`, and what is done with the files that `open` gives.
 * `writeAll` is one `write` after another until everything is written. Closing a file always works, as it does at the end
 * of a process.
 */
import { Error as PlatformErrors, FileSystem } from "@effect/platform"
import { Context, type Duration, Effect, Layer } from "effect"

export type Step =
  | "open"
  | "read"
  | "stat"
  | "write"
  | "sync"
  | "truncate"
  | "rename"
  | "remove"
  | "utimes"
  | "link"
  | "copyFile"
  | "readFile"
  | "makeDirectory"

export interface FileStep {
  readonly step: Step
  /** The file's name without its directory. Of a rename, a link or a copy: the new name. */
  readonly name: string
}

/** What becomes of a step that a fault hits. */
export type Harm =
  /** It fails, with that code as the cause. A write has put its first `written` bytes into the file before (default: half). */
  | { readonly harm: "fail"; readonly code?: string; readonly written?: number }
  /** A write puts its first `bytes` bytes into the file, and says so: whoever called it has to write the rest. */
  | { readonly harm: "short"; readonly bytes: number }
  /** It is reported as done and was not: what a power cut makes of a change that nobody has synced. */
  | { readonly harm: "lose" }
  /** It takes so long, on the clock, before it is done. */
  | { readonly harm: "delay"; readonly for: Duration.DurationInput }
  /** It fails, and so does everything behind it. A write has put its first `written` bytes into the file (default: none). */
  | { readonly harm: "crash"; readonly written?: number }

/** Which steps are hit. */
export interface Where {
  /** Default: every kind. */
  readonly step?: Step | ReadonlyArray<Step>
  /** What the file's name must match. Default: every name. */
  readonly name?: RegExp
  /** So many of these steps go well first. Default 0. */
  readonly after?: number
  /** So many are hit then. Default 1. */
  readonly count?: number
}

/** What happens right before a step. A failure is the step's failure. */
export type Hook = (step: FileStep) => Effect.Effect<void, PlatformErrors.PlatformError>

export interface FaultControl {
  /** What was asked of the disk so far, failed steps included, in the order of the asking. */
  readonly steps: Effect.Effect<ReadonlyArray<FileStep>>
  /** From now on; beside the faults that were set before. Of two that fit a step the older one hits it. */
  readonly inject: (where: Where, harm: Harm) => Effect.Effect<void>
  /** The same: steps of one kind fail with `ENOSPC`. */
  readonly fail: (step: Step, name: RegExp, count?: number) => Effect.Effect<void>
  /** Everything fails from now on. What is on the disk is what a kill at this moment leaves. */
  readonly crash: Effect.Effect<void>
  /** No more faults; a disk that was crashed works again. */
  readonly heal: Effect.Effect<void>
  readonly setHook: (hook: Hook) => Effect.Effect<void>
}

/** The levers. `layer` gives them together with the `FileSystem`. */
export class FaultyFileSystem extends Context.Tag("colloquy/FaultyFileSystem")<
  FaultyFileSystem,
  FaultControl
>() {}

/** The error of a step with the system's code for it (`ENOSPC`, `EIO`). */
export const failure = (step: Step, code: string): PlatformErrors.PlatformError =>
  new PlatformErrors.SystemError({
    module: "FileSystem",
    method: step,
    reason: "Unknown",
    cause: Object.assign(new Error(`${code}: ${step}`), { code })
  })

interface Fault extends Where {
  readonly harm: Harm
  /** How many of the steps that it fits are still to go well. */
  ahead: number
  /** How many are still to be hit. */
  left: number
}

const dead = (step: Step) => Effect.fail(failure(step, "EIO"))

type Done<A> = Effect.Effect<A, PlatformErrors.PlatformError>

/** A bad disk over the `FileSystem` that is provided. It is a good one until a lever is pulled. */
export const layer: Layer.Layer<FileSystem.FileSystem | FaultyFileSystem, never, FileSystem.FileSystem> =
  Layer.effectContext(
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const steps: Array<FileStep> = []
      const faults = new Set<Fault>()
      let hook: Hook = () => Effect.void
      let crashed = false

      const faultOf = (at: FileStep): Fault | undefined => {
        for (const fault of faults) {
          if (!fits(fault, at)) continue
          if (fault.ahead > 0) {
            fault.ahead--
            continue
          }
          if (--fault.left === 0) faults.delete(fault)
          return fault
        }
        return undefined
      }

      /**
       * Does a step, or what a fault makes of it: `lost` stands for its result when it only seems to be done, `part` writes
       * the first bytes of what is to be written (all that there are when it is told `undefined`).
       */
      const attempt = <A>(
        step: Step,
        path: string,
        whole: Done<A>,
        lost: Done<A>,
        part: (bytes: number | undefined) => Done<A> = () => lost
      ): Done<A> => {
        const harmed = (harm: Harm | undefined): Done<A> => {
          switch (harm?.harm) {
            case undefined:
              return whole
            case "fail":
              return Effect.zipRight(
                Effect.ignore(part(harm.written)),
                Effect.fail(failure(step, harm.code ?? "ENOSPC"))
              )
            case "short":
              return part(harm.bytes)
            case "lose":
              return lost
            case "delay":
              return Effect.delay(whole, harm.for)
            case "crash":
              crashed = true
              return Effect.zipRight(Effect.ignore(part(harm.written ?? 0)), dead(step))
          }
        }
        return Effect.suspend(() => {
          const at = { step, name: path.slice(path.lastIndexOf("/") + 1) }
          steps.push(at)
          if (crashed) return dead(step)
          const harm = faultOf(at)?.harm
          return Effect.zipRight(
            hook(at),
            Effect.suspend(() => (crashed ? dead(step) : harmed(harm)))
          )
        })
      }
      const change = (step: Step, path: string, whole: Done<void>): Done<void> =>
        attempt(step, path, whole, Effect.void)
      /** There is no such thing as a look that only seems to be done. */
      const look = <A>(step: Step, path: string, whole: Done<A>): Done<A> => attempt(step, path, whole, whole)

      const wrap = (file: FileSystem.File, path: string): FileSystem.File => {
        const write = (buffer: Uint8Array): Done<FileSystem.Size> =>
          attempt(
            "write",
            path,
            file.write(buffer),
            Effect.succeed(FileSystem.Size(buffer.length)),
            (bytes) => {
              const some = buffer.subarray(0, bytes ?? Math.ceil(buffer.length / 2))
              return some.length === 0 ? Effect.succeed(FileSystem.Size(0)) : file.write(some)
            }
          )
        const writeAll = (buffer: Uint8Array): Done<void> =>
          Effect.flatMap(write(buffer), (size) => {
            const written = Number(size)
            if (written === 0) return Effect.fail(failure("write", "EIO"))
            return written < buffer.length ? writeAll(buffer.subarray(written)) : Effect.void
          })
        return {
          [FileSystem.FileTypeId]: FileSystem.FileTypeId,
          fd: file.fd,
          stat: look(
            "stat",
            path,
            Effect.suspend(() => file.stat)
          ),
          seek: (offset, from) => file.seek(offset, from),
          read: (buffer) => look("read", path, file.read(buffer)),
          readAlloc: (size) => look("read", path, file.readAlloc(size)),
          sync: change(
            "sync",
            path,
            Effect.suspend(() => file.sync)
          ),
          truncate: (length) => change("truncate", path, file.truncate(length)),
          write,
          writeAll
        }
      }

      const faulty: FileSystem.FileSystem = {
        ...fs,
        open: (path, options) => {
          const opened = Effect.map(fs.open(path, options), (file) => wrap(file, path))
          return Effect.flatMap(look("open", path, Effect.void), () => opened)
        },
        stat: (path) => look("stat", path, fs.stat(path)),
        readFile: (path) => look("readFile", path, fs.readFile(path)),
        readFileString: (path, encoding) => look("readFile", path, fs.readFileString(path, encoding)),
        rename: (from, to) => change("rename", to, fs.rename(from, to)),
        utimes: (path, accessed, modified) => change("utimes", path, fs.utimes(path, accessed, modified)),
        remove: (path, options) => change("remove", path, fs.remove(path, options)),
        truncate: (path, length) => change("truncate", path, fs.truncate(path, length)),
        link: (from, to) => change("link", to, fs.link(from, to)),
        copyFile: (from, to) => change("copyFile", to, fs.copyFile(from, to)),
        makeDirectory: (path, options) => change("makeDirectory", path, fs.makeDirectory(path, options))
      }

      const inject = (where: Where, harm: Harm) =>
        Effect.sync(() => {
          const left = where.count ?? 1
          if (left > 0) faults.add({ ...where, harm, ahead: where.after ?? 0, left })
        })
      return Context.make(FileSystem.FileSystem, faulty).pipe(
        Context.add(FaultyFileSystem, {
          steps: Effect.sync(() => Array.from(steps)),
          inject,
          fail: (step, name, count = 1) => inject({ step, name, count }, { harm: "fail" }),
          crash: Effect.sync(() => {
            crashed = true
          }),
          heal: Effect.sync(() => {
            faults.clear()
            crashed = false
          }),
          setHook: (next) =>
            Effect.sync(() => {
              hook = next
            })
        })
      )
    })
  )

const fits = ({ name, step }: Where, at: FileStep): boolean =>
  (step === undefined || (typeof step === "string" ? step === at.step : step.includes(at.step))) &&
  (name === undefined || name.test(at.name))
