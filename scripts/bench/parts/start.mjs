import { spawn } from "node:child_process"
import { Client } from "../Client.mjs"
import { appended } from "../Disk.mjs"
import { inTurns, instant, key, keepAlive, send, writeSessions } from "../Load.mjs"
import { rssOf, startGateway, startToHello, token, withDirectory } from "../Processes.mjs"
import { median, ms, now, row, times } from "../Stats.mjs"

export const name = "start"
export const about =
  "process start to hello: fresh, 100,000 sessions, a long journal, after kill -9 with 1,000 runs"

// Median of the starts of a gateway on a directory, each stopped in order.
const startsOn = async (stateDir, count) => {
  const samples = []
  for (let index = 0; index < count; index++) {
    const { gateway, time } = await startToHello(stateDir)
    samples.push(time)
    await gateway.stop()
  }
  return median(samples)
}

// As many runs as there is time for, up to 50,000: about what a busy day leaves.
const runMany = async (stateDir) => {
  const most = 50_000
  const maxMs = 25_000
  const gateway = await startGateway(stateDir)
  const clients = []
  for (let at = 0; at < 64; at++)
    clients.push(await Client.connect(gateway.url, token, { scopes: ["operator.write"] }))
  const observer = await Client.connect(gateway.url, token)
  const begun = now()
  let done = 0
  await inTurns(most, clients.length, async (at) => {
    if (now() - begun > maxMs) return
    const idempotencyKey = key()
    const final = observer.terminal(idempotencyKey)
    await send(clients[at % clients.length], instant, `day-${at % clients.length}`, idempotencyKey)
    await final
    done++
  })
  for (const client of [...clients, observer]) client.close()
  await gateway.stop()
  return done
}

const killed = async (stateDir) => {
  const gateway = await startGateway(stateDir)
  const client = await Client.connect(gateway.url, token)
  await keepAlive(client, 1000)
  client.close()
  await gateway.kill()
  const again = await startToHello(stateDir)
  await again.gateway.stop()
  return again.time
}

export const run = async (context) => {
  const bare = median(
    await times(5, () => new Promise((done) => spawn(process.execPath, ["-e", ""]).once("exit", done)))
  )
  const fresh = await withDirectory((dir) => startsOn(dir, 5))
  const against = `fresh ${ms(fresh)}`
  const ratio = (time) => (time / fresh).toFixed(2)
  const sessions = await withDirectory(async (dir) => {
    await writeSessions(100_000)(dir)
    return startsOn(dir, 3)
  })
  const day = await withDirectory(async (dir) => {
    const runs = await runMany(dir)
    return { runs, bytes: await appended(dir), time: await startsOn(dir, 3) }
  })
  const recovery = await withDirectory(killed)
  return [
    row(
      "process start to first hello, median of 5",
      ms(fresh),
      `bare node ${ms(bare)}`,
      (fresh / bare).toFixed(1),
      "≤ 400 ms"
    ),
    row("start to hello, 100,000 sessions", ms(sessions), against, ratio(sessions), "≤ 400 ms"),
    row(
      `start to hello, ${day.runs} runs ago (${(day.bytes / 1e6).toFixed(0)} MB)`,
      ms(day.time),
      against,
      ratio(day.time),
      "≤ 400 ms"
    ),
    row("start to hello, killed with 1,000 runs", ms(recovery), against, ratio(recovery), ""),
    row("memory, idle", `${(rssOf(context.gateway.pid) / 1e6).toFixed(0)} MB`, "", "", "≤ 90 MB")
  ]
}
