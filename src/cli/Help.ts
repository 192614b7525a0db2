/**
 * The help pages. Made here from the tables of commands and settings: the ones of `@effect/cli` say of each flag on six
 * lines that it is a text and optional.
 */
import { version } from "../domain/Product.js"
import * as CommandLine from "./CommandLine.js"
import * as Flags from "./Flags.js"
import { beside, entry, type FlagSections, type Page, render, section } from "./HelpPage.js"
import type * as Setting from "./Setting.js"
import * as Settings from "./Settings.js"

/** The page for what was asked: the words of a command, and whatever else was on the line. */
export const page = ([command = "", word = ""]: ReadonlyArray<string>): string => {
  const own = pages[`${command} ${word}`] ?? pages[command]
  return own === undefined ? general() : render(own())
}

const entries = (flags: Readonly<Record<string, Flags.Flag>>): ReadonlyArray<string> =>
  Object.values(flags).map((flag) => entry(flag))

/** The flags of a command that talks to a gateway. */
const remote = (flags: Readonly<Record<string, Flags.Flag>>): FlagSections => [
  ["Flags", [...entries(flags), ...Flags.remoteSettings.map((about) => entry(about))]]
]

const remoteNotes = [
  "Without --token and COLLOQUY_TOKEN, the token is read where `colloquy serve` keeps it: in the state directory."
]

const withDefault = (about: Setting.About): string => entry(about, ` Default: ${about.default}.`)

const general = (): string =>
  [
    `Colloquy ${version}: a gateway between chat clients and AI agents.`,
    section("Usage", ["colloquy COMMAND [flags]"]),
    [
      "Commands",
      ...Object.entries(CommandLine.known).map(([words, { about }]) => beside(`  ${words}`, about))
    ].join("\n"),
    section("Examples", [
      "colloquy serve",
      "colloquy chat",
      'colloquy send "hello"',
      "git diff | colloquy send --session review -",
      "ANTHROPIC_API_KEY=... colloquy serve --agent anthropic --model claude-sonnet-4-5",
      "COLLOQUY_PORT=9000 colloquy serve --log-format json",
      "colloquy sessions export main --output main.md"
    ]),
    ["Flags", beside("  --help, -h", "for a command: what it does and its flags"), beside("  --version", "")]
      .map((line) => line.trimEnd())
      .join("\n")
  ].join("\n\n") + "\n"

const serve = (): Page => ({
  intro:
    "Starts the gateway. It prints where to connect, logs to standard error and stops on SIGINT and SIGTERM.",
  usage: ["colloquy serve [flags]"],
  flags: [
    ["Flags", Object.values(Settings.program).map(({ about }) => withDefault(about))],
    ["Limits and times", Object.values(Settings.gateway).map(({ about }) => withDefault(about))]
  ],
  notes: [
    "It stops on Ctrl-C or SIGTERM: runs end, clients are told; the same signal once more ends it at once.",
    'Each one can also be set in the environment (--state-dir: COLLOQUY_STATE_DIR) and in the config file ("stateDir").\nA flag counts before the environment, the environment before the file. More: docs/settings.md'
  ],
  examples: [
    "colloquy serve --port 9000 --state-dir ./state",
    "COLLOQUY_TOKEN=... colloquy serve --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem"
  ]
})

const chat = (): Page => ({
  intro:
    "Talks with a session's agent. Esc or Ctrl-C stops an answer, a second Ctrl-C leaves, and so does Ctrl-D.\nWhen its lines come from a pipe, each is a message, and the answers are its output.",
  usage: ["colloquy chat [flags]"],
  flags: remote(Flags.chat),
  notes: [
    "In the chat: /help shows what there is. A line that ends with \\ goes on in the next one; what is pasted is one message.",
    ...remoteNotes
  ],
  exitCodes:
    "0 left, 1 failed (of a pipe: one message or more), 2 wrong flags or settings, 130 left by Ctrl-C",
  examples: [
    "colloquy chat",
    "colloquy chat --session notes",
    "printf 'what is 6 x 7?\\nand half of it?\\n' | colloquy chat --session sums"
  ]
})

const send = (): Page => ({
  intro:
    "Sends a message to a session's agent and prints the answer as it comes. Ctrl-C aborts it; once more leaves at once.\nWithout a text, or with - for it, the message is what comes from standard input.",
  usage: ['colloquy send [flags] "text"', "colloquy send [flags] - < file"],
  flags: remote(Flags.send),
  notes: [
    "A connection that is lost is made again: the message stays one message, and its answer goes on.",
    ...remoteNotes
  ],
  exitCodes: "0 answered, 1 failed, 2 wrong flags or settings, 130 aborted by Ctrl-C",
  examples: [
    'colloquy send "hello"',
    'colloquy send --session notes "what did I say?"',
    'colloquy send --image photo.png "what is this?"',
    "git diff | colloquy send --session review -",
    'colloquy send --json "hello" | tail -n 1',
    "colloquy send --url ws://127.0.0.1:9000 --token ... /stop"
  ]
})

const sessions = (): Page => ({
  intro: "Lists, shows, resets, deletes and exports sessions.",
  usage: [
    "colloquy sessions list [flags]          the most recently used first",
    "colloquy sessions show KEY [flags]      the newest messages",
    "colloquy sessions reset KEY [flags]     begins anew; the transcript is put aside",
    "colloquy sessions delete KEY [flags]    takes it away; the transcript is put aside",
    "colloquy sessions export KEY [flags]    the whole history, as Markdown or lines of JSON"
  ],
  flags: [
    ["Flags of sessions list", own(Flags.sessions.list)],
    ["Flags of sessions show", own(Flags.sessions.show)],
    ["Flags of sessions reset and delete", own(Flags.sessions.reset)],
    ["Flags of sessions export", own(Flags.sessions.export)],
    ["Flags of all of them", [entry(Flags.chat.url), ...Flags.remoteSettings.map((about) => entry(about))]]
  ],
  notes: remoteNotes,
  exitCodes: "0 done, 1 not done, 2 wrong flags or settings, 130 ended by Ctrl-C",
  examples: [
    "colloquy sessions list --search invoice",
    "colloquy sessions show main --limit 5",
    "colloquy sessions reset main --yes",
    "colloquy sessions export main --output main.md",
    "colloquy sessions export main --format jsonl | wc -l"
  ]
})

const own = ({ url: _url, ...flags }: Readonly<Record<string, Flags.Flag>>): ReadonlyArray<string> =>
  entries(flags)

const abort = (): Page => ({
  intro: "Aborts runs, queued ones too, and says which.",
  usage: ["colloquy abort [flags]"],
  flags: remote(Flags.abort),
  notes: remoteNotes,
  exitCodes:
    "0 done, also when nothing was running, 1 failed, or the run was not there, 2 wrong flags or settings",
  examples: [
    "colloquy abort",
    "colloquy abort --session notes",
    "colloquy abort --run 6f1c…",
    "colloquy abort --all"
  ]
})

const watch = (): Page => ({
  intro: "Prints the gateway's events as they come, until Ctrl-C. A connection that is lost is made again.",
  usage: ["colloquy watch [flags]"],
  flags: remote(Flags.watch),
  notes: remoteNotes,
  exitCodes: "1 failed, 2 wrong flags or settings, 130 ended by Ctrl-C",
  examples: ["colloquy watch", "colloquy watch --session main --json | jq .event"]
})

const call = (): Page => ({
  intro: "Calls any method of the gateway and prints what it answers, as JSON. Without parameters: {}.",
  usage: ["colloquy call [flags] METHOD [JSON]", "colloquy call [flags] METHOD - < file"],
  flags: remote(Flags.call),
  notes: ["The methods: docs/protocol-reference.md", ...remoteNotes],
  exitCodes: "0 answered, 1 the gateway refused it, or failed, 2 wrong flags, settings or JSON",
  examples: [
    "colloquy call health",
    `colloquy call chat.history '{"sessionKey":"main","limit":5}'`,
    "colloquy call runs.list"
  ]
})

const doctor = (): Page => ({
  intro:
    "Checks a state directory: its files, the run journal, transcripts, permissions. Says what it finds.",
  usage: ["colloquy doctor [flags]"],
  flags: [["Flags", [...entries(Flags.doctor), ...Flags.doctorSettings.map((about) => entry(about))]]],
  notes: [
    "Without --repair nothing is changed, and a gateway may be running. A repair does what the next start would do, and more;\nwhat it cuts off it keeps beside, in a file *.torn. More: docs/state-directory.md"
  ],
  exitCodes: "0 no problems (or all repaired), 1 problems left, 2 wrong flags or settings",
  examples: ["colloquy doctor", "colloquy doctor --state-dir ./state --repair", "colloquy doctor --json"]
})

const agents = (): Page => ({
  intro: "Lists the agents of the config file, and tries them with --check.",
  usage: ["colloquy agents [flags]"],
  flags: [["Flags", [...entries(Flags.agents), ...Flags.agentSettings.map((about) => entry(about))]]],
  notes: ["How agents are configured: docs/agents.md"],
  exitCodes: "0 listed (and all answer), 1 one that was tried does not answer, 2 wrong flags or settings",
  examples: ["colloquy agents", "colloquy agents --check", "colloquy agents --config ./config.json --json"]
})

const token = (): Page => ({
  intro:
    "Says who may log in besides the owner. A running gateway sees changes at once: what is revoked is out.",
  usage: [
    "colloquy token create NAME [flags]      makes a token and shows it this once; NAME is a new principal, or one there is",
    "colloquy token list [flags]             shows principals, and the ids of their tokens",
    "colloquy token revoke NAME|ID [flags]   takes a principal away with all its tokens, or one token"
  ],
  flags: [
    ["Flags of token create", entries(Flags.token.create)],
    ["Flags of token list", entries(Flags.token.list)],
    ["Flags of all three", Flags.tokenSettings.map((about) => entry(about))]
  ],
  notes: ["Patterns, passwords, how to give a team its tokens: docs/principals.md"],
  exitCodes: "0 done, 1 not done, 2 wrong flags or settings, 130 ended by Ctrl-C",
  examples: [
    "colloquy token create alice --label laptop",
    'colloquy token create dashboard --scopes read --sessions "agent:*"',
    "colloquy token create bob --password < password.txt",
    "colloquy token revoke alice"
  ]
})

const completions = (): Page => ({
  intro: "Prints a script that has a shell complete commands and flags.",
  usage: [`colloquy completions ${CommandLine.shells.join("|")}`],
  examples: [
    "source <(colloquy completions bash)      in ~/.bashrc",
    "source <(colloquy completions zsh)       in ~/.zshrc, behind compinit",
    "colloquy completions fish | source       in ~/.config/fish/config.fish"
  ]
})

const pages: Readonly<Record<string, (() => Page) | undefined>> = {
  serve,
  chat,
  send,
  sessions,
  abort,
  watch,
  call,
  agents,
  token,
  doctor,
  completions
}
