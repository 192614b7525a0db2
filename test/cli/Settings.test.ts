import { FileSystem } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { describe, expect, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Layer, Option, Redacted } from "effect"
import { homedir } from "node:os"
import * as Settings from "../../src/cli/Settings.js"
import * as GatewayConfig from "../../src/GatewayConfig.js"

const platform = Layer.merge(NodeFileSystem.layer, NodePath.layer)

interface Given {
  readonly flags?: Settings.Flags
  readonly environment?: Readonly<Record<string, string>>
  /** What is in `config.json` of the state directory. */
  readonly file?: unknown
}

/** Loads from a state directory of its own. */
const load = ({ environment = {}, file, flags = {} }: Given) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const stateDir = yield* fs.makeTempDirectoryScoped()
    if (file !== undefined) {
      yield* fs.writeFileString(
        `${stateDir}/config.json`,
        typeof file === "string" ? file : JSON.stringify(file)
      )
    }
    const loaded = yield* Effect.either(
      Settings.load({ stateDir, ...flags }).pipe(
        Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(environment))))
      )
    )
    return { loaded, stateDir }
  }).pipe(Effect.scoped, Effect.provide(platform))

/** The settings, where nothing is wrong. */
const settings = (given: Given) =>
  Effect.flatMap(load(given), ({ loaded }) => Effect.map(loaded, (result) => result.settings))

/** The message, where something is wrong; the state directory is `<state>` in it. */
const message = (given: Given) =>
  Effect.flatMap(load(given), ({ loaded, stateDir }) =>
    Effect.map(Effect.flip(loaded), (error) => error.message.replaceAll(stateDir, "<state>"))
  )

describe("Settings", () => {
  it.effect("are the defaults where nothing is set", () =>
    Effect.gen(function* () {
      const { gateway, ...program } = yield* settings({})
      expect(gateway).toEqual(GatewayConfig.defaults)
      expect(program).toMatchObject({
        host: "127.0.0.1",
        port: 18789,
        agent: Option.none(),
        logFormat: "auto"
      })
      expect(program.token).toEqual(Option.none())
    })
  )

  it.effect("come from the flag before the environment, from the environment before the file", () =>
    Effect.gen(function* () {
      const file = { port: 1, host: "file", mainKey: "file" }
      const environment = { COLLOQUY_PORT: "2", COLLOQUY_HOST: "environment" }
      const flags = { port: "3" }
      const { loaded } = yield* load({ file, environment, flags })
      const { origin, settings } = yield* loaded
      expect([settings.port, settings.host, settings.gateway.mainKey]).toEqual([3, "environment", "file"])
      expect(origin("port")).toEqual(Option.some("--port"))
      expect(origin("host")).toEqual(Option.some("COLLOQUY_HOST"))
      expect(Option.getOrThrow(origin("mainKey"))).toMatch(/^mainKey in .*config\.json$/)
      expect(origin("agent")).toEqual(Option.none())
    })
  )

  it.effect("take durations, sizes and lists as people write them", () =>
    Effect.gen(function* () {
      const { gateway } = yield* settings({
        flags: {
          tickInterval: "1.5m",
          runTimeout: "0",
          stopCommands: "/stop, halt ,",
          maxPayload: "1.5 MiB"
        },
        environment: { COLLOQUY_SHUTDOWN_GRACE: "250", COLLOQUY_INTERRUPT_GRACE: "2 seconds" },
        file: { handOffGrace: 1500, idempotencyTtl: "2 Days", historyMaxBytes: "64KiB", maxQueuedRuns: 7 }
      })
      expect(gateway.tickInterval).toEqual(Duration.seconds(90))
      expect(gateway.runTimeout).toEqual(Duration.zero)
      expect(gateway.shutdownGrace).toEqual(Duration.millis(250))
      expect(gateway.interruptGrace).toEqual(Duration.seconds(2))
      expect(gateway.handOffGrace).toEqual(Duration.millis(1500))
      expect(gateway.idempotencyTtl).toEqual(Duration.days(2))
      expect(gateway.stopCommands).toEqual(["/stop", "halt"])
      expect([gateway.maxPayload, gateway.historyMaxBytes, gateway.maxQueuedRuns]).toEqual([
        1_572_864, 65_536, 7
      ])
    })
  )

  it.effect("take a list from the file as an array", () =>
    Effect.gen(function* () {
      const { gateway } = yield* settings({ file: { stopCommands: ["/stop", "please, stop"] } })
      expect(gateway.stopCommands).toEqual(["/stop", "please, stop"])
    })
  )

  it.effect("expand ~ and make paths absolute", () =>
    Effect.gen(function* () {
      const { stateDir } = yield* settings({ flags: { stateDir: "~/somewhere/.." } })
      expect(stateDir).toBe(homedir())
      const { stateDir: relative } = yield* settings({ flags: { stateDir: "here" } })
      expect(relative).toBe(`${process.cwd()}/here`)
    })
  )

  it.effect("tell all that is wrong at once: where it was set, what is expected, what was found", () =>
    Effect.gen(function* () {
      const text = yield* message({
        flags: { port: "65536" },
        environment: { COLLOQUY_TICK_INTERVAL: "soon", COLLOQUY_LOG_LEVEL: "" },
        file: { maxPayload: "1 KiB", agent: null, tickIntervall: 5, toString: 1 }
      })
      expect(text.split("\n")).toEqual([
        "7 settings are wrong:",
        '  --port: expected a whole number from 0 to 65535; found "65536"',
        '  COLLOQUY_LOG_LEVEL: expected one of all, trace, debug, info, warning, error, fatal, none; found ""',
        expect.stringMatching(
          /^ {2}COLLOQUY_TICK_INTERVAL: expected a duration from 1 second to .*; found "soon"$/
        ),
        expect.stringMatching(
          /^ {2}maxPayload in <state>\/config\.json: expected a size from 4 KiB .*; found "1 KiB"$/
        ),
        "  agent in <state>/config.json: expected an agent's id, or demo, openai, anthropic",
        "  tickIntervall in <state>/config.json: there is no such setting. Did you mean tickInterval?",
        "  toString in <state>/config.json: there is no such setting"
      ])
    })
  )

  it.effect("are not taken from the next source when the first one is wrong", () =>
    Effect.gen(function* () {
      const text = yield* message({ flags: { port: "x" }, environment: { COLLOQUY_PORT: "9000" } })
      expect(text).toContain("--port: expected a whole number from 0 to 65535")
    })
  )

  const wrong: ReadonlyArray<readonly [key: string, ...values: ReadonlyArray<string>]> = [
    ["host", "", " x"],
    ["port", "-1", "1.5", "1e3", "0x10", "99999999999999999999"],
    ["agent", " x", ""],
    ["logFormat", "xml"],
    ["defaultAgentId", "-a", "a/b", ""],
    ["mainKey", "a:b", "../x", "global", ""],
    ["handshakeTimeout", "0", "-1s", "25 days", "10 parsecs", "seconds"],
    ["maxPayload", "1", "0.3 B", "101 MiB", "1 MB"],
    ["stopCommands", "[1]", "[", '["a"'],
    ["maxConcurrentRuns", "0"]
  ]
  for (const [key, ...values] of wrong) {
    it.effect(`refuse wrong values of ${key}`, () =>
      Effect.gen(function* () {
        for (const value of values) {
          expect(yield* message({ flags: { [key]: value } })).toContain(`found ${JSON.stringify(value)}`)
        }
      })
    )
  }

  it.effect("never show the token", () =>
    Effect.gen(function* () {
      expect(yield* message({ environment: { COLLOQUY_TOKEN: "hush hush" } })).toBe(
        "a setting is wrong:\n  COLLOQUY_TOKEN: expected a text without spaces (what was found is not shown)"
      )
      expect(yield* message({ file: '{\n  "token": "hush",\n}' })).not.toContain("hush")
      const { token } = yield* settings({ flags: { token: "hush" } })
      expect(JSON.stringify(token)).not.toContain("hush")
      expect(Redacted.value(Option.getOrThrow(token))).toBe("hush")
    })
  )

  it.effect("refuse a config file that is named and missing, unreadable, no JSON or no object", () =>
    Effect.gen(function* () {
      expect(yield* message({ flags: { config: "/nowhere/config.json" } })).toContain(
        "/nowhere/config.json: there is no such config file"
      )
      expect(yield* message({ flags: { config: "/" } })).toContain(
        "/: the config file can't be read (EISDIR)"
      )
      expect(yield* message({ file: "{]" })).toContain("<state>/config.json: the config file must be JSON")
      expect(yield* message({ file: [] })).toContain("the config file must hold one JSON object")
    })
  )

  it("have names of one form, and defaults that they take back", () => {
    expect(new Set(Settings.all.map(({ flag }) => flag)).size).toBe(Settings.all.length)
    for (const { flag, key, variable } of Settings.all) {
      expect(variable).toBe(`COLLOQUY_${flag.slice(2).replaceAll("-", "_").toUpperCase()}`)
      expect(flag.replaceAll("-", "")).toBe(key.toLowerCase())
    }
  })

  it.effect("take back each default as the docs show it", () =>
    Effect.gen(function* () {
      const shown = Settings.all
        .filter(({ key }) => !["token", "config", "stateDir"].includes(key))
        .map((about) => [about.key, about.default] as const)
      expect((yield* settings({ flags: Object.fromEntries(shown) })).gateway).toEqual(GatewayConfig.defaults)
    })
  )
})
