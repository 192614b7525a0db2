/** How an ACP agent is started, and what it may do. */
import type { Duration } from "effect"

export interface AcpOptions {
  /** A name, looked up on `PATH` of `env`, or a path. */
  readonly command: string
  readonly args: ReadonlyArray<string>
  /** Absolute: where the process runs and what its sessions work on. */
  readonly cwd: string
  /** The whole environment; nothing of the gateway's own is added. */
  readonly env: Readonly<Record<string, string>>
  /** One process for all sessions, or one for each. */
  readonly process: "agent" | "session"
  /** What becomes of its requests for permission: refused, granted once, or put to the session's clients. */
  readonly permissions: "deny" | "allow" | "ask"
  /** How long clients have to answer; then it is a no. */
  readonly permissionTimeout: Duration.Duration
  /**
   * How long it has to end its turn after `session/cancel`; then its process is stopped, and with it all turns of that process.
   * Together with `killGrace` less than the gateway's `interruptGrace`; 2 seconds are a good choice for both.
   */
  readonly cancelGrace: Duration.Duration
  /** SIGTERM, this grace, SIGKILL. */
  readonly killGrace: Duration.Duration
  /** From the start of the process until its session is ready. */
  readonly startTimeout: Duration.Duration
  /** A process of one session is stopped when it was not used for so long. Default: 10 minutes. */
  readonly idleTimeout?: Duration.Duration
  /** May it read and write files through the gateway? Only below `cwd`. It says nothing of what the process itself can do. */
  readonly files: "none" | "read" | "readWrite"
  /** May it have programs started by the gateway? They run in `cwd` with `env`, and end with the turn. */
  readonly terminal: boolean
  readonly name?: string
  /** The id or the name of a model that it offers. */
  readonly model?: string
  /** Put before the first message of each session. */
  readonly system?: string
  /** May images be sent to it? Default: yes; whether it sees them, it says itself when it is started. */
  readonly images?: boolean
  /** How much of a conversation it is told that it has not seen. */
  readonly history: { readonly messages: number; readonly bytes: number }
  readonly runTimeout?: Duration.Duration
  readonly maxConcurrentRuns?: number
}
