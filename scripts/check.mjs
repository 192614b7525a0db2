/**
 * `npm run check [-- name ...]`: every `check:*` script of package.json, two at a time, one line each; then what the failed
 * ones had to say. All of them run whatever fails, so that one run shows everything.
 */
import { exec } from "node:child_process"
import { readFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import { delimiter, join } from "node:path"

process.chdir(join(import.meta.dirname, ".."))
const { scripts } = JSON.parse(readFileSync("package.json", "utf8"))
const only = process.argv.slice(2)
const checks = Object.keys(scripts)
  .filter((script) => script.startsWith("check:"))
  .map((script) => script.slice("check:".length))
const unknown = only.filter((name) => !checks.includes(name))
if (unknown.length > 0) {
  console.error(`No such check: ${unknown.join(", ")}. There are: ${checks.join(", ")}.`)
  process.exit(1)
}

// Straight to the tools: `npm run` for each would cost half a second more.
const env = {
  ...process.env,
  PATH: join(process.cwd(), "node_modules/.bin") + delimiter + process.env.PATH,
  ...(process.stdout.isTTY && { FORCE_COLOR: "1" })
}
const run = (name) =>
  new Promise((resolve) => {
    const began = performance.now()
    const child = exec(
      scripts[`check:${name}`],
      { env, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        const seconds = ((performance.now() - began) / 1000).toFixed(1)
        const output = `${stdout}${stderr}`.trim()
        // A check that could not be made passes, but not in silence.
        const [unchecked = ""] = /^Not checked: .*/m.exec(output) ?? []
        console.log(
          `${error ? "FAILED" : "ok    "}  ${name.padEnd(12)} ${seconds.padStart(5)} s  ${unchecked}`.trimEnd()
        )
        resolve({ name, ok: !error, output })
      }
    )
    child.stdin.end()
  })

const queue = only.length > 0 ? only : checks
const results = []
const worker = async () => {
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) results.push(await run(name))
}
await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, worker))

const failures = results.filter((result) => !result.ok)
for (const { name, output } of failures) console.log(`\n--- ${name}: npm run check:${name}\n${output}`)
console.log(
  failures.length === 0 ? "\nAll checks hold." : `\n${failures.length} of ${results.length} checks failed.`
)
process.exitCode = failures.length === 0 ? 0 : 1
