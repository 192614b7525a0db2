/** `colloquy agents`, and a gateway with agents of its config file: the program as its users have it. */
import { FileSystem } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Schema, type Scope } from "effect"
import { alive } from "../agent/process/Processes.js"
import { shared } from "../support/Shared.js"
import * as Program from "./Program.js"
import { makeStateDir, run, serve } from "./Program.js"

/** A state directory whose config file has these agents. */
const configured = (agents: object, more: object = {}) =>
  Effect.tap(makeStateDir, (stateDir) =>
    Effect.flatMap(FileSystem.FileSystem, (fs) =>
      fs.writeFileString(`${stateDir}/config.json`, JSON.stringify({ ...more, agents }))
    )
  )

/** A program of one line. */
const node = (code: string) => ({ kind: "command", command: [process.execPath, "-e", code] })

const echo = {
  ...node("process.stdin.on('data', (text) => process.stdout.write('you said ' + text))"),
  model: "echo-1"
}

/** Answers with its environment. */
const showEnvironment = node("process.stdout.write(JSON.stringify(process.env))")

/** Says on stderr which processes there are, does not speak ACP, and does not end on SIGTERM. */
const stubborn = {
  kind: "acp",
  command: [
    process.execPath,
    "-e",
    `const child = require("node:child_process").spawn(process.execPath, ["-e", "setInterval(() => {}, 1e6)"])
     process.on("SIGTERM", () => {})
     setInterval(() => {}, 1e6)
     process.stderr.write("started " + process.pid + " " + child.pid + "\\n")`
  ],
  startTimeout: "1 hour",
  killGrace: "10 ms"
}

describe("colloquy agents", () => {
  const use = shared(Layer.merge(Program.layer, NodeFileSystem.layer))
  const test = <A, E>(
    name: string,
    effect: () => Effect.Effect<A, E, Program.Program | FileSystem.FileSystem | Scope.Scope>
  ) => it(name, () => use(effect()))

  test("lists what is configured, and with --check tries it", () =>
    Effect.gen(function* () {
      const stateDir = yield* configured({ main: echo, coder: { kind: "acp", command: "no-such-agent" } })
      const listed = yield* run(["agents", "--state-dir", stateDir])
      expect(listed).toEqual({
        code: 0,
        stderr: "",
        stdout: [
          `main *  command  ${process.execPath}, echo-1`,
          `coder   acp      ${"no-such-agent".padEnd(process.execPath.length + ", echo-1".length)}  images`,
          "",
          "* answers session keys that name no agent",
          ""
        ].join("\n")
      })
      const checked = yield* run(["agents", "--check", "--state-dir", stateDir])
      expect(checked.code).toBe(1)
      expect(checked.stdout).toContain(`ok  found at ${process.execPath}`)
      expect(checked.stdout).toMatch(/coder .*FAILED .*no-such-agent/)
      const json: unknown = JSON.parse(
        (yield* run(["agents", "--check", "--json", "--state-dir", stateDir])).stdout
      )
      expect(json).toMatchObject({
        agents: [
          {
            id: "main",
            default: true,
            kind: "command",
            program: process.execPath,
            model: { id: "echo-1" },
            check: { ok: true }
          },
          { id: "coder", default: false, images: true, check: { ok: false, code: "COMMAND_NOT_FOUND" } }
        ]
      })
      // Arguments may hold secrets.
      expect(JSON.stringify([listed, checked, json])).not.toContain("process.stdin")
    }))

  test("all that are tried answer: 0", () =>
    Effect.gen(function* () {
      const stateDir = yield* configured({ main: echo, demo: { kind: "demo" } })
      expect(yield* run(["agents", "--check", "--state-dir", stateDir])).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/^main \* .* ok {2}found at .*\ndemo .* ok {2}/)
      })
    }))

  test("a state directory is neither made nor locked", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const stateDir = `${yield* makeStateDir}/state`
      const list = run(["agents", "--check", "--state-dir", stateDir])
      const listed = yield* list
      expect(listed).toMatchObject({ code: 0, stdout: expect.stringMatching(/^main \* {2}demo /) })
      expect(yield* fs.exists(stateDir)).toBe(false)
      yield* serve({ stateDir })
      expect(yield* list).toEqual(listed)
    }))

  test("Ctrl-C while one is tried ends with 130, and with every process that was started", () =>
    Effect.gen(function* () {
      const stateDir = yield* configured({ main: stubborn })
      const program = yield* Program.Program
      const check = yield* program.start(["agents", "--check", "--state-dir", stateDir], {
        COLLOQUY_LOG_LEVEL: "debug"
      })
      const [, ...pids] = yield* check.until("stderr", /started (\d+) (\d+)/)
      const living = () => pids.flatMap((pid) => alive({ pid: Number(pid) }))
      expect(living()).toHaveLength(2)
      yield* check.signal("SIGINT")
      expect(yield* check.ended).toMatchObject({ code: 130, stdout: "" })
      expect(living()).toEqual([])
    }))

  test("what is wrong is told, with its place, all of it at once, before anything is done", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const stateDir = `${yield* makeStateDir}/state`
      const config = `${yield* configured({ main: { ...echo, comand: 1 } }, { port: "many" })}/config.json`
      for (const command of ["agents", "serve"]) {
        const { code, stderr, stdout } = yield* run([command, "--state-dir", stateDir, "--config", config])
        expect({ code, stdout }).toEqual({ code: 2, stdout: "" })
        expect(stderr).toContain("colloquy: 2 settings are wrong:\n")
        expect(stderr).toContain(`\n  port in ${config}: expected`)
        expect(stderr).toMatch(/\n {2}agents\.main\.comand in .*config\.json: .*Did you mean command\?\n/)
      }
      expect(yield* fs.exists(stateDir)).toBe(false)
    }))
})

describe("colloquy serve", () => {
  const use = shared(Layer.merge(Program.layer, NodeFileSystem.layer))
  const test = <A, E>(
    name: string,
    effect: () => Effect.Effect<A, E, Program.Program | FileSystem.FileSystem | Scope.Scope>
  ) => it(name, () => use(effect()))

  test("answers with the agents of the config file; the session's key chooses", () =>
    Effect.gen(function* () {
      const stateDir = yield* configured({ other: { kind: "demo" }, main: echo })
      const gateway = yield* serve({ stateDir, flags: ["--agent", "main"] })
      yield* gateway.until("stdout", /\(agent: main, command .*; 1 more, /)
      yield* gateway.until("stderr", /"started".*"agents":"other, main"/s)
      expect((yield* gateway.ask("hello")).stdout).toBe("you said hello\n")
      expect((yield* gateway.ask("hello", "agent:other:x")).stdout).toBe("hello\n")
      expect(yield* gateway.ask("hello", "agent:nobody:x")).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/nobody.*other.*main/)
      })
    }))

  test("an agent that there is not: 2, and which ones there are", () =>
    Effect.gen(function* () {
      const stateDir = yield* configured({ other: { kind: "demo" }, main: echo })
      const refused = yield* run(["serve", "--state-dir", stateDir], { COLLOQUY_AGENT: "nobody" })
      expect(refused).toMatchObject({ code: 2, stdout: "" })
      expect(refused.stderr).toContain(
        '  COLLOQUY_AGENT: there is no agent "nobody". The config file has other, main; demo, openai, anthropic can be used without one\n'
      )
    }))

  test("a program gets nothing of the gateway's environment but what it may have", () =>
    Effect.gen(function* () {
      const stateDir = yield* configured({
        main: { ...showEnvironment, env: { MINE: "1" }, passEnv: ["PASSED", "NOT_THERE"] }
      })
      const gateway = yield* serve({
        stateDir,
        environment: { COLLOQUY_TOKEN: "t0ken", OPENAI_API_KEY: "sk-1", PASSED: "2", OTHER: "3" }
      })
      const answer = yield* run(["send", "--url", gateway.url, "hello"], { COLLOQUY_TOKEN: "t0ken" })
      const environment = yield* Schema.decode(Environment)(answer.stdout)
      expect(environment).toMatchObject({ MINE: "1", PASSED: "2", COLLOQUY_AGENT_ID: "main" })
      expect(Object.keys(environment).toSorted()).toEqual([
        "COLLOQUY_AGENT_ID",
        "COLLOQUY_RUN_ID",
        "COLLOQUY_SESSION_KEY",
        "HOME",
        "MINE",
        "PASSED",
        "PATH"
      ])
    }))

  test("a stop ends the programs of its agents, also those that do not want to", () =>
    Effect.gen(function* () {
      const stateDir = yield* configured({ main: stubborn }, { drainGrace: 0 })
      const gateway = yield* serve({ stateDir, environment: { COLLOQUY_LOG_LEVEL: "debug" } })
      yield* gateway.send("hello")
      const [, ...pids] = yield* gateway.until("stderr", /started (\d+) (\d+)/)
      const living = () => pids.flatMap((pid) => alive({ pid: Number(pid) }))
      expect(living()).toHaveLength(2)
      yield* gateway.signal("SIGTERM")
      expect((yield* gateway.ended).code).toBe(0)
      expect(living()).toEqual([])
    }))
})

const Environment = Schema.parseJson(Schema.Record({ key: Schema.String, value: Schema.String }))
