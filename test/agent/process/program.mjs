/**
 * The programs that tests start: `node program.mjs NAME [ARGUMENT ...]`. What they have reached they say on stdout or stderr:
 * tests wait for that.
 */
import { spawn } from "node:child_process"
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
      say("x".repeat(1_000_000))
      process.exit(0)
    })
    hang()
    say("ready\n")
  },
  /** Starts another of these programs (its pipes are these pipes, or none), says its pid, and ends or goes on. */
  parent: (pipes, then, ...args) => {
    const stdio = pipes === "shared" ? "inherit" : ["ignore", "ignore", "ignore", "ipc"]
    const child = spawn(process.execPath, [self, ...args], { stdio })
    const told = () => {
      say(`${child.pid}\n`)
      if (then === "exits") process.exitCode = 0
      else hang()
      child.unref()
      if (child.connected) child.disconnect()
      if (then === "exits") process.stdin.destroy()
    }
    if (pipes === "shared") child.on("spawn", told)
    else child.on("message", told)
  },
  /** Ignores SIGTERM without any pipe; tells its parent when it does. */
  orphan: () => {
    process.on("SIGTERM", () => undefined)
    stay()
    process.on("disconnect", () => undefined)
    process.send?.("ready")
  },
  /** Writes so many bytes; says on stderr after how many it was held up for the first time. */
  flood: (bytes) => {
    // Of itself Node waits for a pipe without turning its loop, and could not say that it waits.
    process.stdout._handle?.setBlocking?.(false)
    const chunk = Buffer.alloc(65_536, "0123456789abcdef\n")
    let written = 0
    let told = false
    const next = () => {
      if (written >= Number(bytes)) return
      const size = Math.min(chunk.length, Number(bytes) - written)
      // oxlint-disable-next-line no-restricted-globals -- real time is what it is about: nothing has been taken for so long
      const stalled = setTimeout(() => {
        if (!told) process.stderr.write(`held up at ${written}\n`)
        told = true
      }, 200)
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
  /** Closes its input unread. */
  deaf: () => {
    process.stdin.destroy()
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
  }
}

const [name, ...args] = process.argv.slice(2)
programs[name]?.(...args)
