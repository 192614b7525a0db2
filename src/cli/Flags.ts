/**
 * The flags of the commands. `@effect/cli` parses them; what it would call an unknown argument (a flag without its
 * value, one given twice, a typing error) is looked for here first, so that it is called by its name.
 */
import { Option } from "effect"
import { nearest } from "./Nearest.js"
import type * as Setting from "./Setting.js"
import * as Settings from "./Settings.js"
import type { SettingProblem } from "./SettingsError.js"

export interface Flag {
  /** `--state-dir` */
  readonly flag: string
  /** What it takes; empty: nothing. */
  readonly unit: string
  readonly expects: string
  readonly description: string
}

const { config, host, port, stateDir, token } = Settings.program

/** Flags of `colloquy send` that are no settings. */
export const send = {
  session: {
    flag: "--session",
    unit: "key",
    expects: "a session's key",
    description: "The session to send to. Default: main."
  },
  url: {
    flag: "--url",
    unit: "url",
    expects: "a gateway's address",
    description: "The gateway. Default: where `colloquy serve` with the same settings listens."
  }
} as const satisfies Record<string, Flag>

/** Settings that `colloquy send` reads too, in its words. */
export const sendSettings: ReadonlyArray<Setting.About> = [
  { ...host.about, description: "The gateway's host, where no --url is given." },
  { ...port.about, description: "The gateway's port, where no --url is given." },
  { ...token.about, description: "The gateway's token. Others can see a flag in the list of processes." },
  { ...stateDir.about, description: "Where the gateway of this machine keeps its state, and its token." },
  config.about
]

/** Flags of `colloquy doctor` that are no settings. */
export const doctor = {
  repair: {
    flag: "--repair",
    unit: "",
    expects: "nothing",
    description: "Mend what can be mended. Not while a gateway is running."
  },
  json: {
    flag: "--json",
    unit: "",
    expects: "nothing",
    description: "Print the findings as one JSON document."
  }
} as const satisfies Record<string, Flag>

/** Flags of `colloquy agents` that are no settings. */
export const agents = {
  check: {
    flag: "--check",
    unit: "",
    expects: "nothing",
    description: "Try each: is the program there, the server reached, the key taken, the model known?"
  },
  json: {
    flag: "--json",
    unit: "",
    expects: "nothing",
    description: "Print one JSON document."
  }
} as const satisfies Record<string, Flag>

/** Settings that `colloquy agents` reads too. */
export const agentSettings: ReadonlyArray<Setting.About> = [
  config.about,
  { ...stateDir.about, description: "Where the config file is, where no --config is given." },
  Settings.program.agent.about,
  Settings.program.model.about
]

/** Settings that `colloquy doctor` reads too, in its words. */
export const doctorSettings: ReadonlyArray<Setting.About> = [
  { ...stateDir.about, description: "The state directory to examine." },
  config.about
]

/** Per command. */
const known: Readonly<Record<string, ReadonlyArray<Flag>>> = {
  agents: [...Object.values(agents), ...agentSettings],
  doctor: [...Object.values(doctor), ...doctorSettings],
  serve: Settings.all,
  send: [...Object.values(send), ...sendSettings]
}

export const isCommand = (name: string): boolean => Object.hasOwn(known, name)

/** Flags of every command, which `@effect/cli` knows. */
const builtIn = ["--help", "-h", "--version", "--completions", "--log-level"]

/** What is wrong with the flags of a command line. */
export const check = (args: ReadonlyArray<string>): ReadonlyArray<SettingProblem> => {
  const [command = "", ...rest] = args
  const flags = known[command]
  if (flags === undefined) return []
  const problems: Array<SettingProblem> = []
  const seen = new Set<string>()
  for (let index = 0; index < rest.length; index++) {
    const arg = rest[index] ?? ""
    if (arg === "--") break
    if (!arg.startsWith("--")) continue
    const [name = "", ...value] = arg.split("=")
    const flag = flags.find((candidate) => candidate.flag === name)
    if (flag === undefined) {
      // What has a space in it is a text.
      if (!builtIn.includes(name) && !name.includes(" ")) problems.push(unknown(name, flags))
      continue
    }
    if (seen.has(name)) problems.push({ where: name, message: "given more than once" })
    seen.add(name)
    if (value.length > 0 || flag.unit === "") continue
    index += 1
    const next = rest[index]
    if (next === undefined || next.startsWith("--")) {
      problems.push({ where: name, message: `expected ${flag.expects}; found nothing` })
      index -= 1
    }
  }
  return problems
}

const unknown = (name: string, flags: ReadonlyArray<Flag>): SettingProblem => ({
  where: name,
  message: Option.match(
    nearest(
      name,
      flags.map(({ flag }) => flag)
    ),
    {
      onNone: () => "there is no such flag",
      onSome: (candidate) => `there is no such flag. Did you mean ${candidate}?`
    }
  )
})
