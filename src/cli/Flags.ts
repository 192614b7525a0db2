/**
 * The flags of the commands. `@effect/cli` parses them; what it would call an unknown argument (a flag without its
 * value, one given twice, a typing error) is looked for here first, so that it is called by its name.
 */
import { Option } from "effect"
import { nearest } from "./Nearest.js"
import type * as Setting from "./Setting.js"
import * as Settings from "./Settings.js"
import type { SettingProblem } from "./SettingsError.js"
import * as TokenFlags from "./token/TokenFlags.js"

export interface Flag {
  /** `--state-dir` */
  readonly flag: string
  /** What it takes; empty: nothing. */
  readonly unit: string
  readonly expects: string
  readonly description: string
}

const { config, host, port, principals, stateDir, token: tokenSetting } = Settings.program

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
  {
    ...tokenSetting.about,
    description: "The gateway's token. Others can see a flag in the list of processes."
  },
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

/** Flags of `colloquy token` that are no settings. */
export const token = {
  create: {
    scopes: TokenFlags.Flag.scopes,
    sessions: TokenFlags.Flag.sessions,
    label: TokenFlags.Flag.label,
    password: TokenFlags.Flag.password
  },
  list: { json: TokenFlags.Flag.json },
  revoke: {}
} as const satisfies Record<string, Record<string, Flag>>

/** Settings that `colloquy token` reads too, in its words. */
export const tokenSettings: ReadonlyArray<Setting.About> = [
  { ...stateDir.about, description: "The state directory of the gateway." },
  { ...principals.about, description: "The principals file, where it is not in the state directory." },
  config.about
]

/** Settings that `colloquy doctor` reads too, in its words. */
export const doctorSettings: ReadonlyArray<Setting.About> = [
  { ...stateDir.about, description: "The state directory to examine." },
  config.about
]

/** Per command; of `token`, per command of its own. */
const known: Readonly<Record<string, ReadonlyArray<Flag>>> = {
  agents: [...Object.values(agents), ...agentSettings],
  doctor: [...Object.values(doctor), ...doctorSettings],
  serve: Settings.all,
  send: [...Object.values(send), ...sendSettings],
  "token create": [...Object.values(token.create), ...tokenSettings],
  "token list": [...Object.values(token.list), ...tokenSettings],
  "token revoke": tokenSettings
}

export const isCommand = (name: string): boolean => name === "token" || Object.hasOwn(known, name)

/** The words of the command, and what follows them. */
const split = ([first = "", ...rest]: ReadonlyArray<string>) => {
  const words =
    first === "token" && rest[0] !== undefined && !rest[0].startsWith("-") ? [first, rest[0]] : [first]
  return { words, rest: rest.slice(words.length - 1), flags: known[words.join(" ")] }
}

/** With the flags before the other arguments, as `@effect/cli` wants them; people write names first. */
export const ordered = (args: ReadonlyArray<string>): ReadonlyArray<string> => {
  const { flags = [], rest, words } = split(args)
  if (words[0] !== "token") return args
  const before: Array<string> = []
  const behind: Array<string> = []
  for (let index = 0; index < rest.length; index++) {
    const arg = rest[index] ?? ""
    if (arg === "--") {
      behind.push(...rest.slice(index))
      break
    }
    if (!arg.startsWith("--")) {
      behind.push(arg)
      continue
    }
    before.push(arg)
    const takesNext =
      !arg.includes("=") &&
      (arg === "--log-level" || flags.some(({ flag, unit }) => flag === arg && unit !== ""))
    const next = rest[index + 1]
    if (takesNext && next !== undefined) {
      before.push(next)
      index += 1
    }
  }
  return [...words, ...before, ...behind]
}

/** Flags of every command, which `@effect/cli` knows. */
const builtIn = ["--help", "-h", "--version", "--completions", "--log-level"]

/** What is wrong with the flags of a command line. */
export const check = (args: ReadonlyArray<string>): ReadonlyArray<SettingProblem> => {
  const { flags, rest, words } = split(args)
  if (words[0] === "token" && flags === undefined) {
    const found = words[1] === undefined ? "nothing" : JSON.stringify(words[1])
    return [{ where: "token", message: `expected create, list or revoke; found ${found}` }]
  }
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
