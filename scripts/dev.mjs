/**
 * `npm run dev -- [flags]`: bundles on every change (about 0.3 s, types are left to the editor) and restarts `colloquy serve [flags]`.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { rmSync } from "node:fs"
import { join } from "node:path"
import { context } from "esbuild"
import { bundle } from "./bundle.mjs"

process.chdir(join(import.meta.dirname, ".."))
rmSync("dist/.stamp", { force: true }) // dist/ is not a whole build any more: scripts/start shall make it again

let gateway

const stop = async () => {
  if (gateway === undefined || gateway.exitCode !== null || gateway.signalCode !== null) return
  const ended = once(gateway, "exit")
  gateway.kill("SIGTERM")
  const kill = setTimeout(() => gateway.kill("SIGKILL"), 10_000) // a gateway that does not stop is a bug, but not the end of the day
  await ended
  clearTimeout(kill)
}

const restart = async () => {
  await stop()
  gateway = spawn(
    process.execPath,
    ["--enable-source-maps", "dist/main.js", "serve", ...process.argv.slice(2)],
    { stdio: "inherit" }
  )
  gateway.on("exit", (code) => {
    if (code) console.error(`[dev] the gateway ended with code ${code}; waiting for a change`)
  })
}

const watcher = await context({
  ...bundle,
  logLevel: "info",
  plugins: [
    ...bundle.plugins,
    {
      name: "restart",
      setup: (build) => build.onEnd((result) => (result.errors.length === 0 ? restart() : undefined))
    }
  ]
})

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, async () => {
    await watcher.dispose()
    await stop()
  })
}
await watcher.watch()
