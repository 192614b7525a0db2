/** The program at a terminal of its own: what it shows, and what is typed. */
import * as Pty from "@lydell/node-pty"
import { Effect, type Scope } from "effect"
import { homedir } from "node:os"

export interface Terminal {
  /**
   * Waits until what is shown behind the last match matches, and goes on behind it; dies when the program ends before. Colours
   * and movements of the cursor are left out.
   */
  readonly until: (pattern: RegExp) => Effect.Effect<string>
  readonly type: (keys: string) => Effect.Effect<void>
  readonly resize: (columns: number, rows: number) => Effect.Effect<void>
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Everything that was written, as it was. */
  readonly raw: Effect.Effect<string>
  readonly exitCode: Effect.Effect<number>
}

export const keys = {
  enter: "\r",
  escape: "\u001b",
  ctrlC: "\u0003",
  ctrlD: "\u0004",
  up: "\u001b[A",
  tab: "\t"
}

export const open = (
  main: string,
  args: ReadonlyArray<string>,
  environment: Readonly<Record<string, string>> = {}
): Effect.Effect<Terminal, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() =>
        Pty.spawn(process.execPath, [main, ...args], {
          cols: 80,
          rows: 24,
          env: { PATH: process.env["PATH"], HOME: homedir(), TERM: "xterm", NO_COLOR: "1", ...environment }
        })
      ),
      (pty) => Effect.sync(() => pty.kill("SIGKILL"))
    ),
    observe
  )

const observe = (pty: Pty.IPty): Terminal => {
  let raw = ""
  let read = 0
  let code: number | undefined
  const watchers = new Set<() => void>()
  const changed = (): void => watchers.forEach((watcher) => watcher())
  pty.onData((text) => {
    raw += text
    changed()
  })
  pty.onExit(({ exitCode, signal }) => {
    code = signal === undefined || signal === 0 ? exitCode : 128 + signal
    changed()
  })
  const wait = <A>(look: () => A | undefined): Effect.Effect<A> =>
    Effect.async((resume) => {
      const watcher = (): void => {
        const found = look()
        if (found === undefined) return
        watchers.delete(watcher)
        resume(Effect.succeed(found))
      }
      watchers.add(watcher)
      watcher()
      return Effect.sync(() => watchers.delete(watcher))
    })
  const shown = (): string => plain(raw)
  return {
    until: (pattern) =>
      Effect.flatten(
        wait(() => {
          const text = shown().slice(read)
          const found = pattern.exec(text)
          if (found !== null) {
            read += found.index + found[0].length
            return Effect.succeed(found[0])
          }
          return code === undefined
            ? undefined
            : Effect.die(new Error(`ended with ${code} before ${pattern}; shown: ${JSON.stringify(text)}`))
        })
      ),
    type: (text) => Effect.sync(() => pty.write(text)),
    resize: (columns, rows) => Effect.sync(() => pty.resize(columns, rows)),
    signal: (signal) => Effect.sync(() => pty.kill(signal)),
    raw: Effect.sync(() => raw),
    exitCode: wait(() => code)
  }
}

/** A code that is not whole yet stays, and keeps what is behind it from being matched. */
const plain = (text: string): string =>
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  text.replaceAll(/\u001b\[[0-9?;]*[A-Za-z]/g, "").replaceAll("\r", "")
