import { Client } from "../Client.mjs"
import { fsyncsPerSecond } from "../Disk.mjs"
import { clientShare, instant, key, send, shareNote } from "../Load.mjs"
import { token } from "../Processes.mjs"
import { now, row } from "../Stats.mjs"

export const name = "throughput"
export const about = "sends/s and runs/s of 64 clients with a session each, against bare fsyncs/s"

const width = 64

// Clients that only send: 64 that each see all events would measure the fan-out. One more sees the ends of all runs.
const connectAll = async (gateway) => {
  const senders = []
  for (let at = 0; at < width; at++)
    senders.push(await Client.connect(gateway.url, token, { scopes: ["operator.write"] }))
  return { senders, observer: await Client.connect(gateway.url, token) }
}

// Each sends its next message when the last one has got as far as `until` says. Gives the rate in 1/s.
const drive = async ({ observer, senders }, until, forMs) => {
  const finals = []
  let done = 0
  let refused = 0
  const begun = now()
  const { share } = await clientShare(() =>
    Promise.all(
      senders.map(async (client, at) => {
        while (now() - begun < forMs) {
          const idempotencyKey = key()
          const final = observer.terminal(idempotencyKey)
          const reply = await send(client, instant, `many-${at}`, idempotencyKey)
          if (!reply.ok) {
            observer.forget(idempotencyKey)
            refused++
            continue
          }
          finals.push(final)
          if (until === "final") await final
          done++
        }
      })
    )
  )
  const rate = done / ((now() - begun) / 1000)
  await Promise.all(finals)
  return { rate, share, refused }
}

// Sends/s, runs/s and bare fsyncs/s of one gateway.
export const measure = async (gateway, stateDir, forMs) => {
  const clients = await connectAll(gateway)
  await drive(clients, "final", 500)
  const before = await fsyncsPerSecond(stateDir, 300, 500)
  const sends = await drive(clients, "started", forMs)
  const runs = await drive(clients, "final", forMs)
  const after = await fsyncsPerSecond(stateDir, 300, 500)
  for (const client of [...clients.senders, clients.observer]) client.close()
  return { sends, runs, fsyncs: (before + after) / 2 }
}

const note = ({ refused, share }) => `${refused > 0 ? ` (${refused} refused)` : ""}${shareNote(share)}`

export const run = async ({ gateway, stateDir }) => {
  const { fsyncs, runs, sends } = await measure(gateway, stateDir, 4000)
  const against = `${fsyncs.toFixed(0)} bare fsyncs/s`
  const ratio = ({ rate }) => (rate / fsyncs).toFixed(2)
  return [
    row(
      `sends/s, ${width} clients${note(sends)}`,
      `${sends.rate.toFixed(0)}/s`,
      against,
      ratio(sends),
      "> 1"
    ),
    row(
      `durable runs/s to final, ${width} clients${note(runs)}`,
      `${runs.rate.toFixed(0)}/s`,
      against,
      ratio(runs),
      "≥ 2000/s"
    )
  ]
}
