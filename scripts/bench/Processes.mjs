// The gateway and its floor, as processes of their own.
import { fork, spawn } from "node:child_process"
import { mkdtemp, rm } from "node:fs/promises"
import { readFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { WebSocket } from "ws"
import { Client } from "./Client.mjs"
import { now } from "./Stats.mjs"

const here = dirname(fileURLToPath(import.meta.url))
const bin = process.env.COLLOQUY_BENCH_BIN ?? join(here, "../../dist/main.js")
export const token = "bench"

export const rssOf = (pid) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) * 1024

// `profileDir`: a CPU profile of the gateway is written there when it stops.
export const startGateway = async (stateDir, { profileDir } = {}) => {
  const begun = now()
  const profile = profileDir === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profileDir}`]
  const serve = ["serve", "--host", "127.0.0.1", "--port", "0", "--state-dir", stateDir, "--token", token]
  const child = spawn(process.execPath, [...profile, bin, ...serve], {
    stdio: ["ignore", "pipe", process.env.COLLOQUY_BENCH_LOG ? "inherit" : "ignore"]
  })
  const gone = new Promise((done) => child.once("exit", done))
  const url = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const match = /ws:\/\/[^\s]+/.exec(line)
      if (match) resolve(match[0])
    })
    child.once("exit", (code) => reject(new Error(`the gateway ended with ${code}`)))
  })
  const end = (signal) => (child.kill(signal), gone)
  return { url, pid: child.pid, begun, stop: () => end("SIGTERM"), kill: () => end("SIGKILL") }
}

// Milliseconds from the start of the process to the first hello; the gateway goes on.
export const startToHello = async (stateDir) => {
  const gateway = await startGateway(stateDir)
  const client = await Client.connect(gateway.url, token)
  const time = now() - gateway.begun
  client.close()
  return { gateway, time }
}

export const startFloor = async () => {
  const child = fork(join(here, "Floor.mjs"))
  const { port } = await new Promise((resolve) => child.once("message", resolve))
  return { url: `ws://127.0.0.1:${port}`, pid: child.pid, stop: () => child.kill() }
}

export const openFloor = (url) =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { perMessageDeflate: false })
    socket.once("open", () => resolve(socket))
    socket.once("error", reject)
  })

export const withDirectory = async (use) => {
  const directory = await mkdtemp(join(tmpdir(), "colloquy-bench-"))
  try {
    return await use(directory)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

// A gateway on a directory of its own. `prepare` puts into the directory what it finds at its start.
export const withGateway = (prepare, use, options) =>
  withDirectory(async (stateDir) => {
    await prepare(stateDir)
    const gateway = await startGateway(stateDir, options)
    try {
      return await use(gateway, stateDir)
    } finally {
      await gateway.stop()
    }
  })
