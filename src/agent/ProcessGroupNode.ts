/**
 * ProcessGroupNode: `ProcessGroups` on Node's child processes. For systems with process groups and signals: not for Windows.
 */
import type { FileSystem } from "@effect/platform"
import { Clock, Deferred, Duration, Effect, FiberId, Layer, Option, Stream } from "effect"
import { type ChildProcessWithoutNullStreams, spawn as spawnChild } from "node:child_process"
import { apart } from "./process/Apart.js"
import * as Executable from "./process/Executable.js"
import * as LiveGroups from "./process/LiveGroups.js"
import * as Pipe from "./process/Pipe.js"
import * as ProcessTable from "./process/ProcessTable.js"
import * as SystemCode from "./process/SystemCode.js"
import {
  ProcessError,
  type ProcessExit,
  type ProcessGroup,
  ProcessGroups,
  type SpawnOptions
} from "./ProcessGroup.js"

/** Closing it kills all groups that are still alive; so does the end of the gateway's process, however it comes about. */
export const layer: Layer.Layer<ProcessGroups, never, FileSystem.FileSystem> = Layer.scoped(
  ProcessGroups,
  Effect.gen(function* () {
    const live = yield* LiveGroups.make
    const context = yield* Effect.context<FileSystem.FileSystem>()
    return {
      spawn: (options) =>
        Effect.map(
          Effect.acquireRelease(start(live, options).pipe(Effect.provide(context)), (started) =>
            apart(end(started, options)).pipe(Effect.provide(context))
          ),
          (started) => groupOf(started, options.command)
        ),
      find: (program) => Effect.provide(Executable.find(program), context)
    }
  })
)

/** A group whose first process was started. */
interface Started {
  readonly child: ChildProcessWithoutNullStreams
  readonly pid: number
  readonly group: LiveGroups.LiveGroup
  readonly exited: Deferred.Deferred<ProcessExit>
  readonly input: Pipe.Writer
  readonly output: Pipe.Reader
  readonly errors: Pipe.Reader
}

const start = (
  live: LiveGroups.LiveGroups,
  options: SpawnOptions
): Effect.Effect<Started, ProcessError, FileSystem.FileSystem> =>
  Effect.async<Started, ProcessError>((resume) => {
    const { args, command, cwd, env } = options
    const refuse = (code: string) => resume(new ProcessError({ operation: "start", command, code }))
    // Its signals would end the first process alone there.
    if (process.platform === "win32") return refuse("ENOTSUP")
    let child: ChildProcessWithoutNullStreams
    try {
      // `detached` makes a session and a process group of its own, so that a signal reaches all of it, and a Ctrl-C at the
      // gateway's terminal none of it.
      child = spawnChild(command, args, { cwd, env: { ...env }, detached: true, shell: false })
    } catch (error) {
      return refuse(SystemCode.of(error))
    }
    const { pid } = child
    child.on("error", (error) => refuse(SystemCode.of(error)))
    if (pid === undefined) return
    const exited = Deferred.unsafeMake<ProcessExit>(FiberId.none)
    const group = live.add(pid)
    child.on("exit", (code, signal) => {
      // Asked at once: the id of a group that is gone can be given to another one.
      group.signal(0)
      Deferred.unsafeDone(exited, Effect.succeed({ code, signal }))
    })
    resume(
      Effect.succeed({
        child,
        pid,
        group,
        exited,
        input: Pipe.writer(child.stdin),
        output: Pipe.reader(child.stdout),
        errors: Pipe.reader(child.stderr)
      })
    )
  }).pipe(Effect.tapError(() => Executable.checkCwd(options)))

const groupOf = ({ errors, exited, input, output, pid }: Started, command: string): ProcessGroup => {
  const failed = (operation: "read" | "write") => (code: string) =>
    new ProcessError({ operation, command, code })
  return {
    pid,
    write: (bytes) => Effect.mapError(input.write(bytes), failed("write")),
    closeInput: Effect.sync(input.end),
    output: Stream.mapError(output.bytes, failed("read")),
    errors: Stream.mapError(errors.bytes, failed("read")),
    exit: Deferred.await(exited)
  }
}

/** Ends the group to its last process. */
const end = (
  { child, errors, exited, group, input, output, pid }: Started,
  { command, killGrace }: SpawnOptions
): Effect.Effect<void, never, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    output.discard()
    errors.discard()
    input.destroy()
    // The first process is a member until Node has its exit code; there is nothing to look for before that.
    const gone = Effect.zipRight(Deferred.await(exited), awaitGone(group, pid, firstLook))
    const within = (limit: Duration.DurationInput) =>
      gone.pipe(Effect.interruptible, Effect.timeoutOption(limit), Effect.map(Option.isSome))
    if (group.signal("SIGTERM") && !(yield* within(killGrace))) {
      group.signal("SIGKILL")
      if (!(yield* within(killedWithin))) {
        yield* Effect.logWarning(`the process group ${pid} of ${command} does not go away after SIGKILL`)
      }
    }
    group.forget()
    for (const pipe of [child.stdin, child.stdout, child.stderr]) pipe.destroy()
  })

/** How long a killed process may take: one that waits for a broken disk or network file system can't even be killed. */
const killedWithin = Duration.seconds(5)
/** The pauses between two looks at a group, in milliseconds: each is twice the one before. */
const firstLook = 1
const lastLook = 64
/** From here on it is worth asking whether what is left is alive. */
const suspectLook = 16

/**
 * Waits until nobody of the group is alive. The system has no event for that, so it is asked again and again. It is asked in
 * real time, whatever clock a test has put into Effect: it is no decision about time, and no clock makes a process go.
 */
const awaitGone = (
  group: LiveGroups.LiveGroup,
  pid: number,
  pause: number
): Effect.Effect<void, never, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    if (!group.signal(0)) return
    if (pause >= suspectLook && (yield* ProcessTable.hasOnlyZombies(pid))) return
    yield* Effect.withClock(Effect.sleep(pause), realTime)
    yield* awaitGone(group, pid, Math.min(lastLook, pause * 2))
  })

const realTime = Clock.make()
