import { FileSystem } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Schema, type Scope } from "effect"
import { connect, type Socket } from "node:net"
import { shared } from "../support/Shared.js"
import * as Program from "./Program.js"
import { makeStateDir, run, serve } from "./Program.js"

/** A WebSocket client that has come in and doesn't read. */
const stalledClient = (port: string): Effect.Effect<Socket> =>
  Effect.async((resume) => {
    const socket = connect(Number(port), "127.0.0.1")
    socket.on("error", () => undefined)
    socket.once("data", () => {
      socket.pause()
      resume(Effect.succeed(socket))
    })
    socket.write(
      "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
  })

/** What the line about the token says. */
const tokenOf = (gateway: { readonly until: Program.Running["until"] }) =>
  Effect.map(gateway.until("stdout", /Token: (.*)\n/), ([, token]) => token)

/** Who holds the lock of a state directory, as the program says it. */
const ownerOf = (stateDir: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { host, pid, since } = yield* Schema.decode(Lock)(yield* fs.readFileString(`${stateDir}/lock`))
    return `process ${pid} on ${host}, since ${since}`
  })

const Lock = Schema.parseJson(
  Schema.Struct({ pid: Schema.Number, host: Schema.String, since: Schema.String })
)

const isStackTrace = /\n\s+at .+:\d+/

describe("colloquy", () => {
  const use = shared(Layer.merge(Program.layer, NodeFileSystem.layer))
  const test = <A, E>(
    name: string,
    effect: () => Effect.Effect<A, E, Program.Program | FileSystem.FileSystem | Scope.Scope>
  ) => it(name, () => use(effect()))

  test("serves, answers what is sent, and stops on SIGTERM with 0", () =>
    Effect.gen(function* () {
      const stateDir = yield* makeStateDir
      const gateway = yield* serve({ stateDir })
      expect(yield* gateway.ask("hello there")).toEqual({ code: 0, stdout: "hello there\n", stderr: "" })

      yield* gateway.signal("SIGTERM")
      const { code, stderr, stdout } = yield* gateway.ended
      expect(code).toBe(0)
      expect(stdout.split("\n")).toEqual([
        `Colloquy listens on ${gateway.url} (agent: demo, state: ${stateDir})`,
        expect.stringMatching(/^Token: [\w-]{43}$/),
        expect.stringMatching(/^Open: http:\/\/127\.0\.0\.1:\d+\/#code=[0-9a-f]{64}$/),
        expect.stringMatching(
          /^Try: node .*main\.js send --url ws:\/\/127\.0\.0\.1:\d+ --state-dir \S+ "hello"$/
        ),
        ""
      ])
      const logged = stderr
        .trim()
        .split("\n")
        .map((line): unknown => JSON.parse(line))
      expect(logged).toMatchObject([{ message: "started" }, { message: "stopping" }, { message: "stopped" }])
    }))

  test("keeps the token it made, for its owner only", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const stateDir = `${yield* makeStateDir}/new`
      const first = yield* serve({ stateDir })
      const token = yield* tokenOf(first)
      yield* first.signal("SIGINT")
      expect((yield* first.ended).code).toBe(0)
      expect((yield* fs.stat(stateDir)).mode & 0o777).toBe(0o700)
      expect((yield* fs.stat(`${stateDir}/token`)).mode & 0o777).toBe(0o600)
      expect(yield* fs.readFileString(`${stateDir}/token`)).toBe(`${token}\n`)

      const second = yield* serve({ stateDir })
      expect(yield* tokenOf(second)).toBe(token)
    }))

  test("never echoes a token that was given", () =>
    Effect.gen(function* () {
      const gateway = yield* serve({ stateDir: yield* makeStateDir, environment: { COLLOQUY_TOKEN: "hush" } })
      expect(yield* tokenOf(gateway)).toBe("as set by COLLOQUY_TOKEN")
      const refused = yield* gateway.ask("hello")
      expect(refused).toMatchObject({ code: 1, stdout: "" })
      expect(refused.stderr).toContain("refuses the token (unauthorized: token missing)")
      expect((yield* (yield* gateway.send("hello", { COLLOQUY_TOKEN: "hush" })).ended).code).toBe(0)
      yield* gateway.signal("SIGTERM")
      const { stderr, stdout } = yield* gateway.ended
      expect(stdout + stderr).not.toContain("hush")
    }))

  test("streams the answer; Ctrl-C aborts the run and waits for its end", () =>
    Effect.gen(function* () {
      const gateway = yield* serve({ stateDir: yield* makeStateDir })
      const sending = yield* gateway.send("{{ms=0 hang=1}} so far")
      yield* sending.until("stdout", /^so far/)
      yield* sending.signal("SIGINT")
      expect(yield* sending.ended).toEqual({ code: 130, stdout: "so far\n", stderr: "" })
      // The run is over: its session's lane is free.
      expect((yield* gateway.ask("next")).stdout).toBe("next\n")
    }))

  test("leaves at once on a second Ctrl-C", () =>
    Effect.gen(function* () {
      const gateway = yield* serve({ stateDir: yield* makeStateDir })
      const sending = yield* gateway.send("{{ms=0 hang=1}} so far", { COLLOQUY_LOG_LEVEL: "debug" })
      yield* sending.until("stdout", /^so far/)
      yield* gateway.signal("SIGSTOP") // It will not answer the abort.
      yield* sending.signal("SIGINT")
      yield* sending.until("stderr", /"aborting"/)
      yield* sending.signal("SIGINT")
      expect((yield* sending.ended).code).toBe(130)
    }))

  test("ends runs and clients when it stops, stalled ones too", () =>
    Effect.gen(function* () {
      const gateway = yield* serve({
        stateDir: yield* makeStateDir,
        flags: ["--drain-grace", "0s", "--shutdown-grace", "1s"]
      })
      const socket = yield* stalledClient(gateway.port)
      yield* Effect.addFinalizer(() => Effect.sync(() => socket.destroy()))
      const sending = yield* gateway.send("{{ms=0 hang=1}} so far")
      yield* sending.until("stdout", /^so far/)
      yield* gateway.signal("SIGTERM")
      expect((yield* gateway.ended).code).toBe(0)
      expect(yield* sending.ended).toEqual({
        code: 1,
        stdout: "so far\n",
        stderr: "colloquy: the run was aborted (the gateway stopped).\n"
      })
    }))

  test("tells of a failed run, with what there was of its answer", () =>
    Effect.gen(function* () {
      const gateway = yield* serve({ stateDir: yield* makeStateDir })
      expect(yield* gateway.ask("{{n=2 cut=2 ms=0}} word ")).toEqual({
        code: 1,
        stdout: "word word\n",
        stderr: "colloquy: the demo agent was cut off after 2 chunks\n"
      })
      const stopped = yield* gateway.ask("/stop")
      expect(stopped).toEqual({ code: 0, stdout: "Nothing was running.\n", stderr: "" })
    }))

  test("ends quietly when nobody reads the answer any more", () =>
    Effect.gen(function* () {
      const gateway = yield* serve({ stateDir: yield* makeStateDir })
      const sending = yield* gateway.send("{{n=200 ms=20}} word ")
      yield* sending.until("stdout", /word/)
      yield* sending.closeStdout
      expect(yield* sending.ended).toMatchObject({ code: 141, stderr: "" })
    }))

  test("says which port is taken, and what to do", () =>
    Effect.gen(function* () {
      const { port } = yield* serve({ stateDir: yield* makeStateDir })
      const { code, stderr, stdout } = yield* run([
        "serve",
        "--port",
        port,
        "--state-dir",
        yield* makeStateDir
      ])
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" })
      expect(stderr).toMatch(new RegExp(`^colloquy: port ${port} on 127\\.0\\.0\\.1 is taken: .*--port \\d+`))
      expect(stderr).not.toMatch(isStackTrace)
    }))

  test("says why a state directory can't be used", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const stateDir = yield* makeStateDir
      yield* fs.writeFileString(`${stateDir}/file`, "")
      const { code, stderr } = yield* run(["serve", "--port", "0", "--state-dir", `${stateDir}/file/below`])
      expect(code).toBe(1)
      expect(stderr).toBe(
        `colloquy: the state directory ${stateDir}/file/below can't be used (ENOTDIR). Choose another: --state-dir\n`
      )
    }))

  test("stops when another gateway uses the state directory, and says which", () =>
    Effect.gen(function* () {
      const stateDir = yield* makeStateDir
      const first = yield* serve({ stateDir })
      const { code, stderr, stdout } = yield* run(["serve", "--port", "0", "--state-dir", stateDir])
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" })
      expect(stderr).toBe(
        `colloquy: the state directory ${stateDir} is in use by another gateway: ${yield* ownerOf(stateDir)}. Stop that one, or choose another: --state-dir\n`
      )
      expect((yield* first.ask("hello")).stdout).toBe("hello\n")
    }))

  test("starts at once where a gateway was killed, and leaves no lock when it stops", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const stateDir = yield* makeStateDir
      const first = yield* serve({ stateDir })
      yield* first.ask("hello")
      yield* first.signal("SIGKILL")
      yield* first.ended
      expect(yield* fs.exists(`${stateDir}/lock`)).toBe(true)
      const second = yield* serve({ stateDir })
      expect((yield* second.ask("again")).stdout).toBe("again\n")
      yield* second.signal("SIGTERM")
      const { code, stderr } = yield* second.ended
      expect(code).toBe(0)
      expect(stderr).toContain("took over the lock of a gateway that is gone")
      expect(stderr).not.toContain("waiting whether")
      expect(yield* fs.exists(`${stateDir}/lock`)).toBe(false)
    }))

  test("stops when its lock is removed", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const stateDir = yield* makeStateDir
      const gateway = yield* serve({ stateDir })
      yield* fs.remove(`${stateDir}/lock`)
      const { code, stderr } = yield* gateway.ended
      expect(code).toBe(1)
      expect(stderr).toContain(`colloquy: the lock of the state directory ${stateDir} is lost`)
    }))

  test("refuses wrong settings with 2, without a stack trace", () =>
    Effect.gen(function* () {
      const { code, stderr, stdout } = yield* run(["serve", "--port", "many"], {
        COLLOQUY_RUN_TIMEOUT: "later"
      })
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" })
      expect(stderr).toContain("COLLOQUY_RUN_TIMEOUT: expected")
      expect(stderr).not.toMatch(isStackTrace)
    }))

  test("says that there is no gateway", () =>
    Effect.gen(function* () {
      const stateDir = yield* makeStateDir
      const gateway = yield* serve({ stateDir })
      yield* gateway.signal("SIGTERM")
      yield* gateway.ended
      const { code, stderr } = yield* gateway.ask("hello")
      expect(code).toBe(1)
      expect(stderr).toContain(`colloquy: no gateway at ${gateway.url} (ECONNREFUSED). Start one: `)
      expect(stderr).not.toMatch(isStackTrace)
    }))

  /** A state directory whose gateway was killed: the journal is what knows of the answer, and the lock stays. */
  const killed = Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const stateDir = `${yield* makeStateDir}/state`
    const doctor = (...flags: ReadonlyArray<string>) => run(["doctor", "--state-dir", stateDir, ...flags])
    const gateway = yield* serve({ stateDir })
    expect((yield* gateway.ask("hello")).code).toBe(0)
    yield* gateway.signal("SIGKILL")
    yield* gateway.ended
    return { fs, stateDir, doctor }
  })

  test("doctor: 0 for a sound directory, 2 for wrong flags", () =>
    Effect.gen(function* () {
      const { doctor } = yield* killed
      const sound = yield* doctor()
      expect(sound).toMatchObject({ code: 0, stderr: "" })
      expect(sound.stdout).toContain("1 transcript read: 2 messages")
      expect(sound.stdout).toMatch(/\nno problems, 1 note\.\n$/)
      expect(yield* doctor("--repiar")).toMatchObject({ code: 2, stdout: "" })
    }))

  test("doctor: 1 for problems, 0 once they are repaired", () =>
    Effect.gen(function* () {
      const { doctor, fs, stateDir } = yield* killed
      yield* fs.writeFileString(`${stateDir}/runs.journal`, "torn", { flag: "a" })
      yield* fs.chmod(`${stateDir}/token`, 0o644)
      const found = yield* doctor()
      expect(found.code).toBe(1)
      expect(found.stdout).toContain(
        "problem   runs.journal: the end was not written whole (4 bytes from byte "
      )
      expect(found.stdout).toContain("--repair cuts it off, and keeps it in runs.journal.torn")
      expect(found.stdout).not.toContain("\u001b")

      const { code, stdout } = yield* doctor("--repair", "--json")
      expect(code).toBe(0)
      expect(JSON.parse(stdout)).toMatchObject({
        stateDir,
        problems: 0,
        failures: [],
        repaired: [
          { kind: "LockStale" },
          { kind: "JournalTorn", bytes: 4 },
          { kind: "OpenToOthers", subject: "token" }
        ]
      })
      expect(yield* fs.readFileString(`${stateDir}/runs.journal.torn`)).toBe("torn\n")
      expect((yield* fs.stat(`${stateDir}/token`)).mode & 0o777).toBe(0o600)

      // It can be used.
      yield* serve({ stateDir })
    }))

  test("doctor: examines beside a running gateway, and repairs nothing there", () =>
    Effect.gen(function* () {
      const stateDir = yield* makeStateDir
      const gateway = yield* serve({ stateDir })
      const owner = yield* ownerOf(stateDir)
      const { code, stdout } = yield* run(["doctor", "--state-dir", stateDir])
      expect(code).toBe(0)
      expect(stdout).toContain(`a gateway is running here: ${owner}`)
      expect(yield* run(["doctor", "--state-dir", stateDir, "--repair"])).toEqual({
        code: 1,
        stdout: "",
        stderr: expect.stringContaining(`nothing was repaired: a gateway is running on ${stateDir}: ${owner}`)
      })
      expect((yield* gateway.ask("still there?")).code).toBe(0)
    }))

  test("takes --log-level before the environment", () =>
    Effect.gen(function* () {
      const environment = { COLLOQUY_LOG_LEVEL: "debug" }
      const gateway = yield* serve({
        stateDir: yield* makeStateDir,
        flags: ["--log-level", "none"],
        environment
      })
      yield* gateway.signal("SIGTERM")
      expect(yield* gateway.ended).toMatchObject({ code: 0, stderr: "" })
    }))
})
