/** Keyboard: the line editor of a chat, on Node's readline. Whatever happens, the terminal is left as it was. */
import { Effect, type Scope } from "effect"
import { createInterface, type Interface, type Key } from "node:readline"
import { Writable } from "node:stream"
import type { Prompt } from "./Screen.js"

/** What comes from the keyboard. */
export type Typed =
  | { readonly _tag: "Line"; readonly text: string }
  /** Esc. */
  | { readonly _tag: "Escape" }
  /** Ctrl-C. `line`: what was in the line that it has cleared. */
  | { readonly _tag: "Interrupt"; readonly line: string }
  /** Ctrl-D on an empty line. */
  | { readonly _tag: "End" }

export interface Keyboard {
  readonly prompt: Prompt
}

export interface KeyboardOptions {
  readonly onTyped: (typed: Typed) => void
  /** The newest line first. */
  readonly history: ReadonlyArray<string>
  readonly complete: (line: string) => ReadonlyArray<string>
}

/** How long behind an Esc the rest of a key's code may come, in milliseconds. */
const escapeTimeout = 50
const first = "> "
const more = "… "
const bracketedPaste = { on: "\u001b[?2004h", off: "\u001b[?2004l" }

export const open = (options: KeyboardOptions): Effect.Effect<Keyboard, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => listen(options)),
      ({ stop }) => Effect.sync(stop)
    ),
    ({ keyboard }) => keyboard
  )

const listen = ({ complete, history, onTyped }: KeyboardOptions) => {
  const { stdin, stdout } = process
  // While an answer grows, what is typed is not shown: it is in the line when the prompt comes back.
  let isShown = false
  const muted = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      if (isShown) stdout.write(chunk)
      done()
    }
  })
  const output = Object.assign(muted, { isTTY: true, columns: stdout.columns, rows: stdout.rows })
  const rl: Interface = createInterface({
    input: stdin,
    output,
    terminal: true,
    prompt: first,
    history: [...history],
    historySize: 1000,
    removeHistoryDuplicates: true,
    escapeCodeTimeout: escapeTimeout,
    completer: (line: string) => [[...complete(line)], line]
  })

  /** Lines before the one that is being typed. */
  let before: Array<string> = []
  let isPasting = false

  const onResize = (): void => {
    Object.assign(output, { columns: stdout.columns, rows: stdout.rows })
    output.emit("resize")
  }
  const onKey = (_text: string | undefined, key: Key | undefined): void => {
    if (key?.name === "paste-start") isPasting = true
    if (key?.name === "paste-end") isPasting = false
    if (key?.name === "escape") onTyped({ _tag: "Escape" })
  }
  const onLine = (line: string): void => {
    if (isPasting || line.endsWith("\\")) {
      before.push(isPasting ? line : line.slice(0, -1))
      rl.setPrompt(more)
      if (isShown) rl.prompt()
      return
    }
    const text = [...before, line].join("\n")
    before = []
    rl.setPrompt(first)
    isShown = false
    onTyped({ _tag: "Line", text })
  }
  const onInterrupt = (): void => {
    const line = [...before, rl.line].join("\n")
    before = []
    rl.setPrompt(first)
    // Ctrl-E, Ctrl-U: nothing is left of it.
    rl.write(null, { ctrl: true, name: "e" })
    rl.write(null, { ctrl: true, name: "u" })
    onTyped({ _tag: "Interrupt", line })
  }
  const onClose = (): void => onTyped({ _tag: "End" })

  const restore = (): void => void stdout.write(bracketedPaste.off)
  stdout.on("resize", onResize)
  stdin.on("keypress", onKey)
  rl.on("line", onLine).on("SIGINT", onInterrupt).on("close", onClose)
  process.once("exit", restore)
  stdout.write(bracketedPaste.on)

  return {
    stop: () => {
      rl.off("close", onClose)
      stdin.off("keypress", onKey)
      stdout.off("resize", onResize)
      process.off("exit", restore)
      rl.close()
      restore()
    },
    keyboard: {
      prompt: {
        show: () => {
          isShown = true
          rl.prompt(true)
        },
        hide: () => {
          // Up to the first row of the line, and off with everything from there.
          const { rows } = rl.getCursorPos()
          isShown = false
          stdout.write(`\r${rows > 0 ? `\u001b[${rows}A` : ""}\u001b[0J`)
        }
      }
    }
  }
}
