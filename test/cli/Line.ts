/** Command lines that run in the process of the test: a program of its own takes half a second to begin. */
import { ConfigProvider, Effect } from "effect"
import * as Cli from "../../src/cli/Cli.js"

/** Runs a command line in this process; what it writes through Effect's Console is kept. */
export const run = (args: ReadonlyArray<string>, environment: Readonly<Record<string, string>> = {}) =>
  Effect.consoleWith((console) => {
    const output = { stdout: "", stderr: "" }
    const keep =
      (stream: "stdout" | "stderr") =>
      (...parts: ReadonlyArray<unknown>) =>
        Effect.sync(() => {
          output[stream] += `${parts.map(String).join(" ")}\n`
        })
    return Cli.run(["node", "colloquy", ...args]).pipe(
      Effect.withConsole({ ...console, log: keep("stdout"), error: keep("stderr") }),
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(environment)))),
      Effect.map((code) => ({ code, ...output }))
    )
  })
