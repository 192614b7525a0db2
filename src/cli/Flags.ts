/** The flags of the commands. */
import type * as Setting from "./Setting.js"
import * as Settings from "./Settings.js"
import * as TokenFlags from "./token/TokenFlags.js"

export interface Flag {
  /** `--state-dir` */
  readonly flag: string
  /** What it takes; empty: nothing. */
  readonly unit: string
  readonly expects: string
  readonly description: string
  /** May it be given several times? */
  readonly repeats?: boolean
}

const { config, host, port, principals, stateDir, token: tokenSetting } = Settings.program

const url = {
  flag: "--url",
  unit: "url",
  expects: "a gateway's address",
  description: "The gateway. Default: where `colloquy serve` with the same settings listens."
} as const satisfies Flag

const json = (description: string) =>
  ({ flag: "--json", unit: "", expects: "nothing", description }) as const satisfies Flag

const yes = {
  flag: "--yes",
  unit: "",
  expects: "nothing",
  description: "Do not ask first. Without a terminal there is nobody to ask, and this is needed."
} as const satisfies Flag

const limit = (description: string) =>
  ({
    flag: "--limit",
    unit: "count",
    expects: "a whole number of at least 1",
    description
  }) as const satisfies Flag

/** Flags of `colloquy send` that are no settings. */
export const send = {
  session: {
    flag: "--session",
    unit: "key",
    expects: "a session's key",
    description: "The session to send to. Default: main."
  },
  image: {
    flag: "--image",
    unit: "file",
    expects: "an image file",
    description: "A PNG, JPEG, GIF or WebP image that goes with the message. May be given several times.",
    repeats: true
  },
  key: {
    flag: "--key",
    unit: "key",
    expects: "an idempotency key",
    description:
      "The message's idempotency key: sent again with the same key, it is still one message. Default: a new one."
  },
  json: json("Print the run's events as they come, one JSON object on each line; the last one is its end."),
  url
} as const satisfies Record<string, Flag>

/** Flags of `colloquy chat` that are no settings. */
export const chat = {
  session: {
    ...send.session,
    description: "The session to talk in. Default: main, or one of those that the token is for."
  },
  url
} as const satisfies Record<string, Flag>

/** Flags of `colloquy sessions` that are no settings. */
export const sessions = {
  list: {
    search: {
      flag: "--search",
      unit: "text",
      expects: "a text",
      description: "Only sessions that have this text in their key, label or name."
    },
    limit: limit("Sessions at most. Default: 50."),
    json: json("Print one JSON document."),
    url
  },
  show: {
    limit: limit("Messages at most, the newest ones. Default: 20."),
    json: json("Print one JSON document, as the gateway keeps the messages."),
    url
  },
  reset: { yes, url },
  delete: { yes, url },
  export: {
    format: {
      flag: "--format",
      unit: "format",
      expects: "markdown or jsonl",
      description:
        "markdown: to read. jsonl: one message on each line, as the gateway keeps it. Default: markdown."
    },
    output: {
      flag: "--output",
      unit: "file",
      expects: "a file that is not there yet",
      description: "The file to write, which must not be there yet. Default: standard output."
    },
    url
  }
} as const satisfies Record<string, Record<string, Flag>>

/** Flags of `colloquy abort` that are no settings. */
export const abort = {
  session: {
    ...send.session,
    description: "The session whose runs are aborted, queued ones too. Default: main."
  },
  run: {
    flag: "--run",
    unit: "id",
    expects: "a run's id",
    description: "This run alone, in whatever session it is."
  },
  all: { flag: "--all", unit: "", expects: "nothing", description: "All runs that this token may see." },
  url
} as const satisfies Record<string, Flag>

/** Flags of `colloquy call` that are no settings. */
export const call = { url } as const satisfies Record<string, Flag>

/** Flags of `colloquy watch` that are no settings. */
export const watch = {
  session: {
    ...send.session,
    description: "Only the events of this session. Default: all that this token may see."
  },
  json: json("Print each event as one line of JSON, as it came."),
  url
} as const satisfies Record<string, Flag>

/** Settings that the commands read too that talk to a gateway, in their words. */
export const remoteSettings: ReadonlyArray<Setting.About> = [
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
  json: json("Print the findings as one JSON document.")
} as const satisfies Record<string, Flag>

/** Flags of `colloquy agents` that are no settings. */
export const agents = {
  check: {
    flag: "--check",
    unit: "",
    expects: "nothing",
    description: "Try each: is the program there, the server reached, the key taken, the model known?"
  },
  json: json("Print one JSON document.")
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
