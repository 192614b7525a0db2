/**
 * What must not be in the repository: paths of one person's machine, addresses of a package registry, secrets, and scripts
 * that cannot be run; and that each dependency has its reason. Reads the committed files and those that would be (`git ls-files`).
 */
import { execFileSync } from "node:child_process"
import { lstatSync, readFileSync } from "node:fs"
import { join } from "node:path"

process.chdir(join(import.meta.dirname, "../.."))
const files = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
  encoding: "utf8"
})
  .split("\0")
  .filter((file) => file !== "" && lstatSync(file, { throwIfNoEntry: false })?.isFile())

/** [which files, what they must not hold, why] */
const rules = [
  [/./, /(?<![\w.:/-])\/(work|root|home\/\w+|Users\/\w+)\//, "a path of one machine"],
  [/\.md$/, /(?<![\w.:/-])\/tmp\//, "a path of one machine: say where in words, or use a relative path"],
  [
    /^package-lock\.json$/,
    /"resolved":/,
    "where one machine got its packages: .npmrc keeps these keys out, so run `npm install` in the repository"
  ],
  [/./, /\bregistry\.(npmjs|yarnpkg|npmmirror)\b/, "the address of a package registry"],
  [/./, /-----BEGIN [A-Z ]*PRIVATE KEY-----/, "a private key"],
  [/./, /\b(ghp_|gho_|github_pat_|npm_|xox[bp]-|AKIA|sk-(ant-|proj-)?)[A-Za-z0-9_-]{20,}/, "a secret"],
  [/./, /^(<{7}|>{7}) /m, "a conflict that was not resolved"]
]
/** Run by people and by CI, so they need the run bit. */
const executables = /^(scripts\/(caddy|debian|nginx|setup|start|test)|\.ci\/run)$/

const self = "scripts/checks/repository.mjs" // names what it looks for
let found = 0
const report = (message) => {
  found += 1
  console.log(message)
}
for (const file of files) {
  const size = lstatSync(file).size
  if (size > 1024 * 1024) report(`${file}: ${size} bytes; the repository is for text`)
  if (executables.test(file) && (lstatSync(file).mode & 0o100) === 0)
    report(`${file}: not executable (chmod +x)`)
  if (file === self) continue
  const text = readFileSync(file, "utf8")
  for (const [which, what, why] of rules) {
    const match = which.test(file) ? what.exec(text) : null
    if (match)
      report(`${file}:${text.slice(0, match.index).split("\n").length}: ${match[0].trim()} is ${why}`)
  }
}

const { dependencies, devDependencies } = JSON.parse(readFileSync("package.json", "utf8"))
const wanted = [...Object.keys(dependencies), ...Object.keys(devDependencies)]
const reasons = readFileSync("docs/dependencies.md", "utf8")
const named = [...reasons.matchAll(/^\|([^|]*)\|/gm)].flatMap(([, cell]) =>
  [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name)
)
for (const name of wanted) if (!named.includes(name)) report(`docs/dependencies.md: no reason for ${name}`)
for (const name of named)
  if (!wanted.includes(name)) report(`docs/dependencies.md: ${name} is not in package.json`)

console.log(`${files.length} files, ${found} problems.`)
process.exitCode = found === 0 ? 0 : 1
