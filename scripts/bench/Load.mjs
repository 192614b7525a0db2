// What the parts do to a gateway.
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { now } from "./Stats.mjs"

// One chunk, no waiting: what is measured is the gateway.
export const instant = "{{n=1 ms=0 size=10}}"
export const hanging = "{{n=1 ms=0 hang=1}}"

let run = 0
export const key = () => `bench-${process.pid}-${run++}`

export const send = (client, message, sessionKey = "bench", idempotencyKey = key()) =>
  client.request("chat.send", { sessionKey, message, idempotencyKey })

// `count` steps, `width` of them under way at once.
export const inTurns = async (count, width, step) => {
  let next = 0
  await Promise.all(
    Array.from({ length: width }, async () => {
      while (next < count) await step(next++)
    })
  )
}

// The share of one core that this process takes meanwhile. Near 1, it is itself what is measured.
export const clientShare = async (use) => {
  const cpu = process.cpuUsage()
  const begun = now()
  const result = await use()
  const { system, user } = process.cpuUsage(cpu)
  return { result, share: (system + user) / 1000 / (now() - begun) }
}

export const shareNote = (share) =>
  share >= 0.9 ? ` (client-bound: its CPU at ${(share * 100).toFixed(0)} %)` : ""

// Runs the steps in turn, ABAB, so that a noisy moment of the machine hits all of them. Gives the times of each, in ms.
export const alternate = async (steps, { count, maxMs }) => {
  const samples = steps.map(() => [])
  const begun = now()
  for (let index = 0; index < count && (now() - begun < maxMs || index < 10); index++) {
    for (const [at, step] of steps.entries()) samples[at].push(await step(index))
  }
  return samples
}

export const timed = (step) => async (index) => {
  const before = now()
  await step(index)
  return now() - before
}

export const writeSessions = (count) => async (stateDir) => {
  const index = Object.fromEntries(
    Array.from({ length: count }, (_, at) => [
      `agent:main:s${at}`,
      { sessionId: `s${at}`, updatedAt: 1, label: `label ${at}` }
    ])
  )
  await writeFile(join(stateDir, "sessions.json"), JSON.stringify(index))
}

// 1,000 runs, say, each in a session of its own, that don't end by themselves.
export const keepAlive = (client, count) => inTurns(count, 50, (at) => send(client, hanging, `alive-${at}`))
