/**
 * The command line, before `@effect/cli` parses it: what that would call an unknown argument (a flag without its value, one
 * given twice, a typing error) is looked for here first, so that it is called by its name.
 */
import { Option } from "effect"
import * as Flags from "./Flags.js"
import { nearest } from "./Nearest.js"
import * as Settings from "./Settings.js"
import type { SettingProblem } from "./SettingsError.js"

/** Commands that have commands of their own. */
export const groups: Readonly<Record<string, ReadonlyArray<string>>> = {
  sessions: ["list", "show", "reset", "delete", "export"],
  token: ["create", "list", "revoke"]
}

const remote = (flags: Readonly<Record<string, Flags.Flag>>): ReadonlyArray<Flags.Flag> => [
  ...Object.values(flags),
  ...Flags.remoteSettings
]

/** A command that does something. */
export interface Known {
  /** What it does, in a few words. */
  readonly about: string
  readonly flags: ReadonlyArray<Flags.Flag>
  /** What it takes besides flags, if there are only so many. */
  readonly choices?: ReadonlyArray<string>
}

export const shells = ["bash", "zsh", "fish"] as const

/** Every command, by its words. */
export const known: Readonly<Record<string, Known>> = {
  serve: { about: "starts the gateway", flags: Settings.all },
  chat: { about: "talks with a session's agent", flags: remote(Flags.chat) },
  send: { about: "sends a message and prints the answer as it comes", flags: remote(Flags.send) },
  "sessions list": { about: "lists sessions", flags: remote(Flags.sessions.list) },
  "sessions show": { about: "shows the newest messages of a session", flags: remote(Flags.sessions.show) },
  "sessions reset": { about: "has a session begin anew", flags: remote(Flags.sessions.reset) },
  "sessions delete": { about: "takes a session away", flags: remote(Flags.sessions.delete) },
  "sessions export": { about: "writes a session's whole history", flags: remote(Flags.sessions.export) },
  abort: { about: "aborts runs", flags: remote(Flags.abort) },
  watch: { about: "prints the gateway's events as they come", flags: remote(Flags.watch) },
  call: { about: "calls any method of the gateway", flags: remote(Flags.call) },
  agents: {
    about: "lists the agents, and tries them with --check",
    flags: [...Object.values(Flags.agents), ...Flags.agentSettings]
  },
  "token create": {
    about: "lets somebody in",
    flags: [...Object.values(Flags.token.create), ...Flags.tokenSettings]
  },
  "token list": {
    about: "shows who may log in",
    flags: [...Object.values(Flags.token.list), ...Flags.tokenSettings]
  },
  "token revoke": { about: "takes a principal or a token away", flags: Flags.tokenSettings },
  doctor: {
    about: "checks a state directory, and repairs it with --repair",
    flags: [...Object.values(Flags.doctor), ...Flags.doctorSettings]
  },
  completions: { about: "prints a completion script for a shell", flags: [], choices: shells }
}

export const isCommand = (name: string): boolean => Object.hasOwn(groups, name) || Object.hasOwn(known, name)

/** The words of the command, and what follows them. */
const split = ([first = "", ...rest]: ReadonlyArray<string>) => {
  const words =
    Object.hasOwn(groups, first) && rest[0] !== undefined && !rest[0].startsWith("-")
      ? [first, rest[0]]
      : [first]
  return { words, rest: rest.slice(words.length - 1), flags: known[words.join(" ")]?.flags }
}

/** With the flags before the other arguments, as `@effect/cli` wants them; people write names first. */
export const ordered = (args: ReadonlyArray<string>): ReadonlyArray<string> => {
  const { flags = [], rest, words } = split(args)
  const before: Array<string> = []
  const behind: Array<string> = []
  for (let index = 0; index < rest.length; index++) {
    const arg = rest[index] ?? ""
    if (arg === "--") {
      behind.push(...rest.slice(index))
      break
    }
    // What has a space in it is a text.
    if (!arg.startsWith("--") || arg.includes(" ")) {
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
  const [group = "", word] = words
  const own = Object.hasOwn(groups, group) ? groups[group] : undefined
  if (own !== undefined && flags === undefined) {
    const found = word === undefined ? "nothing" : JSON.stringify(word)
    const expected = `${own.slice(0, -1).join(", ")} or ${own.at(-1)}`
    return [{ where: group, message: `expected ${expected}; found ${found}` }]
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
    if (seen.has(name) && flag.repeats !== true)
      problems.push({ where: name, message: "given more than once" })
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

const unknown = (name: string, flags: ReadonlyArray<Flags.Flag>): SettingProblem => ({
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
