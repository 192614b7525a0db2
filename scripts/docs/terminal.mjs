/** docs/terminal.md: the commands, from their own help. */
import { code, table } from "./markdown.mjs"

export const terminalPage = ({ CommandLine, Help, Command }) => {
  const words = [...new Set(Object.keys(CommandLine.known).map((name) => name.split(" ")[0]))]
  return `<!-- Made from the code by \`npm run docs\`. Change the code, not this page. -->

# The terminal

\`colloquy\` is the gateway, and a client of it. Where it says \`colloquy\` here, it is \`node dist/main.js\` in a clone.

\`\`\`sh
colloquy serve                              # in one terminal
colloquy chat                               # in another
colloquy send "one question"                # or one message, from a script
git diff | colloquy send --session review   # the message comes from standard input
colloquy watch                              # what happens, as it happens
source <(colloquy completions bash)         # have bash complete commands and flags
\`\`\`

- **One message stays one message.** A connection that is lost is made again; what was not acknowledged is sent again with its key,
  and an answer goes on where it was. \`send --key\` gives a script the same across its own restarts.
- **Ctrl-C stops the answer**, and what was said until then is in the history. The second one leaves at once.
- **What goes wrong goes to standard error**, the answer alone to standard output. Colours and progress are for terminals only, and
  [\`NO_COLOR\`](https://no-color.org) is heeded. What agents and others have written is shown and does nothing to the terminal; a
  pipe gets it as it is.
- **Exit codes**: 0 done, 1 failed, 2 wrong flags or settings, 130 and 143 ended by Ctrl-C and SIGTERM.

## \`colloquy chat\`

${table(
  ["command", "what it does"],
  Command.commands.map(([usage, description]) => [code(usage), description])
)}

A line that ends with \`\\\` goes on in the next one; what is pasted is one message. \`//\` at its beginning sends a message that begins
with \`/\`. What is typed while an answer grows waits for its end. What others say in the session is shown. Lines that were typed
are kept in \`chat-history\` in the state directory, for their owner only.

## What each command says of itself

${words.map((name) => `### \`colloquy ${name}\`\n\n\`\`\`text\n${name === "serve" ? serveNote : Help.page([name]).trimEnd()}\n\`\`\``).join("\n\n")}
`
}

/** Its flags are the settings, which have a page of their own. */
const serveNote = "All of its flags: docs/settings.md"
