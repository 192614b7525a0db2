/**
 * ProcessGroup: a program with all that it starts, as one thing that can be ended to the last process.
 */
import type { Effect, Stream } from "effect"
import { Schema } from "effect"

/** The program can't be started, or its pipes can't be used. `code` is the system's: `ENOENT`. */
export class ProcessError extends Schema.TaggedError<ProcessError>()("ProcessError", {
  operation: Schema.Literal("start", "write", "read"),
  command: Schema.String,
  code: Schema.String
}) {}

/** How a program ended: one of the two is set. */
export interface ProcessExit {
  readonly code: number | null
  readonly signal: string | null
}

export interface ProcessGroup {
  /** The group's id: the process id of its first process. */
  readonly pid: number
  /** Waits until the pipe has taken it. */
  readonly write: (bytes: Uint8Array | string) => Effect.Effect<void, ProcessError>
  /** No more is written. */
  readonly closeInput: Effect.Effect<void>
  /** Read as fast as it is pulled: a program that writes faster is held up by its pipe. To be run once. */
  readonly output: Stream.Stream<Uint8Array, ProcessError>
  readonly errors: Stream.Stream<Uint8Array, ProcessError>
  /** Waits for the end of the first process. */
  readonly exit: Effect.Effect<ProcessExit>
}
