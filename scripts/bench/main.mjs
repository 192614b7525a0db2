// Measures the built gateway (dist/main.js) beside its floor, in one run on one machine, and prints ratios: absolute
// figures move with the machine. `node scripts/bench/main.mjs --help` says which parts there are.
import { startFloor, startGateway, withDirectory } from "./Processes.mjs"
import { now, table } from "./Stats.mjs"
import * as abort from "./parts/abort.mjs"
import * as connect from "./parts/connect.mjs"
import * as fanout from "./parts/fanout.mjs"
import * as history from "./parts/history.mjs"
import * as latency from "./parts/latency.mjs"
import * as sessions from "./parts/sessions.mjs"
import * as start from "./parts/start.mjs"
import * as throughput from "./parts/throughput.mjs"

const parts = [start, connect, latency, throughput, sessions, history, abort, fanout]

const help = `node scripts/bench/main.mjs [--cpu-prof=DIR] [part …]

Without parts: all of them.
--cpu-prof=DIR   writes a CPU profile of the gateway into DIR (parts that start gateways of their own don't)
COLLOQUY_BENCH_BIN   another gateway than dist/main.js
COLLOQUY_BENCH_LOG   shows what the gateway logs

${parts.map(({ about, name }) => `${name.padEnd(12)}${about}`).join("\n")}`

const args = process.argv.slice(2)
if (args.includes("--help") || args.includes("-h")) {
  console.log(help)
  process.exit(0)
}
const profileDir = args.find((arg) => arg.startsWith("--cpu-prof="))?.slice("--cpu-prof=".length)
const wanted = args.filter((arg) => !arg.startsWith("-"))
const unknown = wanted.filter((arg) => !parts.some(({ name }) => name === arg))
if (unknown.length > 0) {
  console.error(`no such part: ${unknown.join(", ")}\n\n${help}`)
  process.exit(2)
}

const rows = []
await withDirectory(async (stateDir) => {
  const floor = await startFloor()
  const gateway = await startGateway(stateDir, { profileDir })
  try {
    for (const part of parts) {
      if (wanted.length > 0 && !wanted.includes(part.name)) continue
      const begun = now()
      rows.push(...(await part.run({ gateway, floor, stateDir })))
      console.error(`${part.name.padEnd(12)}${((now() - begun) / 1000).toFixed(1)} s`)
    }
  } finally {
    await gateway.stop()
    floor.stop()
  }
})
console.log(table(rows))
process.exit(0)
