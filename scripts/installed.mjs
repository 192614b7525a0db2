/**
 * Exits with 0 if node_modules/ holds what package-lock.json says. npm keeps a list of what it installed
 * (node_modules/.package-lock.json, written last), whichever of its commands did it; that list is compared.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"

const root = join(import.meta.dirname, "..")
const packages = (path) => JSON.parse(readFileSync(join(root, path), "utf8")).packages

/** Is it that version, for this kind of machine? (node_modules/ may come from another one, with its binaries.) */
const fits = (installed, wanted) =>
  wanted !== undefined &&
  installed.version === wanted.version &&
  (wanted.integrity === undefined || installed.integrity === wanted.integrity) &&
  (installed.os === undefined || installed.os.includes(process.platform)) &&
  (installed.cpu === undefined || installed.cpu.includes(process.arch))

try {
  const wanted = packages("package-lock.json")
  const installed = packages("node_modules/.package-lock.json")
  const holds =
    Object.entries(installed).every(([path, entry]) => fits(entry, wanted[path])) &&
    Object.entries(wanted).every(
      ([path, entry]) => path === "" || entry.optional || entry.devOptional || path in installed
    )
  process.exitCode = holds ? 0 : 1
} catch {
  process.exitCode = 1 // nothing installed, or not by npm
}
