import { alternate, writeSessions } from "../Load.mjs"
import { withGateway } from "../Processes.mjs"
import { median, ms, row } from "../Stats.mjs"
import { openProbe } from "./latency.mjs"
import { measure } from "./throughput.mjs"

export const name = "sessions"
export const about = "latency and throughput with 10 and with 100,000 sessions in sessions.json"

export const run = () =>
  withGateway(writeSessions(10), (few, fewDir) =>
    withGateway(writeSessions(100_000), async (many, manyDir) => {
      const probes = [await openProbe(few, fewDir), await openProbe(many, manyDir)]
      const [fast, slow] = (
        await alternate(
          probes.map(({ step }) => step),
          { count: 200, maxMs: 8000 }
        )
      ).map(median)
      for (const probe of probes) probe.close()
      // In turn here too.
      const rounds = []
      for (let round = 0; round < 3; round++)
        rounds.push([await measure(few, fewDir, 1000), await measure(many, manyDir, 1000)])
      const compared = (what, unit) => {
        const [ours, theirs] = [0, 1].map((at) => median(rounds.map((round) => round[at][what].rate)))
        return row(
          `${unit}, 100,000 sessions`,
          `${theirs.toFixed(0)}/s`,
          `10 sessions: ${ours.toFixed(0)}/s`,
          (theirs / ours).toFixed(2),
          "1"
        )
      }
      return [
        row(
          "send → started, 100,000 sessions, p50",
          ms(slow),
          `10 sessions: ${ms(fast)}`,
          (slow / fast).toFixed(2),
          "1"
        ),
        compared("sends", "sends/s, 64 clients"),
        compared("runs", "durable runs/s to final, 64 clients")
      ]
    })
  )
