/**
 * Builds dist/: the library module by module (tsc: JavaScript, types, maps), then the bin as one bundle over it (esbuild), and
 * the page into dist/web (Vite).
 *
 *   node scripts/build.mjs              always
 *   node scripts/build.mjs --if-stale   only if dist/ is not what these sources make
 */
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"

process.chdir(join(import.meta.dirname, ".."))

/** Changes whenever something does that the build reads. Contents, not times: a checkout or a restored cache has any time. */
const fingerprint = () => {
  const hash = createHash("sha256")
  const sources = readdirSync("src", { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted()
  const others = ["package.json", "package-lock.json", "tsconfig.json", "tsconfig.build.json"]
  for (const file of [
    ...sources,
    ...others,
    "scripts/build.mjs",
    "scripts/bundle.mjs",
    "scripts/deep-imports.mjs",
    "scripts/web.mjs",
    "scripts/web-empty.mjs"
  ]) {
    hash.update(`${file}\0`).update(readFileSync(file)).update("\0")
  }
  return hash.digest("hex")
}

/** Written last, so that a build which broke off is stale. */
const stamp = "dist/.stamp"
const isFresh = (wanted) => {
  try {
    return readFileSync(stamp, "utf8") === wanted
  } catch {
    return false
  }
}

const wanted = fingerprint()
if (!process.argv.includes("--if-stale") || !isFresh(wanted)) {
  const began = performance.now()
  rmSync("dist", { recursive: true, force: true })

  const tsc = spawnSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json"], {
    stdio: "inherit"
  })
  if (tsc.status !== 0) {
    console.error("The build stopped: the types above do not hold.")
    process.exit(1)
  }

  // Loaded only now, so that an up-to-date start does not pay for it.
  const [{ build }, { bundle }, { buildWeb }] = await Promise.all([
    import("esbuild"),
    import("./bundle.mjs"),
    import("./web.mjs")
  ])
  await build(bundle).catch(() => {
    console.error("The build stopped: the bin could not be bundled.") // esbuild has said why
    process.exit(1)
  })
  if (!readFileSync("dist/main.js", "utf8").startsWith("#!")) {
    console.error(
      "The build stopped: src/main.ts must begin with `#!/usr/bin/env node`, since it is the bin."
    )
    process.exit(1)
  }
  chmodSync("dist/main.js", 0o755)

  const page = await buildWeb().catch((error) => {
    console.error(`The build stopped: the page could not be built. ${error.message}`)
    process.exit(1)
  })

  writeFileSync(stamp, wanted)
  console.log(
    `Built dist/ in ${((performance.now() - began) / 1000).toFixed(1)} s; the page loads ${Math.ceil(page / 1024)} KB of script, compressed.`
  )
}
