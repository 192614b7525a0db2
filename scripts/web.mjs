/** How the page (src/web) is built; shared by the build and by `npm run dev:web`. */
import { readFileSync } from "node:fs"
import { readdir, readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import { brotliCompress, constants, gzip } from "node:zlib"

const { version } = JSON.parse(readFileSync(join(import.meta.dirname, "../package.json"), "utf8"))

/** What a browser may have to load before the page is usable: scripts, compressed with gzip. */
export const firstLoadBudget = 200 * 1024

/** @type {import("vite").InlineConfig} */
export const web = {
  configFile: false,
  root: join(import.meta.dirname, "../src/web"),
  // Relative, since the page is served under any path prefix.
  base: "./",
  publicDir: false,
  resolve: {
    alias: {
      react: "preact/compat",
      "react-dom": "preact/compat",
      "react/jsx-runtime": "preact/jsx-runtime",
      // Effect's Schema can make arbitrary values with it; the page makes none.
      "fast-check": join(import.meta.dirname, "web-empty.mjs")
    }
  },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  define: { __COLLOQUY_VERSION__: JSON.stringify(version) },
  build: {
    outDir: join(import.meta.dirname, "../dist/web"),
    emptyOutDir: true,
    target: ["chrome111", "firefox114", "safari16.4"],
    // The policy of the page allows nothing inline.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    manifest: true,
    reportCompressedSize: false,
    rolldownOptions: {
      onLog: (level, log, handle) => {
        // Directives of frameworks that the page does without, and fast-check, which is left out above.
        if (log.code === "MODULE_LEVEL_DIRECTIVE" || log.code === "IMPORT_IS_UNDEFINED") return
        handle(level, log)
      }
    }
  },
  logLevel: "warn"
}

/** Bytes of the scripts that index.html loads, and of what they import at once, compressed with gzip. */
const firstLoad = async (directory) => {
  const manifest = JSON.parse(await readFile(join(directory, ".vite/manifest.json"), "utf8"))
  const wanted = new Set()
  const visit = (name) => {
    if (wanted.has(name)) return
    wanted.add(name)
    for (const next of manifest[name].imports ?? []) visit(next)
  }
  visit("index.html")
  let bytes = 0
  for (const name of wanted) {
    bytes += (await promisify(gzip)(await readFile(join(directory, manifest[name].file)), { level: 9 }))
      .length
  }
  return bytes
}

/**
 * Builds dist/web: hashed names, `.gz` and `.br` beside each file that gets smaller by it.
 * Answers how many bytes the first load is; throws when that is more than may be.
 */
export const buildWeb = async () => {
  const { build } = await import("vite")
  await build(web)
  const directory = web.build.outDir
  const bytes = await firstLoad(directory)
  if (bytes > firstLoadBudget) {
    throw new Error(
      `the page's scripts are ${Math.ceil(bytes / 1024)} KB compressed, more than ${firstLoadBudget / 1024} KB: load less at first`
    )
  }
  await rm(join(directory, ".vite"), { recursive: true })
  const files = (await readdir(directory, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && /\.(html|js|css|svg|json)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
  await Promise.all(
    files.map(async (file) => {
      const content = await readFile(file)
      const [gz, br] = await Promise.all([
        promisify(gzip)(content, { level: 9 }),
        promisify(brotliCompress)(content, {
          params: { [constants.BROTLI_PARAM_SIZE_HINT]: content.length }
        })
      ])
      if (gz.length < content.length) await writeFile(`${file}.gz`, gz)
      if (br.length < content.length) await writeFile(`${file}.br`, br)
    })
  )
  return bytes
}
