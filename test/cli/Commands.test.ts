/** The commands that talk to a gateway: `send`, `sessions`, `abort`, `watch`, `call`. */
import { describe, expect, it } from "@effect/vitest"
import { FileSystem } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Effect, Layer } from "effect"
import * as LongHistory from "../support/LongHistory.js"
import { shared } from "../support/Shared.js"
import * as Program from "./Program.js"

/** A PNG of one pixel. */
const dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="

const world = Effect.gen(function* () {
  const stateDir = yield* Program.makeStateDir
  const gateway = yield* Program.serve({ stateDir })
  const program = yield* Program.Program
  const flags = ["--url", gateway.url, "--state-dir", stateDir]
  return {
    gateway,
    stateDir,
    /** Runs a command to its end. */
    call: (words: ReadonlyArray<string>, input?: string) => Program.run([...words, ...flags], {}, input),
    /** Runs several at once. */
    all: (commands: ReadonlyArray<ReadonlyArray<string>>) =>
      Effect.forEach(commands, (words) => Program.run([...words, ...flags]), { concurrency: 2 }),
    start: (words: ReadonlyArray<string>) => program.start([...words, ...flags]),
    /** Begins a run that does not end by itself. */
    hang: (session: string, key: string) =>
      Effect.tap(
        program.start(["send", "--session", session, "--key", key, "{{n=1 hang=1}} on", ...flags]),
        ({ until }) => until("stdout", /on/)
      )
  }
})

const linesOf = (text: string): ReadonlyArray<unknown> =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line): unknown => JSON.parse(line))

describe("commands", () => {
  const run = shared(Layer.merge(Program.layer, NodeFileSystem.layer))

  it("send what comes from standard input", () =>
    run(
      Effect.gen(function* () {
        const { call } = yield* world
        expect(yield* call(["send"], "piped\n")).toEqual({ code: 0, stdout: "piped\n", stderr: "" })
        expect((yield* call(["send", "-"], "dashed")).stdout).toBe("dashed\n")
        const nothing = yield* call(["send"], "\n")
        expect(nothing).toMatchObject({ code: 2, stderr: "colloquy: there is nothing to send.\n" })
      })
    ))

  it("send with images", () =>
    run(
      Effect.gen(function* () {
        const { call, stateDir } = yield* world
        const fs = yield* FileSystem.FileSystem
        const file = `${stateDir}/dot.png`
        yield* fs.writeFile(file, Buffer.from(dot, "base64"))
        expect((yield* call(["send", "look", "--image", file, "--image", file])).stdout).toBe("look\n")
        expect((yield* call(["sessions", "show", "main"])).stdout).toMatch(
          /look\n\[image dot.png\]\n\[image dot.png\]\n/
        )
        const missing = yield* call(["send", "look", "--image", `${stateDir}/none.png`])
        expect(missing.code).toBe(1)
        expect(missing.stderr).toMatch(/^colloquy: the image \S+none.png can't be read \(ENOENT\)\.\n$/)
        yield* fs.writeFileString(file, "no image")
        const bad = yield* call(["send", "look", "--image", file])
        expect(bad.code).toBe(1)
        expect(bad.stderr).toContain("attachments[0]")
      })
    ))

  it("send with a key: the same once more is the same message", () =>
    run(
      Effect.gen(function* () {
        const { call } = yield* world
        const once = yield* call(["send", "--key", "k1", "only once"])
        const twice = yield* call(["send", "--key", "k1", "only once"])
        expect([once.stdout, twice.stdout]).toEqual(["only once\n", "only once\n"])
        const other = yield* call(["send", "--key", "k1", "something else"])
        expect(other.code).toBe(1)
        const { stdout } = yield* call(["sessions", "export", "main", "--format", "jsonl"])
        expect(linesOf(stdout)).toMatchObject([
          { role: "user", runId: "k1" },
          { role: "assistant", runId: "k1" }
        ])
      })
    ))

  it("send --json: the run's events, and its end last", () =>
    run(
      Effect.gen(function* () {
        const { call } = yield* world
        const told = linesOf((yield* call(["send", "--json", "--key", "k", "hello there"])).stdout)
        expect(told.slice(-2)).toMatchObject([
          { event: "chat", payload: { runId: "k", state: "final" } },
          { event: "end", payload: { runId: "k", state: "final", text: "hello there", sessionKey: "main" } }
        ])
        const again = linesOf((yield* call(["send", "--json", "--key", "k", "hello there"])).stdout)
        expect(again).toMatchObject([{ event: "end", payload: { state: "final", text: "hello there" } }])
        const failed = yield* call(["send", "--json", "{{error=1}}"])
        expect(failed.code).toBe(1)
        expect(linesOf(failed.stdout).at(-1)).toMatchObject({ event: "end", payload: { state: "error" } })
        const refused = yield* call(["send", "--json", "--key", "k", "other"])
        expect(linesOf(refused.stdout)).toMatchObject([{ event: "end", payload: { state: "rejected" } }])
      })
    ))

  it("sessions list and show", () =>
    run(
      Effect.gen(function* () {
        const { all, call } = yield* world
        yield* call(["send", "--session", "notes", "buy milk"])
        const [list, json, search, show, none] = yield* all([
          ["sessions", "list"],
          ["sessions", "list", "--json"],
          ["sessions", "list", "--search", "nothing"],
          ["sessions", "show", "notes"],
          ["sessions", "show", "none"]
        ])
        expect(list?.stdout).toMatch(/^agent:main:notes {2} now {2}buy milk\n$/)
        expect(JSON.parse(json?.stdout ?? "")).toMatchObject({
          sessions: [{ key: "agent:main:notes", derivedTitle: "buy milk" }]
        })
        expect(search?.stdout).toBe("-- no sessions\n")
        expect(show?.stdout).toMatch(/^You {2}.*\nbuy milk\n\nAgent {2}.*\nbuy milk\n$/)
        expect(none).toMatchObject({ code: 1, stderr: "colloquy: there is no session none.\n" })
      })
    ))

  it("sessions export, never over a file", () =>
    run(
      Effect.gen(function* () {
        const { call, stateDir } = yield* world
        yield* call(["send", "--session", "notes", "buy milk"])
        const file = `${stateDir}/notes.md`
        const write = ["sessions", "export", "notes", "--output", file]
        expect((yield* call(write)).stdout).toBe(`2 messages in ${file}.\n`)
        const fs = yield* FileSystem.FileSystem
        expect(yield* fs.readFileString(file)).toMatch(
          /^# notes\n\n## User \(.*\)\n\nbuy milk\n\n## Assistant/
        )
        expect((yield* call(write)).stderr).toContain("is there already")
      })
    ))

  it("sessions reset and delete, when somebody is sure", () =>
    run(
      Effect.gen(function* () {
        const { call } = yield* world
        yield* call(["send", "--session", "notes", "buy milk"])
        // Nobody to ask.
        expect((yield* call(["sessions", "delete", "notes"])).code).toBe(2)
        expect((yield* call(["sessions", "reset", "notes", "--yes"])).stdout).toBe(
          "agent:main:notes begins anew.\n"
        )
        expect((yield* call(["sessions", "delete", "--yes", "notes"])).stdout).toMatch(
          /^Deleted agent:main:notes\./
        )
        expect((yield* call(["sessions", "delete", "--yes", "notes"])).code).toBe(1)
      })
    ))

  it("sessions export reads a long history whole, in its order", () =>
    run(
      Effect.gen(function* () {
        const stateDir = yield* Program.makeStateDir
        yield* LongHistory.write(stateDir, 1_200)
        const { url } = yield* Program.serve({ stateDir })
        const { stdout } = yield* Program.run([
          "sessions",
          "export",
          "main",
          "--format",
          "jsonl",
          "--url",
          url,
          "--state-dir",
          stateDir
        ])
        const texts = stdout.split("\n").flatMap((line) => /"text":"(message \d+)"/.exec(line)?.[1] ?? [])
        expect(texts).toEqual(Array.from({ length: 1_200 }, (_, index) => `message ${index}`))
      })
    ))

  it("abort a session's runs, or all", () =>
    run(
      Effect.gen(function* () {
        const { call, hang } = yield* world
        const one = yield* hang("one", "r1")
        expect((yield* call(["abort", "--session", "one"])).stdout).toBe("Aborted r1\n")
        expect(yield* one.ended).toMatchObject({
          code: 1,
          stderr: "colloquy: the run was aborted (by another client).\n"
        })
        const two = yield* hang("two", "r2")
        expect((yield* call(["abort", "--all"])).stdout).toBe("Aborted r2\n")
        yield* two.ended
        expect(yield* call(["abort"])).toEqual({ code: 0, stdout: "Nothing was running.\n", stderr: "" })
      })
    ))

  it("abort a run, by its id", () =>
    run(
      Effect.gen(function* () {
        const { all, call, hang } = yield* world
        const one = yield* hang("one", "r1")
        expect((yield* call(["abort", "--run", "r1"])).stdout).toBe("Aborted r1\n")
        yield* one.ended
        const [again, wrong] = yield* all([
          ["abort", "--run", "r1"],
          ["abort", "--all", "--session", "one"]
        ])
        expect([again?.code, wrong?.code]).toEqual([1, 2])
      })
    ))

  it("call: any method", () =>
    run(
      Effect.gen(function* () {
        const { all, call } = yield* world
        const [health, noKey, unknown, noJson] = yield* all([
          ["call", "health"],
          ["call", "chat.history", "{}"],
          ["call", "helth"],
          ["call", "health", "{"]
        ])
        expect(JSON.parse(health?.stdout ?? "")).toMatchObject({ ok: true })
        expect(noKey?.stderr).toMatch(/^colloquy: INVALID_REQUEST: .*sessionKey/)
        expect(unknown?.stderr).toContain("Did you mean health?")
        expect(noJson?.code).toBe(2)
        const { stdout } = yield* call(["call", "chat.history", "-"], '{"sessionKey":"main"}')
        expect(JSON.parse(stdout)).toMatchObject({ messages: [] })
      })
    ))

  it("watch: events as they come, of one session, until a signal", () =>
    run(
      Effect.gen(function* () {
        const { call, start } = yield* world
        const all = yield* start(["watch", "--json"])
        const one = yield* start(["watch", "--session", "agent:main:one"])
        // Both listen when both are seen.
        yield* Effect.repeat(call(["call", "system-presence"]), {
          until: ({ stdout }) => stdout.split('"connId"').length > 3
        })
        yield* call(["send", "--session", "two", "--key", "r2", "unseen"])
        yield* call(["send", "--session", "one", "--key", "r1", "seen"])
        yield* all.until("stdout", /"runId":"r1".*"state":"final"/)
        yield* one.until("stdout", /one {2}r1 final: seen\n/)
        yield* all.signal("SIGINT")
        yield* one.signal("SIGTERM")
        const [first, second] = yield* Effect.all([all.ended, one.ended])
        expect([first.code, second.code]).toEqual([130, 143])
        expect(linesOf(first.stdout)).toContainEqual(
          expect.objectContaining({ event: "chat", payload: expect.objectContaining({ runId: "r2" }) })
        )
        expect(second.stdout).not.toContain("r2")
      })
    ))

  it("say when their gateway is not there, and when it goes", () =>
    run(
      Effect.gen(function* () {
        const { call, gateway, start } = yield* world
        const watching = yield* start(["watch"])
        yield* Effect.repeat(call(["call", "system-presence"]), {
          until: ({ stdout }) => stdout.split('"connId"').length > 2
        })
        yield* gateway.signal("SIGKILL")
        yield* gateway.ended
        yield* watching.until("stdout", /-- connection lost \(.*\); trying again\n/)
        const { code, stderr } = yield* call(["sessions", "list"])
        expect(code).toBe(1)
        expect(stderr).toMatch(/^colloquy: no gateway at ws:\S+ \(ECONNREFUSED\)\./)
      })
    ))
})
