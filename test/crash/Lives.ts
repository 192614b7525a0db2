/** The lives of one gateway: processes on one state directory, one after another. */
import { Effect, Option, type Scope } from "effect"
import { rmSync } from "node:fs"
import { join } from "node:path"
import * as Files from "./Files.js"
import type { Report } from "./Findings.js"
import * as GatewayProcess from "./GatewayProcess.js"
import { type Break, type Disk, gatewayArgs } from "./Options.js"

export interface LivesOptions {
  /** The bundled gateway. */
  readonly main: string
  readonly directory: string
  readonly disk: Disk
  readonly break: Break
  /** Decides what its lossy disk does. */
  readonly label: string
  readonly report: Report
}

export interface Lives {
  readonly stateDir: string
  readonly callsFile: string
  /** How many there were, with this one. */
  readonly count: () => number
  /** Begins the next life. It does not outlive the scope. */
  readonly start: Effect.Effect<void, never, Scope.Scope>
  /** Waits until this one listens. None: it ended before, or takes too long. */
  readonly up: Effect.Effect<Option.Option<string>>
  /** Ends this one. None: the signal did not end it in time; then it was killed. */
  readonly end: (signal: NodeJS.Signals) => Effect.Effect<Option.Option<GatewayProcess.Ended>>
  /** What the files of the living one hold that is not on its disk. */
  readonly held: Effect.Effect<Files.Held>
  /** The last words of its log. */
  readonly log: () => string
}

/** Within this a gateway is up, clients are back, runs are over; it is much more than they need. In milliseconds. */
export const patience = 15_000

export const make = (options: LivesOptions): Lives => {
  const { directory, disk, label, main, report } = options
  const stateDir = join(directory, "state")
  const callsFile = join(directory, "calls")
  const heldFile = join(directory, "held.json")
  const logFile = join(directory, "gateway.log")
  let count = 0
  let current: GatewayProcess.GatewayProcess | undefined
  let ending = false

  const start = Effect.gen(function* () {
    count += 1
    ending = false
    const args = gatewayArgs({
      stateDir,
      calls: callsFile,
      held: heldFile,
      disk,
      break: options.break,
      seed: `${label}-${count}`
    })
    const born = yield* Effect.acquireRelease(
      Effect.sync(() => GatewayProcess.start(main, args, logFile)),
      ({ signal }) => signal("SIGKILL")
    )
    current = born
    yield* born.ended.pipe(
      Effect.map((how) => {
        if (current === born && !ending)
          report("process", `life ${count}`, "the gateway ended by itself", how)
      }),
      Effect.forkScoped
    )
  })

  const up = Effect.suspend(() =>
    current === undefined
      ? Effect.succeedNone
      : Effect.raceFirst(Effect.asSome(current.up), Effect.zipRight(current.ended, Effect.succeedNone))
  ).pipe(Effect.timeoutOption(patience), Effect.map(Option.flatten))

  const end = (signal: NodeJS.Signals) =>
    Effect.gen(function* () {
      if (current === undefined) return Option.none()
      ending = true
      yield* current.signal(signal)
      const how = yield* Effect.timeoutOption(current.ended, patience)
      if (Option.isNone(how)) yield* Effect.zipRight(current.signal("SIGKILL"), current.ended)
      return how
    })

  const held = Effect.gen(function* () {
    if (disk === "real" || ending || current === undefined) return {}
    rmSync(heldFile, { force: true })
    yield* current.signal("SIGUSR2")
    yield* until(() => Files.held(heldFile) !== undefined)
    return Files.held(heldFile) ?? {}
  })

  const log = () => (Files.readText(logFile) ?? "").slice(-4000)
  return { stateDir, callsFile, count: () => count, start, up, end, held, log }
}

/** Looks again and again, for so many milliseconds at most. */
export const until = (holds: () => boolean, limit = patience): Effect.Effect<boolean> =>
  Effect.gen(function* () {
    for (let waited = 0; waited < limit; waited += 5) {
      if (holds()) return true
      yield* Effect.sleep("5 millis")
    }
    return holds()
  })
