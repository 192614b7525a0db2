import { Client } from "../Client.mjs"
import { appended, openBare } from "../Disk.mjs"
import { alternate, hanging, instant, key, send, timed } from "../Load.mjs"
import { openFloor, token } from "../Processes.mjs"
import { median, ms, row } from "../Stats.mjs"

export const name = "latency"
export const about = "send → started and → final at one client, against a bare fsync and a bare echo"

// How many bytes one send makes the gateway append before its `started`.
const bytesOfSend = async (client, stateDir) => {
  const sends = 20
  // The session's first one writes the head of its transcript too.
  await send(client, hanging, "bytes")
  const before = await appended(stateDir)
  for (let index = 0; index < sends; index++) await send(client, hanging, "bytes")
  const bytes = Math.round(((await appended(stateDir)) - before) / sends)
  await client.request("chat.abort", { sessionKey: "bytes" })
  return bytes
}

// Gateways side by side: one probe for each. A probe's step measures a send, and gives the time to `started`.
export const openProbe = async (gateway, stateDir) => {
  const client = await Client.connect(gateway.url, token)
  const bytes = await bytesOfSend(client, stateDir)
  const finals = []
  const step = async () => {
    const idempotencyKey = key()
    const final = client.terminal(idempotencyKey)
    const before = performance.now()
    await send(client, instant, "bench", idempotencyKey)
    const started = performance.now() - before
    await final
    finals.push(performance.now() - before)
    return started
  }
  for (let index = 0; index < 20; index++) await step()
  finals.length = 0
  return { bytes, step, finals, close: () => client.close() }
}

// The floor: a bare echo, and a bare append with fsync.
export const openFloorProbe = async (floor, stateDir, bytes) => {
  const socket = await openFloor(floor.url)
  const bare = await openBare(stateDir)
  const echo = timed(
    () => new Promise((resolve) => (socket.once("message", resolve), socket.send("x".repeat(200))))
  )
  const sync = timed(() => bare.append(bytes))
  for (let index = 0; index < 30; index++) await echo()
  for (let index = 0; index < 10; index++) await sync()
  return { echo, sync, close: () => (socket.terminate(), bare.close()) }
}

export const run = async ({ floor, gateway, stateDir }) => {
  const probe = await openProbe(gateway, stateDir)
  const bare = await openFloorProbe(floor, stateDir, probe.bytes)
  const [echoes, syncs, starteds] = await alternate([bare.echo, bare.sync, probe.step], {
    count: 400,
    maxMs: 8000
  })
  const base = median(echoes) + median(syncs)
  const against = `fsync of ${probe.bytes} B ${ms(median(syncs))} + echo ${ms(median(echoes))}`
  const started = median(starteds)
  const final = median(probe.finals)
  probe.close()
  await bare.close()
  return [
    row("send → started, p50, one client", ms(started), against, (started / base).toFixed(2), "≤ 1.5"),
    row("send → final, instant agent, p50", ms(final), "the same", (final / base).toFixed(2), "≤ 3 ms")
  ]
}
