/** docs/settings.md, from the table in src/cli/Settings.ts. */
import { code, generated, table } from "./markdown.mjs"

const rows = (group) =>
  Object.values(group).map(({ about }) => [
    [code(about.flag), code(about.variable), about.inFile ? code(about.key) : ""]
      .filter(Boolean)
      .join("<br>"),
    about.description,
    about.expects,
    about.default
  ])

const head = ["setting", "what it does", "expects", "default"]

export const settingsPage = ({ Settings }) => `${generated}

# Settings

Everything that can be set on \`colloquy serve\`. Each setting has a flag, an environment variable and a key in the config
file, listed in this order. The flag counts before the variable, the variable before the file, the file before the default.

- **The config file** is one JSON object, for example
  \`{ "port": 9000, "runTimeout": "5 minutes", "stopCommands": ["/stop", "halt"] }\`. It is the one that \`--config\` names, else
  \`config.json\` in the state directory, if there is one. A key that is not listed here is refused.
- **Durations** are texts like \`30 seconds\`, \`1.5m\`, \`500ms\` (units: ms, s, m, h, d and their names), or a number of
  milliseconds. **Sizes** are texts like \`512 KiB\` or \`1.5 MiB\`, or a number of bytes.
- **Paths** may begin with \`~\`; relative ones are relative to the directory in which the program is started.
- **A wrong setting** stops the program, before it does anything, with exit code 2 and a message that says where it was
  set, what is expected and what was found. All wrong settings are told at once.

\`colloquy send\` reads the same settings, to find the gateway and its token.

Who answers is set in the config file's \`agents\`: [agents.md](agents.md).

## The program

${table(head, rows(Settings.program))}

## Limits and times

${table(head, rows(Settings.gateway))}
`
