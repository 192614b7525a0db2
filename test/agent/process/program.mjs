/**
 * The programs that tests start: `node program.mjs NAME [ARGUMENT ...]`. What they have reached they say on stdout or stderr:
 * tests wait for that.
 */
import { spawn } from "node:child_process"
import { closeSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const self = fileURLToPath(import.meta.url)
// oxlint-disable-next-line no-restricted-globals -- this is a program under test, and something has to keep it alive
const stay = () => setInterval(() => undefined, 2 ** 30)
const hang = () => process.stdin.resume() && stay()
const say = (text) => process.stdout.write(text)

const programs = {
  /** Says what it hears, and ends with its input. */
  echo: () => process.stdin.pipe(process.stdout),
  /** Says something and goes on for ever, also when its input ends. */
  hang: (text = "ready\n") => {
    hang()
    say(text)
  },
  /** The same, and does not end on SIGTERM. */
  stubborn: (text = "ready\n") => {
    process.on("SIGTERM", () => process.stderr.write("no\n"))
    hang()
    say(text)
  },
  /** Takes its leave on SIGTERM with more words than a pipe holds. */
  polite: () => {
    process.on("SIGTERM", () => {
      process.stdout.write("x".repeat(1_000_000), () => process.exit(0))
    })
    hang()
    say("ready\n")
  },
  /** Says nothing on stdout, for ever. */
  silent: () => {
    hang()
    process.stderr.write("ready\n")
  },
  /** Says something, closes its output and goes on for ever. */
  closing: () => {
    hang()
    say("all there is")
    closeSync(1)
    process.stderr.write("closed\n")
  },
  /** Starts a child that ignores SIGTERM and has its pipes or none, says the child's pid, and ends or goes on for ever. */
  parent: (pipes, then) => {
    const its = pipes === "shared" ? "inherit" : "ignore"
    const child = spawn(process.execPath, [self, "child"], { stdio: [its, its, its, "ipc"] })
    child.on("message", () => {
      say(`${child.pid}\n`)
      child.disconnect()
      child.unref()
      if (then !== "exits") hang()
    })
  },
  child: () => {
    process.on("SIGTERM", () => undefined)
    stay()
    process.send?.("ready")
  },
  /**
   * Leaves a zombie behind in its group: the shell's child has ended, and what the shell has become outside of the group does
   * not ask for its exit code. Says the pid of that.
   */
  zombie: () => {
    // No shell behind setsid: one might ask for the exit code after all.
    const shell = spawn("/bin/sh", ["-c", "true & exec setsid sleep 1000"], { stdio: "ignore" })
    const whenLeft = () => {
      const session = readFileSync(`/proc/${shell.pid}/stat`, "utf8").split(") ").at(-1)?.split(" ")[3]
      if (Number(session) !== shell.pid) return setImmediate(whenLeft)
      say(`${shell.pid}\n`)
      shell.unref()
    }
    whenLeft()
  },
  /** Writes so many bytes; says on stderr after how many it was held up for the first time. */
  flood: (bytes) => {
    const chunk = Buffer.alloc(1_048_576, "0123456789abcdef\n")
    let written = 0
    let told = false
    const next = () => {
      if (written >= Number(bytes)) return
      // Small pieces until it was told, since only whole ones are counted.
      const size = Math.min(told ? chunk.length : 65_536, Number(bytes) - written)
      const tell = () => {
        told = true
        process.stderr.write(`held up at ${written}\n`)
      }
      // oxlint-disable-next-line no-restricted-globals -- real time is what it is about: nothing has been taken for so long
      const stalled = told ? undefined : setTimeout(tell, 200)
      process.stdout.write(chunk.subarray(0, size), () => {
        clearTimeout(stalled)
        written += size
        next()
      })
    }
    next()
  },
  /** Says its environment and its directory. */
  where: () => say(JSON.stringify({ env: process.env, cwd: process.cwd(), args: process.argv.slice(3) })),
  /** Closes its input unread, and goes on for ever. */
  deaf: () => {
    closeSync(0)
    stay()
    say("ready\n")
  },
  /** Says its words, then ends with a code, or by a signal. */
  end: (how, out = "", err = "") => {
    say(out)
    process.stderr.write(err, () => {
      if (how.startsWith("SIG")) process.kill(process.pid, how)
      else process.exitCode = Number(how)
    })
  },
  /** Says so many bytes on stderr, in lines, and fails. */
  complain: (bytes) => {
    process.stderr.write("a line of an error\n".repeat(Number(bytes) / 19), () => (process.exitCode = 1))
  },
  /** Characters of three bytes, which lie across the borders of chunks; then a byte that is no UTF-8. */
  utf8: () => say(Buffer.concat([Buffer.from("€".repeat(100_000)), Buffer.from([0xff]), Buffer.from("!")])),
  /** Answers a JSON document with what it was told; "wait" with half an answer. */
  chat: async () => {
    let input = ""
    for await (const text of process.stdin.setEncoding("utf8")) input += text
    const { history, message } = JSON.parse(input)
    if (message === "wait") {
      say("half an ")
      return stay()
    }
    say(
      history.map(({ content, role }) => `${role}: ${content.map(({ text }) => text).join("+")}`).join("\n")
    )
  }
}

const [name, ...args] = process.argv.slice(2)
programs[name]?.(...args)
