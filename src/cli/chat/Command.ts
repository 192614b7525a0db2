/** Command: what a line of a chat asks for. */
import { Option } from "effect"
import { nearest } from "../Nearest.js"

export type Command =
  | { readonly _tag: "Nothing" }
  | { readonly _tag: "Say"; readonly text: string }
  | { readonly _tag: "Help" }
  | { readonly _tag: "Sessions" }
  /** By its key, or by its number in the list that was shown last. */
  | { readonly _tag: "Session"; readonly key: string }
  /** Without a name: a new one is made up. */
  | { readonly _tag: "New"; readonly name: string | undefined }
  | { readonly _tag: "Stop" }
  | { readonly _tag: "History"; readonly count: number }
  /** Goes with the next message. */
  | { readonly _tag: "Image"; readonly file: string }
  /** To a question of the agent: the number of an option. */
  | { readonly _tag: "Answer"; readonly option: number }
  | { readonly _tag: "Quit" }
  /** `message` says what was expected. */
  | { readonly _tag: "Wrong"; readonly message: string }

/** How each is written, and what it does. */
export const commands: ReadonlyArray<readonly [usage: string, description: string]> = [
  ["/sessions", "lists the sessions"],
  ["/session KEY", "goes to another session, by its key or its number in the list"],
  ["/new [NAME]", "goes to a new session"],
  ["/history [N]", "shows the newest N messages"],
  ["/image FILE", "adds an image to the next message"],
  ["/stop", "stops the answer, like Esc and Ctrl-C"],
  ["/answer N", "answers a question of the agent"],
  ["/help", "shows this"],
  ["/quit", "leaves, like Ctrl-D"]
]

const names = commands.map(([usage]) => usage.split(" ", 1)[0] ?? "")

/** The names that begin like that. */
export const complete = (line: string): ReadonlyArray<string> =>
  line.startsWith("/") && !line.includes(" ") ? names.filter((name) => name.startsWith(line)) : []

/** Reads a line. A message that begins with `/` is written with two. */
export const parse = (line: string): Command => {
  const text = line.trim()
  if (text === "") return { _tag: "Nothing" }
  if (!text.startsWith("/")) return { _tag: "Say", text: line }
  if (text.startsWith("//")) return { _tag: "Say", text: text.slice(1) }
  const [, name = "", rest = ""] = /^(\/\S*)\s*(.*)$/s.exec(text) ?? []
  switch (name) {
    case "/help":
      return { _tag: "Help" }
    case "/sessions":
      return { _tag: "Sessions" }
    case "/session":
      return rest === "" ? wrong(name, "a session's key or its number") : { _tag: "Session", key: rest }
    case "/new":
      return { _tag: "New", name: rest === "" ? undefined : rest }
    case "/stop":
      return { _tag: "Stop" }
    case "/history":
      return withNumber(name, rest === "" ? "20" : rest, (count) => ({ _tag: "History", count }))
    case "/image":
      return rest === "" ? wrong(name, "a file") : { _tag: "Image", file: rest }
    case "/answer":
      return withNumber(name, rest, (option) => ({ _tag: "Answer", option }))
    case "/quit":
    case "/exit":
      return { _tag: "Quit" }
    default:
      return { _tag: "Wrong", message: unknown(name) }
  }
}

const withNumber = (name: string, text: string, make: (number: number) => Command): Command =>
  /^[1-9]\d{0,3}$/.test(text) ? make(Number(text)) : wrong(name, "a number from 1 to 9999")

const wrong = (name: string, expected: string): Command => ({
  _tag: "Wrong",
  message: `${name}: expected ${expected}`
})

const unknown = (name: string): string =>
  Option.match(nearest(name, names), {
    onNone: () => `There is no ${name}. /help shows what there is; //… sends a message that begins with /.`,
    onSome: (candidate) => `There is no ${name}. Did you mean ${candidate}?`
  })
