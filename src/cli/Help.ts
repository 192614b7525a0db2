/**
 * The help pages. Made here from the table of settings: the ones of `@effect/cli` say of each flag on six lines that it
 * is a text and optional.
 */
import { version } from "../domain/Product.js"
import * as Flags from "./Flags.js"
import * as Settings from "./Settings.js"

const general = `Colloquy ${version}: a gateway between chat clients and AI agents.

Usage
  colloquy serve [flags]          starts the gateway
  colloquy send [flags] "text"    sends a message and prints the answer as it comes
  colloquy agents [flags]         lists the agents, and tries them with --check
  colloquy token create NAME      lets somebody in; token list and token revoke show and undo it
  colloquy doctor [flags]         checks a state directory, and repairs it with --repair

Examples
  colloquy serve
  colloquy send "hello"
  colloquy send --session notes "{{n=20 ms=200}} one word after the other"    Ctrl-C aborts it
  ANTHROPIC_API_KEY=... colloquy serve --agent anthropic --model claude-sonnet-4-5
  COLLOQUY_PORT=9000 colloquy serve --log-format json
  colloquy doctor --repair

Flags
  --help, -h                      for a command: what it does and its flags
  --version
  --completions <sh|fish|zsh>     prints a completion script for a shell
`

/** The page for what was asked. */
export const page = (command: string | undefined): string => {
  switch (command) {
    case "serve":
      return serve()
    case "send":
      return send()
    case "agents":
      return agents()
    case "token":
      return token()
    case "doctor":
      return doctor()
    default:
      return general
  }
}

const serve =
  (): string => `Starts the gateway. It prints where to connect, logs to standard error and stops on SIGINT and SIGTERM.

Usage
  colloquy serve [flags]

Flags
${Object.values(Settings.program)
  .map(({ about }) => entry(about, defaultOf(about)))
  .join("\n")}

Limits and times
${Object.values(Settings.gateway)
  .map(({ about }) => entry(about, defaultOf(about)))
  .join("\n")}

It stops on Ctrl-C or SIGTERM: runs end, clients are told; the same signal once more ends it at once.

Each one can also be set in the environment (--state-dir: COLLOQUY_STATE_DIR) and in the config file ("stateDir").
A flag counts before the environment, the environment before the file. More: docs/settings.md

Examples
  colloquy serve --port 9000 --state-dir ./state
  COLLOQUY_TOKEN=... colloquy serve --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem
`

const send =
  (): string => `Sends a message to a session's agent and prints the answer as it comes. Ctrl-C aborts it; once more leaves at once.

Usage
  colloquy send [flags] "text"

Flags
${[...Object.values(Flags.send), ...Flags.sendSettings].map((flag) => entry(flag, "")).join("\n")}

Without --token and COLLOQUY_TOKEN, the token is read where \`colloquy serve\` keeps it: in the state directory.

Exit codes
  0 answered, 1 failed, 2 wrong flags or settings, 130 aborted by Ctrl-C

Examples
  colloquy send "hello"
  colloquy send --session notes "what did I say?"
  colloquy send --url ws://127.0.0.1:9000 --token ... /stop
`

const doctor =
  (): string => `Checks a state directory: its files, the run journal, transcripts, permissions. Says what it finds.

Usage
  colloquy doctor [flags]

Flags
${[...Object.values(Flags.doctor), ...Flags.doctorSettings].map((flag) => entry(flag, "")).join("\n")}

Without --repair nothing is changed, and a gateway may be running. A repair does what the next start would do, and more;
what it cuts off it keeps beside, in a file *.torn. More: docs/state-directory.md

Exit codes
  0 no problems (or all repaired), 1 problems left, 2 wrong flags or settings

Examples
  colloquy doctor
  colloquy doctor --state-dir ./state --repair
  colloquy doctor --json
`

const agents = (): string => `Lists the agents of the config file, and tries them with --check.

Usage
  colloquy agents [flags]

Flags
${[...Object.values(Flags.agents), ...Flags.agentSettings].map((flag) => entry(flag, "")).join("\n")}

How agents are configured: docs/agents.md

Exit codes
  0 listed (and all answer), 1 one that was tried does not answer, 2 wrong flags or settings

Examples
  colloquy agents
  colloquy agents --check
  colloquy agents --config ./config.json --json
`

const entriesOf = (flags: Readonly<Record<string, Flags.Flag>>): string =>
  Object.values(flags)
    .map((flag) => entry(flag, ""))
    .join("\n")

const token =
  (): string => `Says who may log in besides the owner. A running gateway sees changes at once: what is revoked is out.

Usage
  colloquy token create NAME [flags]      makes a token and shows it this once; NAME is a new principal, or one there is
  colloquy token list [flags]             shows principals, and the ids of their tokens
  colloquy token revoke NAME|ID [flags]   takes a principal away with all its tokens, or one token

Flags of token create
${entriesOf(Flags.token.create)}

Flags of token list
${entriesOf(Flags.token.list)}

Flags of all three
${Flags.tokenSettings.map((flag) => entry(flag, "")).join("\n")}

Patterns, passwords, how to give a team its tokens: docs/principals.md

Exit codes
  0 done, 1 not done, 2 wrong flags or settings, 130 ended by Ctrl-C

Examples
  colloquy token create alice --label laptop
  colloquy token create dashboard --scopes read --sessions "agent:*"
  colloquy token create bob --password < password.txt
  colloquy token revoke alice
`

const defaultOf = (about: { readonly default: string }): string => ` Default: ${about.default}.`

const column = 34
const width = 110

const entry = ({ description, flag, unit }: Flags.Flag, suffix: string): string => {
  const name = unit === "" ? `  ${flag}` : `  ${flag} <${unit}>`
  const lines = wrap(`${description.replaceAll("`", "")}${suffix}`, width - column)
  const indented = lines.map((line) => " ".repeat(column) + line)
  return name.length + 2 > column
    ? [name, ...indented].join("\n")
    : [name.padEnd(column) + (lines[0] ?? ""), ...indented.slice(1)].join("\n")
}

const wrap = (text: string, size: number): ReadonlyArray<string> =>
  text.split(" ").reduce<Array<string>>((lines, word) => {
    const last = lines.at(-1)
    if (last === undefined || last.length + 1 + word.length > size) lines.push(word)
    else lines[lines.length - 1] = `${last} ${word}`
    return lines
  }, [])
