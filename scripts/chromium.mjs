/**
 * Prints the path of a Chromium: `CHROMIUM`, one that is installed, or the one in npm's package `@sparticuz/chromium`, unpacked
 * into node_modules/.cache. Nothing is installed on the machine, no rights are needed, and a second run needs no network.
 */
import { execFileSync, spawnSync } from "node:child_process"
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { brotliDecompressSync } from "node:zlib"

const wanted = "@sparticuz/chromium@153.0.0"
const cache = join(import.meta.dirname, "../node_modules/.cache/chromium")
const inCache = join(cache, "run")

const isThere = (path) => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const installed = () =>
  [
    process.env.CHROMIUM,
    ...["chromium", "chromium-browser", "google-chrome"].flatMap((name) =>
      (process.env.PATH ?? "").split(":").map((folder) => join(folder, name))
    ),
    inCache
  ].find((path) => path && isThere(path))

const unpackTar = (archive, into) => {
  mkdirSync(into, { recursive: true })
  execFileSync("tar", ["-x", "-C", into], { input: brotliDecompressSync(readFileSync(archive)) })
}

/** Shared libraries that are not found. */
const lacks = (binary, libraries) =>
  spawnSync("ldd", [binary], { env: { ...process.env, LD_LIBRARY_PATH: libraries }, encoding: "utf8" })
    .stdout?.split("\n")
    .filter((line) => line.includes("not found")) ?? []

const get = () => {
  mkdirSync(join(cache, ".."), { recursive: true })
  const staged = mkdtempSync(join(cache, "../.chromium."))
  try {
    execFileSync("npm", ["pack", "--silent", wanted, "--pack-destination", staged], { stdio: "ignore" })
    const archive = readdirSync(staged).find((name) => name.endsWith(".tgz"))
    execFileSync("tar", ["-xzf", archive], { cwd: staged })
    const bin = join(staged, "package/bin")
    const made = join(staged, "made")
    mkdirSync(made)
    writeFileSync(join(made, "chrome"), brotliDecompressSync(readFileSync(join(bin, "chromium.br"))))
    chmodSync(join(made, "chrome"), 0o755)
    unpackTar(join(bin, "swiftshader.tar.br"), made)
    unpackTar(join(bin, "al2023.tar.br"), join(made, "libraries"))
    unpackTar(join(bin, "fonts.tar.br"), join(made, "fonts"))
    const libraries = readdirSync(join(made, "libraries"), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.includes(".so"))
      .map((entry) => entry.parentPath.slice(made.length + 1))
    const folders = [...new Set(libraries)]
    // Those of the machine, where it has them all.
    const own = lacks(join(made, "chrome"), "").length === 0
    const missing = own
      ? []
      : lacks(join(made, "chrome"), folders.map((folder) => join(made, folder)).join(":"))
    if (missing.length > 0)
      throw new Error(`libraries are missing: ${missing.join(", ").replaceAll(/\s+/g, " ")}`)
    const path = own ? "" : `LD_LIBRARY_PATH=${folders.map((folder) => `"$here/${folder}"`).join(":")} `
    writeFileSync(
      join(made, "run"),
      `#!/usr/bin/env bash\nhere=$(cd "$(dirname "\${BASH_SOURCE[0]}")" && pwd)\n${path}exec "$here/chrome" "$@"\n`
    )
    chmodSync(join(made, "run"), 0o755)
    // Another one may have been as far at the same time: then that one's does as well.
    if (!existsSync(cache)) renameSync(made, cache)
  } finally {
    rmSync(staged, { recursive: true, force: true })
  }
}

try {
  if (installed() === undefined) get()
  console.log(installed())
} catch (error) {
  console.error(
    `No Chromium for the tests: ${error.message.split("\n")[0]}. Install chromium, or set CHROMIUM.`
  )
  process.exit(1)
}
