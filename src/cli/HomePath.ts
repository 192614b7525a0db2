/** `~`, the user's home directory, in paths. */
import { homedir } from "node:os"

/** `~/x` → `x` in the home directory; other paths stay as they are. */
export const expand = (path: string): string => path.replace(/^~(?=$|[/\\])/, () => homedir())

/** The other way round, for people to read. */
export const shorten = (path: string): string => {
  const home = homedir()
  return path === home || path.startsWith(`${home}/`) ? `~${path.slice(home.length)}` : path
}
