// Measures the built gateway (dist/main.js) beside its floor, in one run on one machine, and prints ratios: absolute
// figures move with the machine. `node scripts/bench/main.mjs [name …]` runs only the named parts.
import { fork, spawn } from "node:child_process"
import { mkdtemp, open, rm, writeFile, mkdir } from "node:fs/promises"
import { readFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { WebSocket } from "ws"
import { Client } from "./Client.mjs"
import { median, ms, now, quantile, row, table, times } from "./Stats.mjs"

const here = dirname(fileURLToPath(import.meta.url))
const bin = process.env.COLLOQUY_BENCH_BIN ?? join(here, "../../dist/main.js")
const token = "bench"

const rssOf = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) * 1024

const startGateway = async (stateDir, extra = []) => {
  const begun = now()
  const child = spawn(
    process.execPath,
    [bin, "serve", "--host", "127.0.0.1", "--port", "0", "--state-dir", stateDir, "--token", token, ...extra],
    { stdio: ["ignore", "pipe", process.env.COLLOQUY_BENCH_LOG ? "inherit" : "ignore"] }
  )
  const url = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const match = /ws:\/\/[^\s]+/.exec(line)
      if (match) resolve(match[0])
    })
    child.once("exit", (code) => reject(new Error(`the gateway ended with ${code}`)))
  })
  return {
    url,
    pid: child.pid,
    begun,
    stop: () => new Promise((done) => (child.once("exit", done), child.kill("SIGTERM")))
  }
}

const startFloor = async () => {
  const child = fork(join(here, "Floor.mjs"))
  const { port } = await new Promise((resolve) => child.once("message", resolve))
  return { url: `ws://127.0.0.1:${port}`, pid: child.pid, stop: () => child.kill() }
}

const openFloor = (url) =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { perMessageDeflate: false })
    socket.once("open", () => resolve(socket))
    socket.once("error", reject)
  })

const inTurns = async (count, width, step) => {
  let next = 0
  await Promise.all(
    Array.from({ length: width }, async () => {
      while (next < count) await step(next++)
    })
  )
}

const rows = []
let run = 0
const key = () => `bench-${process.pid}-${run++}`

const send = (client, message, sessionKey = "bench") =>
  client.request("chat.send", { sessionKey, message, idempotencyKey: key() })

const parts = {
  async start(context) {
    const samples = []
    for (let index = 0; index < 5; index++) {
      const dir = await mkdtemp(join(tmpdir(), "colloquy-bench-"))
      const gateway = await startGateway(dir)
      const client = await Client.connect(gateway.url, token)
      samples.push(now() - gateway.begun)
      client.close()
      await gateway.stop()
      await rm(dir, { recursive: true, force: true })
    }
    const bare = await times(
      5,
      () => new Promise((done) => spawn(process.execPath, ["-e", ""]).once("exit", done))
    )
    rows.push(
      row(
        "process start to first hello, median of 5",
        ms(median(samples)),
        `bare node ${ms(median(bare))}`,
        (median(samples) / median(bare)).toFixed(1),
        "≤ 400 ms"
      )
    )
    rows.push(row("memory, idle", `${(rssOf(context.gateway.pid) / 1e6).toFixed(0)} MB`, "", "", "≤ 90 MB"))
  },

  async connect(context) {
    const { gateway, floor } = context
    const count = 1000
    const measure = async (pid, make) => {
      const before = rssOf(pid)
      const begun = now()
      const all = []
      await inTurns(count, 100, async () => all.push(await make()))
      const rate = count / ((now() - begun) / 1000)
      await new Promise((done) => setTimeout(done, 300))
      return { rate, memory: (rssOf(pid) - before) / count, all }
    }
    const bare = await measure(floor.pid, () => openFloor(floor.url))
    for (const socket of bare.all) socket.terminate()
    const ours = await measure(gateway.pid, () => Client.connect(gateway.url, token))
    for (const client of ours.all) client.close()
    rows.push(
      row(
        "connect + hello, 1,000 clients",
        `${ours.rate.toFixed(0)}/s`,
        `bare upgrade ${bare.rate.toFixed(0)}/s`,
        (ours.rate / bare.rate).toFixed(2),
        "≥ 2000/s"
      )
    )
    rows.push(
      row(
        "memory per idle connection",
        `${(ours.memory / 1024).toFixed(1)} KB`,
        `bare ${(bare.memory / 1024).toFixed(1)} KB`,
        (ours.memory / bare.memory).toFixed(2),
        "≤ 20 KB"
      )
    )
  },

  async send(context) {
    const { gateway, floor, stateDir } = context
    const socket = await openFloor(floor.url)
    const echo = () =>
      new Promise((resolve) => (socket.once("message", resolve), socket.send("x".repeat(200))))
    const file = await open(join(stateDir, "fsync.bench"), "a")
    const line = Buffer.alloc(300, 120)
    const sync = async () => (await file.write(line), await file.sync())
    const client = await Client.connect(gateway.url, token)
    await times(50, echo)
    await times(20, sync)
    await times(30, () => send(client, "{{n=1 ms=0 size=10}}"))
    const echoes = []
    const syncs = []
    const starteds = []
    const finals = []
    // Side by side, so that a noisy moment of the machine hits all of them.
    for (let index = 0; index < 300; index++) {
      echoes.push(...(await times(1, echo)))
      syncs.push(...(await times(1, sync)))
      const idempotencyKey = key()
      const final = client.terminal(idempotencyKey)
      const before = now()
      await client.request("chat.send", {
        sessionKey: "bench",
        message: "{{n=1 ms=0 size=10}}",
        idempotencyKey
      })
      starteds.push(now() - before)
      await final
      finals.push(now() - before)
    }
    const base = median(echoes) + median(syncs)
    rows.push(
      row(
        "send → started, p50, one client",
        ms(median(starteds)),
        `fsync ${ms(median(syncs))} + echo ${ms(median(echoes))}`,
        (median(starteds) / base).toFixed(2),
        "≤ 1.5"
      )
    )
    rows.push(
      row(
        "send → final, instant agent, p50",
        ms(median(finals)),
        "",
        (median(finals) / base).toFixed(2),
        "≤ 3 ms"
      )
    )
    const many = 64
    // A few connections with many runs under way: every connection of the owner sees every run.
    const clients = await Promise.all(Array.from({ length: 4 }, () => Client.connect(gateway.url, token)))
    const total = 3000
    const begun = now()
    let index = 0
    await inTurns(total, many, async () => {
      const at = index++
      const client = clients[at % clients.length]
      const idempotencyKey = key()
      const final = client.terminal(idempotencyKey)
      await client.request("chat.send", {
        sessionKey: `many-${at % many}`,
        message: "{{n=1 ms=0 size=10}}",
        idempotencyKey
      })
      await final
    })
    const rate = total / ((now() - begun) / 1000)
    rows.push(
      row(
        `runs/s, ${many} under way, ${many} sessions, 4 clients`,
        `${rate.toFixed(0)}/s`,
        `${(1000 / median(syncs)).toFixed(0)} fsyncs/s`,
        (rate / (1000 / median(syncs))).toFixed(2),
        "≥ 2000/s"
      )
    )
    for (const each of clients) each.close()
    client.close()
    socket.terminate()
    await file.close()
  },

  async fanout(context) {
    const { gateway, floor } = context
    const count = 500
    const runs = 200
    const sockets = await Promise.all(Array.from({ length: count }, () => openFloor(floor.url)))
    let received = 0
    const floorDone = (wanted) =>
      new Promise((done) => {
        for (const socket of sockets) socket.on("message", () => ++received === wanted && done())
      })
    const floorWait = floorDone(count * runs)
    const begun = now()
    sockets[0].send(`broadcast ${runs} 300`)
    await floorWait
    const floorRate = received / ((now() - begun) / 1000)
    for (const socket of sockets) socket.terminate()

    const clients = await Promise.all(Array.from({ length: count }, () => Client.connect(gateway.url, token)))
    let events = 0
    let finals = 0
    const wanted = count * runs
    const done = new Promise((resolve) => {
      for (const client of clients) {
        client.onEvent = (frame) => {
          events += 1
          if (frame.event === "chat" && frame.payload.state === "final" && ++finals === wanted) resolve()
        }
      }
    })
    const ourBegun = now()
    await Promise.all(
      Array.from({ length: runs }, (_, at) =>
        send(clients[at % count], "{{n=20 ms=0 size=12}}", `fan-${at % 50}`)
      )
    )
    await done
    const rate = events / ((now() - ourBegun) / 1000)
    rows.push(
      row(
        `fan-out, ${runs} runs to ${count} clients`,
        `${rate.toFixed(0)} events/s`,
        `bare ${floorRate.toFixed(0)}/s`,
        (rate / floorRate).toFixed(2),
        "≥ 0.9"
      )
    )
    const before = clients[1].bytes
    const idempotencyKey = key()
    const final = clients[1].terminal(idempotencyKey)
    await clients[0].request("chat.send", {
      sessionKey: "bytes",
      message: "{{n=500 ms=5 size=12}}",
      idempotencyKey
    })
    await final
    rows.push(
      row(
        "bytes to a v4 client, 6 KB answer over 2.5 s",
        `${((clients[1].bytes - before) / 1000).toFixed(0)} KB`,
        "R1 1,700 KB",
        ((clients[1].bytes - before) / 1.7e6).toFixed(3),
        "≤ 0.05"
      )
    )
    for (const client of clients) client.close()
  },

  async abort(context) {
    const client = await Client.connect(context.gateway.url, token)
    const alive = 1000
    for (let index = 0; index < alive; index += 50) {
      await Promise.all(
        Array.from({ length: 50 }, (_, at) => send(client, "{{n=1 ms=0 hang=1}}", `alive-${index + at}`))
      )
    }
    const samples = []
    for (let index = 0; index < 200; index++) {
      const idempotencyKey = key()
      const first = new Promise((resolve) => {
        const before = client.onEvent
        client.onEvent = (frame) => {
          before?.(frame)
          if (frame.event === "chat" && frame.payload.runId === idempotencyKey) resolve()
        }
      })
      await client.request("chat.send", {
        sessionKey: "abort",
        message: "{{n=1 ms=0 hang=1}}",
        idempotencyKey
      })
      await first
      const ended = client.terminal(idempotencyKey)
      const before = now()
      client.request("chat.abort", { sessionKey: "abort", runId: idempotencyKey })
      await ended
      samples.push(now() - before)
    }
    rows.push(row(`abort → aborted, p50, ${alive} runs alive`, ms(median(samples)), "", "", ""))
    rows.push(row(`abort → aborted, p99, ${alive} runs alive`, ms(quantile(samples, 0.99)), "", "", "≤ 2 ms"))
    for (let index = 0; index < alive; index += 50) {
      await Promise.all(
        Array.from({ length: 50 }, (_, at) =>
          client.request("chat.abort", { sessionKey: `alive-${index + at}` })
        )
      )
    }
    client.close()
  },

  async history(context) {
    const small = await historyOf(context, 1_000)
    const large = await historyOf(context, 200_000)
    rows.push(row("history limit 50, 1,000 messages, p50", ms(small), "", "", "≤ 1 ms"))
    rows.push(
      row(
        "history limit 50, 200,000 messages, p50",
        ms(large),
        `at 1,000: ${ms(small)}`,
        (large / small).toFixed(2),
        "1"
      )
    )
  },

  async sessions() {
    const measure = async (count) => {
      const dir = await mkdtemp(join(tmpdir(), "colloquy-bench-"))
      const index = Object.fromEntries(
        Array.from({ length: count }, (_, at) => [
          `agent:main:s${at}`,
          { sessionId: `s${at}`, updatedAt: 1, label: `label ${at}` }
        ])
      )
      await writeFile(join(dir, "sessions.json"), JSON.stringify(index))
      const gateway = await startGateway(dir)
      const client = await Client.connect(gateway.url, token)
      await times(10, () => send(client, "{{n=1 ms=0 size=10}}"))
      const samples = await times(60, () => send(client, "{{n=1 ms=0 size=10}}"))
      client.close()
      await gateway.stop()
      await rm(dir, { recursive: true, force: true })
      return median(samples)
    }
    const few = await measure(10)
    const many = await measure(100_000)
    rows.push(
      row(
        "send → started, 100,000 sessions, p50",
        ms(many),
        `10 sessions: ${ms(few)}`,
        (many / few).toFixed(2),
        "flat"
      )
    )
  }
}

const historyOf = async ({ gateway, stateDir }, count) => {
  const sessionId = `history-${count}`
  const lines = [
    JSON.stringify({
      type: "session",
      version: 1,
      id: sessionId,
      timestamp: new Date(0).toISOString(),
      cwd: "/"
    })
  ]
  for (let at = 0; at < count; at++) {
    lines.push(
      JSON.stringify({
        type: "message",
        id: `m${at}`,
        timestamp: new Date(0).toISOString(),
        message: {
          role: at % 2 ? "assistant" : "user",
          content: [{ type: "text", text: `message ${at} `.repeat(8) }],
          timestamp: at
        }
      })
    )
  }
  await mkdir(stateDir, { recursive: true })
  await writeFile(join(stateDir, `${sessionId}.jsonl`), lines.join("\n") + "\n")
  const client = await Client.connect(gateway.url, token)
  await client.request("chat.send", { sessionKey: sessionId, message: "{{n=1 ms=0}}", idempotencyKey: key() })
  const path = join(stateDir, "sessions.json")
  const index = JSON.parse(readFileSync(path, "utf8"))
  index[`agent:main:${sessionId}`].sessionFile = `${sessionId}.jsonl`
  await writeFile(path, JSON.stringify(index))
  const read = async () => {
    const reply = await client.request("chat.history", { sessionKey: sessionId, limit: 50 })
    if (reply.payload.messages.length !== 50)
      throw new Error(`history gave ${reply.payload.messages.length} messages`)
  }
  await times(20, read)
  const samples = await times(200, read)
  client.close()
  return median(samples)
}

const wanted = process.argv.slice(2)
const stateDir = await mkdtemp(join(tmpdir(), "colloquy-bench-"))
const floor = await startFloor()
const gateway = await startGateway(stateDir)
try {
  for (const [name, part] of Object.entries(parts)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue
    await part({ gateway, floor, stateDir })
  }
} finally {
  await gateway.stop()
  floor.stop()
  await rm(stateDir, { recursive: true, force: true })
}
console.log(table(rows))
process.exit(0)
