/** LockOwner: which process holds the lock of a state directory, and whether it still lives. */
import { FileSystem } from "@effect/platform"
import { DateTime, Effect, Option, Schema } from "effect"
// No service of Effect's knows the host's name.
import { hostname } from "node:os"
import * as Ids from "../domain/Ids.js"

/** What a lock file says, as JSON. */
export const LockOwner = Schema.Struct({
  /** Random, for each lock that is taken. It becomes a part of file names. */
  id: Schema.String.pipe(Schema.pattern(/^[\w-]{1,64}$/)),
  // 0 and less would mean groups of processes.
  pid: Schema.Int.pipe(Schema.between(1, 2 ** 31 - 1)),
  host: Schema.String,
  /** Processes with the same one see each other under the same pids. Absent: that is not known of any other process. */
  boot: Schema.optional(Schema.String),
  /** When the process began, in the unit of the system (Linux: clock ticks since the boot). Absent: not known. */
  startedAt: Schema.optional(Schema.String),
  /** When the lock was taken, ISO 8601. */
  since: Schema.String
})
export type LockOwner = typeof LockOwner.Type

/** Who takes a lock, and what it can tell of others who did. */
export interface Identity {
  readonly me: LockOwner
  /** Whether the process that made a lock lives; `unknown` when it can't be seen from here (another host or container). */
  readonly judge: (owner: LockOwner) => Effect.Effect<Verdict>
}

export type Verdict = "alive" | "dead" | "unknown"

/** This process, with a fresh id. */
export const local: Effect.Effect<Identity, never, FileSystem.FileSystem> = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const boot = yield* bootOf(fs)
  const startedAt = Option.map(yield* statOf(fs, "self"), (stat) => stat.startedAt)
  const me: LockOwner = {
    id: yield* Ids.uuid,
    pid: process.pid,
    host: hostname(),
    ...(Option.isSome(boot) && { boot: boot.value }),
    ...(Option.isSome(startedAt) && { startedAt: startedAt.value }),
    since: DateTime.formatIso(yield* DateTime.now)
  }
  const judge = (owner: LockOwner): Effect.Effect<Verdict> => {
    if (me.boot === undefined || owner.boot !== me.boot) return Effect.succeed("unknown")
    return Effect.flatMap(
      statOf(fs, owner.pid),
      Option.match({
        onNone: () => Effect.map(exists(owner.pid), (found): Verdict => (found ? "alive" : "dead")),
        onSome: (stat) => Effect.succeed(isSame(owner, stat) ? "alive" : "dead")
      })
    )
  }
  return { me, judge }
})

/**
 * On Linux the run of the kernel and the pid namespace (a container's own). A Linux that hides them may be a container
 * that has the name and the pid of the one before it: nothing is known then.
 */
const bootOf = (fs: FileSystem.FileSystem): Effect.Effect<Option.Option<string>> =>
  process.platform === "linux"
    ? Effect.zipWith(
        fs.readFileString("/proc/sys/kernel/random/boot_id"),
        fs.readLink("/proc/self/ns/pid"),
        (bootId, namespace) => `${bootId.trim()} ${namespace}`
      ).pipe(Effect.option)
    : Effect.succeedSome(`${process.platform} ${hostname()}`)

interface Stat {
  readonly state: string
  readonly startedAt: string
}

/** What Linux says of a process; none elsewhere, and for a process that is not there or not shown to this user. */
const statOf = (fs: FileSystem.FileSystem, pid: number | "self"): Effect.Effect<Option.Option<Stat>> =>
  fs.readFileString(`/proc/${pid}/stat`).pipe(Effect.option, Effect.map(Option.flatMap(parseStat)))

/** The program's name stands in brackets in the second field, and may hold anything. */
const parseStat = (text: string): Option.Option<Stat> => {
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ")
  const [state] = fields
  const startedAt = fields[19]
  return state === undefined || startedAt === undefined ? Option.none() : Option.some({ state, startedAt })
}

/** Not another process that has come to have its pid, and not one that was killed and only waits for its parent. */
const isSame = (owner: LockOwner, { startedAt, state }: Stat): boolean =>
  state !== "Z" && state !== "X" && (owner.startedAt ?? startedAt) === startedAt

/** No service of Effect's asks for a process by its pid. The signal 0 does nothing. */
const exists = (pid: number): Effect.Effect<boolean> =>
  Effect.match(
    Effect.try(() => process.kill(pid, 0)),
    { onFailure: ({ error }) => isNotPermitted(error), onSuccess: () => true }
  )

/** It is there, and another user's. */
const isNotPermitted = (error: unknown): boolean =>
  typeof error === "object" && error !== null && "code" in error && error.code === "EPERM"
