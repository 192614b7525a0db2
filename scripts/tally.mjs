/**
 * The last line of scripts/test: `N passed, N failed`, and the exit code that goes with it.
 *
 *   node scripts/tally.mjs REPORTS_DIR [failed step ...]
 *
 * Counts the tests of vitest's JSON report and the promises of the crash test's. Whatever else went wrong counts as one
 * failure each: a step (build, check), a test file that could not be loaded, an error outside of any test, a report that
 * is missing, a run without tests.
 */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"

const [reports, ...failedSteps] = process.argv.slice(2)
const failures = failedSteps.map((step) => `step failed: ${step}`)
let passed = 0
let failed = 0
let skipped = 0

const path = join(reports, "vitest.json")
if (existsSync(path)) {
  const report = JSON.parse(readFileSync(path, "utf8"))
  passed = report.numPassedTests
  failed = report.numFailedTests
  skipped = report.numPendingTests + report.numTodoTests
  for (const file of report.testResults) {
    // A file that dies before its tests are known has no failed test to show for it.
    if (file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed")) {
      failures.push(`test file failed: ${file.name}`)
    }
  }
  if (passed + failed === 0) failures.push("no test was run")
} else {
  failures.push("vitest wrote no report")
}
if (existsSync(join(reports, "vitest-failed")) && failed + failures.length === failedSteps.length) {
  failures.push("vitest failed outside of the tests")
}

const crash = join(reports, "crash.json")
if (existsSync(crash)) {
  const report = JSON.parse(readFileSync(crash, "utf8"))
  passed += report.passed.length
  failed += report.failed.length
  for (const name of report.failed) console.log(`crash test failed: ${name} (seed ${report.seed})`)
} else if (existsSync(join(reports, "crash-failed"))) failures.push("the crash test wrote no report")

for (const failure of failures) console.log(failure)
failed += failures.length
console.log(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`)
process.exitCode = failed > 0 ? 1 : 0
