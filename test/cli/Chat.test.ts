/** `colloquy chat` under a pseudo-terminal, and in a pipe. */
import { describe, expect, it } from "@effect/vitest"
import { FileSystem } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Effect, Layer } from "effect"
import { shared } from "../support/Shared.js"
import * as Program from "./Program.js"
import * as Pty from "./Pty.js"

const { ctrlC, ctrlD, enter, escape, tab, up } = Pty.keys

/** A gateway, and a chat at a terminal, up to the first prompt. */
const chat = (args: ReadonlyArray<string> = []) =>
  Effect.gen(function* () {
    const stateDir = yield* Program.makeStateDir
    const gateway = yield* Program.serve({ stateDir })
    const { main } = yield* Program.Program
    const flags = ["--url", gateway.url, "--state-dir", stateDir]
    const open = () => Pty.open(main, ["chat", ...flags, ...args])
    const terminal = yield* open()
    yield* terminal.until(/Session \S+ at .*\n> /)
    const say = (text: string) => terminal.type(text + enter)
    return { ...terminal, say, open, stateDir, gateway, flags }
  })

describe("colloquy chat", () => {
  const run = shared(Layer.merge(Program.layer, NodeFileSystem.layer))

  it("shows an answer as it comes, and leaves with Ctrl-D", () =>
    run(
      Effect.gen(function* () {
        const { exitCode, say, type, until } = yield* chat()
        yield* say("{{n=3 ms=100}} one two three")
        yield* until(/one [^]*two [^]*three\n> /)
        yield* say("again")
        yield* until(/\nagain\n> /)
        yield* type(ctrlD)
        expect(yield* exitCode).toBe(0)
      })
    ))

  it("stops an answer by Esc and by Ctrl-C; a second Ctrl-C leaves, and the terminal is as it was", () =>
    run(
      Effect.gen(function* () {
        const { exitCode, raw, say, type, until } = yield* chat()
        yield* say("{{n=1000 ms=20}} esc")
        yield* until(/\nesc /)
        yield* type(escape)
        yield* until(/-- stopped\n> /)
        yield* say("{{n=1000 ms=20}} interrupt")
        yield* until(/\ninterrupt /)
        yield* type(ctrlC)
        yield* until(/-- stopped\n> /)
        // Nothing to stop: it says what the second one does.
        yield* type(`half a line${ctrlC}`)
        yield* until(/half a line/)
        yield* type(ctrlC)
        yield* until(/once more leaves[^]*> /)
        yield* type(ctrlC)
        expect(yield* exitCode).toBe(130)
        // Bracketed paste is off again.
        const written = yield* raw
        expect(written.lastIndexOf("[?2004l")).toBeGreaterThan(written.lastIndexOf("[?2004h"))
      })
    ))

  it("and send without a text: there is nothing to be read at a terminal", () =>
    run(
      Effect.gen(function* () {
        const { main } = yield* Program.Program
        const { exitCode, until } = yield* Pty.open(main, ["send"])
        yield* until(/colloquy: expected a text: colloquy send "hello"/)
        expect(yield* exitCode).toBe(2)
      })
    ))

  it("leaves a run alone that it can't stop any more, at the second Ctrl-C", () =>
    run(
      Effect.gen(function* () {
        const { exitCode, gateway, say, type, until } = yield* chat()
        yield* say("{{n=1000 ms=20}} on")
        yield* until(/\non /)
        yield* gateway.signal("SIGSTOP")
        yield* type(ctrlC)
        yield* type(ctrlC)
        expect(yield* exitCode).toBe(130)
        yield* gateway.signal("SIGCONT")
      })
    ))

  it("has a history of what was typed, of this chat and of the last one", () =>
    run(
      Effect.gen(function* () {
        const first = yield* chat()
        yield* first.say("first words")
        yield* first.until(/\nfirst words\n> /)
        yield* first.type(up)
        yield* first.until(/first words/)
        yield* first.type(ctrlC)
        yield* first.type(ctrlD)
        expect(yield* first.exitCode).toBe(0)

        const second = yield* first.open()
        yield* second.until(/> $/)
        yield* second.type(up)
        yield* second.until(/first words/)
        const fs = yield* FileSystem.FileSystem
        const { mode } = yield* fs.stat(`${first.stateDir}/chat-history`)
        expect(mode & 0o777).toBe(0o600)
      })
    ))

  it("takes what is pasted, and what is continued, as one message", () =>
    run(
      Effect.gen(function* () {
        const { say, type, until } = yield* chat()
        yield* type(`\u001b[200~one${enter}two\u001b[201~`)
        yield* until(/two/)
        yield* type(enter)
        yield* until(/\none\ntwo\n> /)
        yield* say("three\\")
        yield* until(/… /)
        yield* say("four")
        yield* until(/\nthree\nfour\n> /)
      })
    ))

  it("goes from session to session", () =>
    run(
      Effect.gen(function* () {
        const { say, type, until } = yield* chat()
        yield* say("in main")
        yield* until(/\nin main\n> /)
        yield* say("/new notes")
        yield* until(/-- session notes\n> /)
        yield* say("in notes")
        yield* until(/\nin notes\n> /)
        yield* say("/sessions")
        yield* until(/ 1 {2}agent:main:notes .*\n 2 {2}agent:main:main .*\n> /)
        yield* say("/session 2")
        yield* until(/You.*\nin main\n\nAgent.*\nin main\n\n-- session agent:main:main\n> /)
        yield* say("/histroy")
        yield* until(/! There is no \/histroy. Did you mean \/history\?\n> /)
        yield* type(`/hi${tab}`)
        yield* until(/\/history/)
        yield* type(` 1${enter}`)
        yield* until(/Agent.*\nin main\n> /)
        yield* say("/image /nowhere/at/all.png")
        yield* until(/! the image .* can't be read \(ENOENT\)\.\n> /)
        yield* say("//not a command")
        yield* until(/\n\/not a command\n> /)
      })
    ))

  it("keeps what is typed while an answer grows, and sends it behind", () =>
    run(
      Effect.gen(function* () {
        const { say, type, until } = yield* chat()
        yield* say("{{n=10 ms=50}} a b c d e f g h i j")
        yield* until(/\na /)
        yield* say("next")
        yield* type("draft")
        yield* until(/j *\n> next\nnext\n> draft/)
      })
    ))

  it("shows what others say in its session", () =>
    run(
      Effect.gen(function* () {
        const { gateway, until } = yield* chat()
        yield* gateway.ask("from elsewhere")
        yield* until(/You.*\nfrom elsewhere\n/)
        yield* until(/Agent\nfrom elsewhere\n/)
        yield* until(/> $/)
      })
    ))

  it("shows text of others and does nothing of what it says to terminals", () =>
    run(
      Effect.gen(function* () {
        const { gateway, raw, until } = yield* chat()
        yield* gateway.ask("bell \u0007 and \u001b]0;title")
        yield* until(/You.*\nbell \\u0007 and \\u001b\]0;title\n/)
        yield* until(/Agent\nbell \\u0007 and \\u001b\]0;title\n/)
        expect((yield* raw).includes("\u0007")).toBe(false)
      })
    ))

  it("outlives its gateway: one message stays one", () =>
    run(
      Effect.gen(function* () {
        const { gateway, say, stateDir, until } = yield* chat()
        yield* gateway.signal("SIGKILL")
        yield* gateway.ended
        yield* until(/-- connection lost/)
        yield* say("sent meanwhile")
        const again = yield* Program.serve({ stateDir, port: gateway.port })
        yield* until(/-- connected again\n/)
        yield* until(/sent meanwhile\n> /)
        const shown = yield* Program.run([
          "sessions",
          "show",
          "main",
          "--url",
          again.url,
          "--state-dir",
          stateDir
        ])
        expect(shown.stdout.match(/sent meanwhile/g)).toHaveLength(2)
      })
    ))

  it("is resized, and draws its line anew", () =>
    run(
      Effect.gen(function* () {
        const { resize, type, until } = yield* chat()
        yield* resize(20, 10)
        yield* type("a line that is longer than twenty columns")
        yield* until(/columns/)
        yield* type(enter)
        yield* until(/\na line that is longer than twenty columns\n> /)
      })
    ))

  it("ends with the signal's code on SIGTERM", () =>
    run(
      Effect.gen(function* () {
        const { exitCode, signal } = yield* chat()
        yield* signal("SIGTERM")
        expect(yield* exitCode).toBe(143)
      })
    ))

  it("takes its lines from a pipe, one after the other", () =>
    run(
      Effect.gen(function* () {
        const stateDir = yield* Program.makeStateDir
        const { url } = yield* Program.serve({ stateDir })
        const flags = ["chat", "--url", url, "--state-dir", stateDir]
        const told = yield* Program.run(flags, {}, "one\n\n/new other\ntwo\n/history\n")
        expect(told).toMatchObject({ code: 0, stderr: "" })
        expect(told.stdout).toMatch(/^one\ntwo\nYou.*\ntwo\n\nAgent.*\ntwo\n$/)
        const failed = yield* Program.run(flags, {}, "{{error=1}} x\nafter\n")
        expect(failed.code).toBe(1)
        expect(failed.stderr).toMatch(/^colloquy: /)
        expect(failed.stdout).toContain("after\n")
      })
    ))
})
