import { Client } from "../Client.mjs"
import { clientShare, key, send, shareNote } from "../Load.mjs"
import { openFloor, token } from "../Processes.mjs"
import { now, row } from "../Stats.mjs"

export const name = "fanout"
export const about =
  "events/s of 200 runs to 500 clients against a bare broadcast, and the bytes of one answer"

const count = 500
const runs = 200

const floorRate = async (floor) => {
  const sockets = await Promise.all(Array.from({ length: count }, () => openFloor(floor.url)))
  let received = 0
  const all = new Promise((done) => {
    for (const socket of sockets) socket.on("message", () => ++received === count * runs && done())
  })
  const begun = now()
  sockets[0].send(`broadcast ${runs} 300`)
  await all
  const rate = received / ((now() - begun) / 1000)
  for (const socket of sockets) socket.terminate()
  return rate
}

const ourRate = async (clients) => {
  let events = 0
  let finals = 0
  const done = new Promise((resolve) => {
    for (const client of clients) {
      client.onEvent = (frame) => {
        events += 1
        if (frame.event === "chat" && frame.payload.state === "final" && ++finals === count * runs) resolve()
      }
    }
  })
  const begun = now()
  const { share } = await clientShare(async () => {
    const sends = Array.from({ length: runs }, (_, at) =>
      send(clients[at % count], "{{n=20 ms=0 size=12}}", `fan-${at % 50}`)
    )
    await Promise.all(sends)
    await done
  })
  return { rate: events / ((now() - begun) / 1000), share }
}

const bytesOfAnswer = async ([one, other]) => {
  const before = other.bytes
  const idempotencyKey = key()
  const final = other.terminal(idempotencyKey)
  await send(one, "{{n=500 ms=5 size=12}}", "bytes", idempotencyKey)
  await final
  return other.bytes - before
}

export const run = async ({ floor, gateway }) => {
  const bare = await floorRate(floor)
  const clients = await Promise.all(Array.from({ length: count }, () => Client.connect(gateway.url, token)))
  const ours = await ourRate(clients)
  const bytes = await bytesOfAnswer(clients)
  for (const client of clients) client.close()
  return [
    row(
      `fan-out, ${runs} runs to ${count} clients${shareNote(ours.share)}`,
      `${ours.rate.toFixed(0)} events/s`,
      `bare ${bare.toFixed(0)}/s`,
      (ours.rate / bare).toFixed(2),
      "≥ 0.9"
    ),
    row(
      "bytes to a v4 client, 6 KB answer over 2.5 s",
      `${(bytes / 1000).toFixed(0)} KB`,
      "R1 1,700 KB",
      (bytes / 1.7e6).toFixed(3),
      "≤ 0.05"
    )
  ]
}
