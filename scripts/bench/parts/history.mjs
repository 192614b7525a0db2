import { once } from "node:events"
import { createWriteStream } from "node:fs"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Client } from "../Client.mjs"
import { rssOf, token, withGateway } from "../Processes.mjs"
import { median, ms, row, times } from "../Stats.mjs"

export const name = "history"
export const about =
  "chat.history of 50 at 1,000 and at 1,000,000 messages: time, and what the process grows by"

const sizes = [1_000, 1_000_000]
const timestamp = new Date(0).toISOString()

const lineOf = (at) =>
  JSON.stringify({
    type: "message",
    id: `m${at}`,
    timestamp,
    message: {
      role: at % 2 ? "assistant" : "user",
      content: [{ type: "text", text: `message ${at} of a long conversation` }],
      timestamp: at
    }
  })

// In blocks, as fast as the disk takes them: a million lines don't fit well into one string.
const writeTranscript = async (path, count) => {
  const block = 20_000
  const file = createWriteStream(path)
  file.write(`${JSON.stringify({ type: "session", version: 1, id: "x", timestamp, cwd: "/" })}\n`)
  for (let from = 0; from < count; from += block) {
    const lines = []
    for (let at = from; at < Math.min(count, from + block); at++) lines.push(lineOf(at))
    if (!file.write(`${lines.join("\n")}\n`)) await once(file, "drain")
  }
  file.end()
  await once(file, "finish")
}

const prepare = async (stateDir) => {
  for (const size of sizes) await writeTranscript(join(stateDir, `history-${size}.jsonl`), size)
  const index = sizes.map((size) => [
    `agent:main:history-${size}`,
    { sessionId: `history-${size}`, updatedAt: 1 }
  ])
  await writeFile(join(stateDir, "sessions.json"), JSON.stringify(Object.fromEntries(index)))
}

const measure = async (gateway, client, size) => {
  const read = async () => {
    const reply = await client.request("chat.history", { sessionKey: `history-${size}`, limit: 50 })
    if (reply.payload?.messages.length !== 50)
      throw new Error(`no 50 messages: ${JSON.stringify(reply.error)}`)
  }
  const before = rssOf(gateway.pid)
  let most = before
  const samples = []
  for (let round = 0; round < 10; round++) {
    samples.push(...(await times(30, read)))
    most = Math.max(most, rssOf(gateway.pid))
  }
  return { time: median(samples), growth: (most - before) / 1e6 }
}

export const run = () =>
  withGateway(prepare, async (gateway) => {
    const client = await Client.connect(gateway.url, token)
    // The other one first, so that what all reading needs is warm and in memory.
    await measure(gateway, client, sizes[0])
    const small = await measure(gateway, client, sizes[0])
    const large = await measure(gateway, client, sizes[1])
    client.close()
    return [
      row("history limit 50, 1,000 messages, p50", ms(small.time), "", "", "≤ 1 ms"),
      row(
        "history limit 50, 1,000,000 messages, p50",
        ms(large.time),
        `at 1,000: ${ms(small.time)}`,
        (large.time / small.time).toFixed(2),
        "1"
      ),
      row(
        "memory grown by 300 of these",
        `${large.growth.toFixed(1)} MB`,
        `at 1,000: ${small.growth.toFixed(1)} MB`,
        "",
        "no more"
      )
    ]
  })
