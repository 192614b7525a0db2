/** How this program was called. */
import { basename, relative } from "node:path"

/** What to type to call it again: `colloquy` where it is installed, `node dist/main.js` in a clone. */
export const command = (): string => {
  const [, script = ""] = process.argv
  if (basename(script) === "colloquy") return "colloquy"
  const path = relative(process.cwd(), script)
  return `node ${quote(path.startsWith("..") ? script : path)}`
}

/** As one word of a shell. */
export const quote = (text: string): string =>
  /^[\w@%+=:,./~-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
