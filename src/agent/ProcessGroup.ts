/**
 * ProcessGroup: a program with all that it starts, as one thing that can be ended to the last process. Layer:
 * `ProcessGroupNode`. What a group can't hold, and why it is made as it is: docs/decisions/12.
 */
import { Context, type Duration, Effect, Schema, type Scope, type Stream } from "effect"

/** The program can't be started, or its pipes can't be used. */
export class ProcessError extends Schema.TaggedError<ProcessError>()("ProcessError", {
  operation: Schema.Literal("start", "write", "read"),
  command: Schema.String,
  /** The system's: `ENOENT`, `EACCES`, `EPIPE`. */
  code: Schema.String,
  /** The working directory, where it is what the code is about. */
  cwd: Schema.optionalWith(Schema.String, { exact: true })
}) {
  override get message(): string {
    return `${this.operation} ${this.cwd ?? this.command}: ${this.code}`
  }
}

/** How a program ended: one of the two is set. */
export interface ProcessExit {
  readonly code: number | null
  readonly signal: string | null
}

/** Which program, and where it runs. */
export interface Program {
  /** A name, looked up on `PATH` of `env`, or a path. Never a shell's command line. */
  readonly command: string
  /** Default: the gateway's own. */
  readonly cwd?: string
  /** The whole environment: nothing is inherited. */
  readonly env: Readonly<Record<string, string>>
}

export interface SpawnOptions extends Program {
  readonly args: ReadonlyArray<string>
  /** How long the group has to end itself after SIGTERM; then SIGKILL. */
  readonly killGrace: Duration.Duration
}

export interface ProcessGroup {
  /** The group's id: the process id of its first process. */
  readonly pid: number
  /**
   * Waits until the pipe has taken it. Writes of several fibers follow each other whole. `EPIPE`: the program reads no more.
   * Interrupted, it leaves open how much is written.
   */
  readonly write: (bytes: Uint8Array | string) => Effect.Effect<void, ProcessError>
  /** No more is written: the program reads the end of its input behind what was written. */
  readonly closeInput: Effect.Effect<void>
  /**
   * Read as fast as it is pulled: a program that writes faster is held up by its pipe, so somebody has to pull both this and
   * `errors`. It ends when all processes that hold the pipe have closed it, or when the group's scope closes. To be run once.
   */
  readonly output: Stream.Stream<Uint8Array, ProcessError>
  readonly errors: Stream.Stream<Uint8Array, ProcessError>
  /** Waits for the end of the first process; what it has started may live on, until the scope closes. */
  readonly exit: Effect.Effect<ProcessExit>
}

export interface ProcessGroupsShape {
  /**
   * Starts a program in a process group of its own. Closing the scope ends the group: its pipes are no longer served (what it
   * still writes is thrown away), SIGTERM goes to all its processes, after `killGrace` SIGKILL, and the close waits until none
   * is left, also when the first one has gone long before. It can't be interrupted in that; the grace is on Effect's Clock.
   */
  readonly spawn: (options: SpawnOptions) => Effect.Effect<ProcessGroup, ProcessError, Scope.Scope>
  /** Where `spawn` would find the program, without starting it. Fails as `spawn` would, as far as that can be told. */
  readonly find: (program: Program) => Effect.Effect<string, ProcessError>
}

/** The port: starts programs and keeps the books of what lives, so that nothing outlives the gateway. */
export class ProcessGroups extends Context.Tag("colloquy/ProcessGroups")<
  ProcessGroups,
  ProcessGroupsShape
>() {}

/** `ProcessGroups.spawn`. */
export const spawn = (
  options: SpawnOptions
): Effect.Effect<ProcessGroup, ProcessError, ProcessGroups | Scope.Scope> =>
  Effect.flatMap(ProcessGroups, (groups) => groups.spawn(options))
