/** The completion scripts, in the shells that are there. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync, spawnSync } from "node:child_process"
import * as CommandLine from "../../src/cli/CommandLine.js"
import { run } from "./Line.js"

const scriptFor = (shell: string) => Effect.map(run(["completions", shell]), ({ stdout }) => stdout)

/** What bash would offer behind these words. */
const offered = (script: string, words: ReadonlyArray<string>): ReadonlyArray<string> => {
  const asked = `${script}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _colloquy; printf '%s\\n' "\${COMPREPLY[@]}"`
  return execFileSync("bash", ["-c", asked, "bash", ...words], { encoding: "utf8" })
    .split("\n")
    .filter((word) => word !== "")
}

describe("completions", () => {
  it.effect("for bash: commands, their commands, their flags", () =>
    Effect.gen(function* () {
      const script = yield* scriptFor("bash")
      expect(offered(script, ["colloquy", "se"])).toEqual(["serve", "send", "sessions"])
      expect(offered(script, ["colloquy", "sessions", ""])).toEqual(CommandLine.groups["sessions"])
      expect(offered(script, ["colloquy", "sessions", "show", "--l"])).toEqual(["--limit"])
      expect(offered(script, ["colloquy", "send", "hello", "--im"])).toEqual(["--image"])
      expect(offered(script, ["colloquy", "completions", ""])).toEqual(CommandLine.shells)
      expect(offered(script, ["colloquy", "send", "he"])).toEqual([])
    })
  )

  it.effect("name every command and every flag in every shell, and are of the shell's grammar", () =>
    Effect.gen(function* () {
      for (const shell of CommandLine.shells) {
        const script = yield* scriptFor(shell)
        for (const [words, { flags }] of Object.entries(CommandLine.known)) {
          for (const word of words.split(" ")) expect(script).toContain(word)
          for (const { flag } of flags)
            expect(script).toContain(shell === "fish" ? `-l ${flag.slice(2)}` : flag)
        }
        // Not every machine has all three.
        const { error, status, stderr } = spawnSync(shell, ["-n"], { input: script, encoding: "utf8" })
        if (error === undefined) expect([shell, status, stderr]).toEqual([shell, 0, ""])
      }
    })
  )

  it.effect("know their shells", () =>
    Effect.gen(function* () {
      const { code, stderr } = yield* run(["completions", "tcsh"])
      expect([code, stderr]).toEqual([2, 'colloquy: expected bash, zsh, fish; found "tcsh"\n'])
    })
  )
})
