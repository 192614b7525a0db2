/**
 * `npm audit` of what is installed with the package: findings of `high` or `critical` fail. A registry that can't be reached, or
 * that has no list of advisories, is no finding: it is said, and the check passes, since everything works offline.
 */
import { spawnSync } from "node:child_process"
import { join } from "node:path"

process.chdir(join(import.meta.dirname, "../.."))
const failing = ["high", "critical"]

const { stdout } = spawnSync(
  "npm",
  // Offline it is not to take minutes of trying again.
  ["audit", "--omit=dev", "--json", "--loglevel=silent", "--fetch-retries=0", "--fetch-timeout=20000"],
  { encoding: "utf8", timeout: 60_000 }
)
let report
try {
  report = JSON.parse(stdout)
} catch {
  report = {}
}
if (report.vulnerabilities === undefined) {
  console.log(`Not checked: the registry gives no advisories (${report.message ?? "no answer"}).`)
} else {
  const found = Object.values(report.vulnerabilities).filter(({ severity }) => failing.includes(severity))
  for (const { name, range, severity, via } of found) {
    const what = via.map((cause) => (typeof cause === "string" ? cause : cause.title)).join("; ")
    console.error(`${severity}: ${name} ${range}: ${what}`)
  }
  process.exitCode = found.length === 0 ? 0 : 1
}
