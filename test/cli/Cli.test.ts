import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Settings from "../../src/cli/Settings.js"
import { version } from "../../src/domain/Product.js"
import { run } from "./Line.js"

/** What stands in for the directory of the tests: no settings are found there. */
const nowhere = ["--state-dir", "/nowhere/at/all"]

describe("the command line", () => {
  it.effect("helps", () =>
    Effect.gen(function* () {
      const general = yield* run(["--help"])
      expect(general).toMatchObject({ code: 0, stderr: "" })
      expect(general.stdout).toContain('colloquy send "hello"')
      expect(yield* run([])).toEqual(general)

      const serve = yield* run(["serve", "--port", "1", "--help"])
      for (const { flag } of Settings.all) expect(serve.stdout).toContain(`  ${flag} <`)
      for (const line of serve.stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(120)
      expect((yield* run(["send", "-h"])).stdout).toContain("--session <key>")
      expect((yield* run(["doctor", "-h"])).stdout).toContain("colloquy doctor --state-dir ./state --repair")
    })
  )

  it.effect("knows its version", () =>
    Effect.gen(function* () {
      const { code, stdout } = yield* run(["--version"])
      expect([code, stdout.trim()]).toEqual([0, version])
    })
  )

  it.effect("calls a wrong flag by its name", () =>
    Effect.gen(function* () {
      expect(yield* run(["serve", "--prot", "1", "--port"])).toEqual({
        code: 2,
        stdout: "",
        stderr: [
          "colloquy: 2 settings are wrong:",
          "  --prot: there is no such flag. Did you mean --port?",
          "  --port: expected a whole number from 0 to 65535; found nothing",
          "See colloquy serve --help",
          ""
        ].join("\n")
      })
      const twice = yield* run(["serve", "--port=1", "--port=2"])
      expect(twice.stderr).toContain("--port: given more than once")
    })
  )

  it.effect("refuses wrong settings with 2, all of them at once", () =>
    Effect.gen(function* () {
      const { code, stderr, stdout } = yield* run(
        ["serve", ...nowhere, "--port", "x", "--log-level", "loud"],
        {
          COLLOQUY_RUN_TIMEOUT: "later"
        }
      )
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" })
      expect(stderr.split("\n")).toEqual([
        "colloquy: 3 settings are wrong:",
        '  --port: expected a whole number from 0 to 65535; found "x"',
        expect.stringMatching(/^ {2}--log-level: expected one of all, .*; found "loud"$/),
        expect.stringMatching(/^ {2}COLLOQUY_RUN_TIMEOUT: expected a duration .*; found "later"$/),
        "See colloquy serve --help",
        ""
      ])
    })
  )

  for (const args of [["serv"], ["serve", "extra"], ["send", "two", "words"], ["sessions", "lst"]]) {
    it.effect(`refuses ${JSON.stringify(args.join(" "))} with 2`, () =>
      Effect.gen(function* () {
        const { code, stderr, stdout } = yield* run(args)
        expect({ code, stdout }).toEqual({ code: 2, stdout: "" })
        expect(stderr).toContain("See colloquy")
      })
    )
  }

  it.effect("sends to addresses of gateways only", () =>
    Effect.gen(function* () {
      const { code, stderr } = yield* run(["send", ...nowhere, "--url", "http://127.0.0.1:1", "hello"])
      expect(code).toBe(2)
      expect(stderr).toContain("--url: expected the address of a gateway, such as ws://127.0.0.1:18789")
    })
  )
})
