/** A gateway process: one life of a gateway. */
import { Deferred, Effect, Exit, FiberId } from "effect"
import { spawn } from "node:child_process"
import { closeSync, openSync } from "node:fs"

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface GatewayProcess {
  /** Its address, when it listens. */
  readonly up: Effect.Effect<string>
  readonly ended: Effect.Effect<Ended>
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
}

/** Begins one; what it says on standard error is appended to the log. It does not outlive its driver. */
export const start = (main: string, args: ReadonlyArray<string>, logFile: string): GatewayProcess => {
  const log = openSync(logFile, "a")
  const child = spawn(process.execPath, [main, ...args], {
    // Nothing of whoever runs the test.
    env: { PATH: process.env["PATH"], NO_COLOR: "1" },
    stdio: ["ignore", "pipe", log]
  })
  closeSync(log)
  const up = Deferred.unsafeMake<string>(FiberId.none)
  const ended = Deferred.unsafeMake<Ended>(FiberId.none)
  const killWithDriver = (): void => {
    child.kill("SIGKILL")
  }
  process.once("exit", killWithDriver)
  let output = ""
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    output += text
    const address = /^ws:\S+(?=\n)/m.exec(output)?.[0]
    if (address !== undefined) Deferred.unsafeDone(up, Exit.succeed(address))
  })
  child.once("close", (code, signal) => {
    process.off("exit", killWithDriver)
    Deferred.unsafeDone(ended, Exit.succeed({ code, signal }))
  })
  return {
    up: Deferred.await(up),
    ended: Deferred.await(ended),
    signal: (signal) => Effect.sync(() => child.kill(signal))
  }
}
