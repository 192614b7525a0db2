import type { Duration } from "effect"
export interface AcpOptions {
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  readonly process: "agent" | "session"
  readonly permissions: "deny" | "allow" | "ask"
  readonly permissionTimeout: Duration.Duration
  readonly cancelGrace: Duration.Duration
  readonly killGrace: Duration.Duration
  readonly startTimeout: Duration.Duration
  readonly idleTimeout?: Duration.Duration
  readonly files: "none" | "read" | "readWrite"
  readonly terminal: boolean
  readonly name?: string
  readonly model?: string
  readonly system?: string
  readonly images?: boolean
  readonly history: { readonly messages: number; readonly bytes: number }
  readonly runTimeout?: Duration.Duration
  readonly maxConcurrentRuns?: number
}
