/** What the crash test and its gateway can be told on the command line. */
import { parseArgs } from "node:util"

export const disks = ["real", "lossy"] as const
export type Disk = (typeof disks)[number]

/**
 * Promises broken on purpose: a disk whose syncs lie (`fsync`: for a second; `order`: for 30 ms), the run journal removed
 * between kill and start.
 */
export const breaks = ["none", "fsync", "order", "journal"] as const
export type Break = (typeof breaks)[number]

/** What one gateway process is given. */
export interface GatewayOptions {
  readonly stateDir: string
  /** The file with one line for each call of the agent: the run's id. */
  readonly calls: string
  /** The file for what a lossy disk holds in memory, written at SIGUSR2. */
  readonly held: string
  readonly disk: Disk
  readonly break: Break
  readonly seed: string
}

export const gatewayArgs = (options: GatewayOptions): ReadonlyArray<string> =>
  Object.entries(options).map(([name, value]) => `--${name}=${value}`)

export const parseGateway = (args: ReadonlyArray<string>): GatewayOptions => {
  const text = { type: "string" } as const
  const { values } = parseArgs({
    args: [...args],
    options: { stateDir: text, calls: text, held: text, disk: text, break: text, seed: text }
  })
  return {
    stateDir: required("stateDir", values.stateDir),
    calls: required("calls", values.calls),
    held: required("held", values.held),
    disk: oneOf("disk", disks, values.disk),
    break: oneOf("break", breaks, values.break),
    seed: required("seed", values.seed)
  }
}

/** What the driver is given. */
export interface DriverOptions {
  readonly kills: number
  readonly seed: string
  /** Absent: half of the gateways on each. */
  readonly disk: Disk | undefined
  readonly break: Break
  /** Gateways side by side, each with a state directory and clients of its own. */
  readonly worlds: number
  /** CI's run: as told, and then the broken ones, which must be noticed. */
  readonly ci: boolean
  /** Checks whose findings are not counted, for a look behind what is known already. */
  readonly except: ReadonlyArray<string>
  /** A file for a JSON report of what held and what did not. */
  readonly report: string | undefined
}

export const help = `node scripts/crash.mjs [options]
  --kills N      how often gateways are killed, in all (200)
  --seed TEXT    replays the schedule of the run that printed it
  --disk real|lossy   lossy: what is not synced is lost at a kill (default: half of the gateways on each)
  --worlds N     gateways side by side (4)
  --break fsync|order|journal   breaks a promise on purpose: must be noticed
  --except NAME,…   checks that are left out, for a look behind what is known already
  --ci           this run, and then short broken ones, which must be noticed
  --report FILE  writes what held and what did not, as JSON`

export const parseDriver = (args: ReadonlyArray<string>, randomSeed: string): DriverOptions | "help" => {
  const text = { type: "string" } as const
  const flag = { type: "boolean" } as const
  const { values } = parseArgs({
    args: [...args],
    options: {
      kills: text,
      seed: text,
      disk: text,
      break: text,
      worlds: text,
      ci: flag,
      except: text,
      report: text,
      help: flag
    }
  })
  if (values.help === true) return "help"
  return {
    kills: count("kills", values.kills ?? "200"),
    seed: values.seed ?? randomSeed,
    disk: values.disk === undefined ? undefined : oneOf("disk", disks, values.disk),
    break: oneOf("break", breaks, values.break ?? "none"),
    worlds: count("worlds", values.worlds ?? "4"),
    ci: values.ci === true,
    except: values.except?.split(",") ?? [],
    report: values.report
  }
}

const required = (name: string, value: string | undefined): string => {
  if (value === undefined) throw new Error(`--${name} is missing`)
  return value
}

const oneOf = <A extends string>(name: string, all: ReadonlyArray<A>, value: string | undefined): A => {
  const found = all.find((one) => one === value)
  if (found === undefined) throw new Error(`--${name} must be one of ${all.join(", ")}`)
  return found
}

const count = (name: string, value: string): number => {
  const number = Number(value)
  if (!Number.isSafeInteger(number) || number < 1) throw new Error(`--${name} must be a whole number above 0`)
  return number
}
