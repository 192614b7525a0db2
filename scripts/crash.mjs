/**
 * The crash test: `node scripts/crash.mjs --help`. Bundles the gateway that is killed (a bundled one starts in a quarter of
 * the time) and the driver of test/crash, and runs the driver.
 */
import { build } from "esbuild"
import { mkdtempSync, rmSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { bundle } from "./bundle.mjs"

const root = join(import.meta.dirname, "..")
// Beside the packages that the bundle may look for.
const outdir = mkdtempSync(join(root, "node_modules/.colloquy-crash-"))
// However this ends, nothing of it is left: the driver ends its gateways in the same way.
process.once("exit", () => rmSync(outdir, { recursive: true, force: true }))
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => process.exit(1))

await build({
  ...bundle,
  absWorkingDir: root,
  entryPoints: ["test/crash/Gateway.ts", "test/crash/Driver.ts"],
  outdir,
  conditions: ["colloquy-source"],
  sourcemap: false
})
const driver = await import(pathToFileURL(join(outdir, "Driver.js")).href)
process.exitCode = await driver.main(process.argv.slice(2), join(outdir, "Gateway.js"))
