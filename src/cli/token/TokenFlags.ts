/** TokenFlags: the flags of `colloquy token` that are no settings. */

/** By what they set. */
export const Flag = {
  scopes: {
    flag: "--scopes",
    unit: "list",
    expects: "some of read, write, admin, separated by commas",
    description: "What a new principal may do. Default: read,write."
  },
  sessions: {
    flag: "--sessions",
    unit: "list",
    expects: "patterns of session keys, separated by commas",
    description:
      "The sessions that a new principal may see and use; * stands for anything. Default: agent:*:NAME,agent:*:NAME:*"
  },
  label: {
    flag: "--label",
    unit: "text",
    expects: "a text",
    description: "What the token is for, as `token list` shows it."
  },
  password: {
    flag: "--password",
    unit: "",
    expects: "nothing",
    description:
      "Set a password instead of making a token. It is asked for, or read from standard input where that is no terminal."
  },
  json: {
    flag: "--json",
    unit: "",
    expects: "nothing",
    description: "Print one JSON document."
  }
} as const
