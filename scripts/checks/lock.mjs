/**
 * package-lock.json must name every optional package, or `npm ci` refuses it ("Missing: … from lock file").
 *
 *   node scripts/checks/lock.mjs          says what is missing
 *   node scripts/checks/lock.mjs --fix    adds it
 *
 * Optional packages are the binaries for other platforms (esbuild, oxlint, …). npm leaves an entry out when the registry
 * that it asks does not have that one, and then the file works nowhere. What an entry needs can be told from the parent:
 * the exact version from its optionalDependencies, the platform from the name.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"

process.chdir(join(import.meta.dirname, "../.."))
const lock = JSON.parse(readFileSync("package-lock.json", "utf8"))

const oses = [
  "aix",
  "android",
  "darwin",
  "freebsd",
  "linux",
  "netbsd",
  "openbsd",
  "openharmony",
  "sunos",
  "win32"
]
const cpus = ["arm64", "arm", "ia32", "loong64", "mips64el", "ppc64", "riscv64", "s390x", "x64"]
const platformOf = (name) => {
  const words = name.split(/[/-]/)
  return {
    os: oses.filter((os) => words.includes(os)),
    cpu: cpus.filter((cpu) => words.includes(cpu)),
    libc: [
      ...(words.includes("gnu") && words.includes("linux") ? ["glibc"] : []),
      ...(words.includes("musl") ? ["musl"] : [])
    ]
  }
}

const missing = {}
for (const [path, { optionalDependencies = {}, dev }] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(optionalDependencies)) {
    const { os, cpu, libc } = platformOf(name)
    const known = lock.packages[`${path}/node_modules/${name}`] ?? lock.packages[`node_modules/${name}`]
    // Only binaries: another optional package (fsevents, …) is npm's own business.
    if (known !== undefined || os.length === 0 || !/^\d/.test(version)) continue
    missing[`node_modules/${name}`] = {
      version,
      ...(cpu.length > 0 && { cpu }),
      ...(dev && { dev }),
      ...(libc.length > 0 && { libc }),
      optional: true,
      os
    }
  }
}

const names = Object.keys(missing)
if (names.length > 0 && process.argv.includes("--fix")) {
  const sorted = Object.entries({ ...lock.packages, ...missing }).toSorted(([a], [b]) =>
    a.localeCompare(b, "en")
  )
  writeFileSync(
    "package-lock.json",
    `${JSON.stringify({ ...lock, packages: Object.fromEntries(sorted) }, null, 2)}\n`
  )
  console.log(`Added ${names.length} optional packages to package-lock.json.`)
} else if (names.length > 0) {
  console.log(
    `package-lock.json lacks ${names.length} optional packages, so \`npm ci\` refuses it. Run: npm run lock:fix`
  )
  console.log(names.map((name) => `  ${name.slice("node_modules/".length)}`).join("\n"))
  process.exitCode = 1
}
