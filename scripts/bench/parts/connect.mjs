import { Client } from "../Client.mjs"
import { inTurns } from "../Load.mjs"
import { openFloor, rssOf, token } from "../Processes.mjs"
import { now, row } from "../Stats.mjs"

export const name = "connect"
export const about = "connect + hello of 1,000 clients, and what an idle connection costs"

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

export const run = async ({ floor, gateway }) => {
  const bare = await measure(floor.pid, () => openFloor(floor.url))
  for (const socket of bare.all) socket.terminate()
  const ours = await measure(gateway.pid, () => Client.connect(gateway.url, token))
  for (const client of ours.all) client.close()
  return [
    row(
      "connect + hello, 1,000 clients",
      `${ours.rate.toFixed(0)}/s`,
      `bare upgrade ${bare.rate.toFixed(0)}/s`,
      (ours.rate / bare.rate).toFixed(2),
      "≥ 2000/s"
    ),
    row(
      "memory per idle connection",
      `${(ours.memory / 1024).toFixed(1)} KB`,
      `bare ${(bare.memory / 1024).toFixed(1)} KB`,
      (ours.memory / bare.memory).toFixed(2),
      "≤ 20 KB"
    )
  ]
}
