/** `check:client`: the client as a browser gets it: without anything of Node, and how large it is. */
import { gzipSync } from "node:zlib"
import { join } from "node:path"
import { build } from "esbuild"

const root = join(import.meta.dirname, "../..")
/** Bytes, compressed with gzip: what a page with the client alone has to load. */
const budget = 140 * 1024

const size = async (entry) => {
  const { outputFiles } = await build({
    entryPoints: [join(root, entry)],
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    // A built-in module of Node can't be resolved then, and the build fails.
    platform: "browser",
    // Effect's Schema can make arbitrary values with it; the client makes none (docs/client.md).
    alias: { "fast-check": join(root, "scripts/web-empty.mjs") },
    logLevel: "error",
    logOverride: { "import-is-undefined": "silent" }
  })
  return gzipSync(outputFiles[0].contents, { level: 9 }).length
}

let failed = false
for (const entry of ["src/client/Client.ts", "src/client/Promises.ts"]) {
  const bytes = await size(entry)
  console.log(`${entry}: ${(bytes / 1024).toFixed(0)} KB for browsers, compressed`)
  if (bytes > budget) {
    failed = true
    console.error(`${entry} is over ${budget / 1024} KB.`)
  }
}
process.exit(failed ? 1 : 0)
