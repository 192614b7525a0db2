import { Client } from "../Client.mjs"
import { hanging, inTurns, keepAlive, key, send } from "../Load.mjs"
import { token } from "../Processes.mjs"
import { median, ms, now, quantile, row } from "../Stats.mjs"

export const name = "abort"
export const about = "abort → aborted with 1,000 runs alive"

const alive = 1000

const abortOnce = async (client) => {
  const idempotencyKey = key()
  const first = new Promise((resolve) => {
    client.onEvent = (frame) => {
      if (frame.event === "chat" && frame.payload.runId === idempotencyKey) resolve()
    }
  })
  await send(client, hanging, "abort", idempotencyKey)
  await first
  const ended = client.terminal(idempotencyKey)
  const before = now()
  client.request("chat.abort", { sessionKey: "abort", runId: idempotencyKey })
  await ended
  return now() - before
}

export const run = async ({ gateway }) => {
  const client = await Client.connect(gateway.url, token)
  await keepAlive(client, alive)
  const samples = []
  for (let index = 0; index < 200; index++) samples.push(await abortOnce(client))
  await inTurns(alive, 50, (at) => client.request("chat.abort", { sessionKey: `alive-${at}` }))
  client.close()
  return [
    row(`abort → aborted, p50, ${alive} runs alive`, ms(median(samples)), "", "", ""),
    row(`abort → aborted, p99, ${alive} runs alive`, ms(quantile(samples, 0.99)), "", "", "≤ 2 ms")
  ]
}
