/** `colloquy completions SHELL`: a script that completes commands and flags, made from the table of commands. */
import { Console, type Effect } from "effect"
import { CliError, exitCodes } from "./CliError.js"
import * as CommandLine from "./CommandLine.js"
import type * as Flags from "./Flags.js"

export const completions = (shell: string): Effect.Effect<void, CliError> => {
  const script = Object.hasOwn(scripts, shell) ? scripts[shell] : undefined
  return script === undefined
    ? new CliError({
        message: `expected ${CommandLine.shells.join(", ")}; found ${JSON.stringify(shell.slice(0, 80))}`,
        exitCode: exitCodes.usage
      })
    : Console.log(script().trimEnd())
}

const commands = Object.entries(CommandLine.known)

/** The first words of commands, and what they do. */
const first: ReadonlyArray<readonly [name: string, about: string]> = [
  ...new Set(commands.map(([words]) => words.split(" ", 1)[0] ?? ""))
].map((name) => [name, CommandLine.known[name]?.about ?? `${(CommandLine.groups[name] ?? []).join(", ")}`])

/** What may follow a first word: the second words of a group, or the choices of a command. */
const second: ReadonlyArray<readonly [name: string, words: ReadonlyArray<string>]> = first.flatMap(
  ([name]) => {
    const words = CommandLine.groups[name] ?? CommandLine.known[name]?.choices
    return words === undefined ? [] : [[name, words]]
  }
)

const groupNames = Object.keys(CommandLine.groups)
const general = ["--help"]
const namesOf = (flags: ReadonlyArray<Flags.Flag>): string =>
  [...flags.map(({ flag }) => flag), ...general].join(" ")

const bash =
  (): string => `# Completions of colloquy for bash. In ~/.bashrc: source <(colloquy completions bash)
_colloquy() {
  local current="\${COMP_WORDS[COMP_CWORD]}" words="\${COMP_WORDS[1]}" reply=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    reply="${first.map(([name]) => name).join(" ")} --help --version"
  else
    if [ "$COMP_CWORD" -eq 2 ]; then
      case "$words" in
${second.map(([name, words]) => `        ${name}) reply="${words.join(" ")}" ;;`).join("\n")}
      esac
    fi
    case "$words" in
      ${groupNames.join("|")}) words="$words \${COMP_WORDS[2]}" ;;
    esac
    case "$current" in
      -*)
        case "$words" in
${commands.map(([words, { flags }]) => `          "${words}") reply="${namesOf(flags)}" ;;`).join("\n")}
        esac
        ;;
    esac
  fi
  COMPREPLY=($(compgen -W "$reply" -- "$current"))
}
complete -o default -F _colloquy colloquy
`

/** In single quotes. */
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`
const short = (text: string): string => (text.split(/(?<=\.) /, 1)[0] ?? text).replaceAll("`", "")

/** \`name:description\`, as \`_describe\` wants it. */
const described = (name: string, text: string): string => quoted(`${name}:${short(text)}`)

const zsh = (): string => `#compdef colloquy
# Completions of colloquy for zsh. In ~/.zshrc, behind compinit: source <(colloquy completions zsh)
_colloquy() {
  local -a found
  local command="$words[2]"
  if (( CURRENT == 2 )); then
    found=(${first.map(([name, about]) => described(name, about)).join(" ")})
    _describe command found
    return
  fi
  if (( CURRENT == 3 )); then
    case "$command" in
${second.map(([name, words]) => `      ${name}) found=(${words.map((word) => quoted(word)).join(" ")}); _describe command found; return ;;`).join("\n")}
    esac
  fi
  case "$command" in
    ${groupNames.join("|")}) command="$command $words[3]" ;;
  esac
  if [[ "$words[CURRENT]" != -* ]]; then
    _files
    return
  fi
  case "$command" in
${commands
  .map(
    ([words, { flags }]) =>
      `    "${words}") found=(${[...flags.map(({ description, flag }) => described(flag, description)), "'--help:shows what it does'"].join(" ")}) ;;`
  )
  .join("\n")}
  esac
  _describe flag found
}
compdef _colloquy colloquy
`

/** When this command has been typed. */
const seen = (words: string): string => {
  const [name = "", word] = words.split(" ")
  const group = `__fish_seen_subcommand_from ${name}`
  return quoted(word === undefined ? group : `${group}; and __fish_seen_subcommand_from ${word}`)
}

const fish = (): string =>
  [
    "# Completions of colloquy for fish. In ~/.config/fish/config.fish: colloquy completions fish | source",
    ...first.map(
      ([name, about]) =>
        `complete -c colloquy -n __fish_use_subcommand -f -a ${name} -d ${quoted(short(about))}`
    ),
    ...second.map(
      ([name, words]) =>
        `complete -c colloquy -n ${quoted(`__fish_seen_subcommand_from ${name}; and not __fish_seen_subcommand_from ${words.join(" ")}`)} -f -a ${quoted(words.join(" "))}`
    ),
    ...commands.flatMap(([words, { flags }]) =>
      flags.map(
        ({ description, flag, unit }) =>
          `complete -c colloquy -n ${seen(words)} -l ${flag.slice(2)}${unit === "" ? "" : " -r"} -d ${quoted(short(description))}`
      )
    ),
    "complete -c colloquy -l help -d 'shows what a command does'",
    ""
  ].join("\n")

const scripts: Readonly<Record<string, (() => string) | undefined>> = { bash, zsh, fish }
