/** How the bin is bundled; shared by the build, by `npm run dev` and by the tests of the program. */
import { deepImports } from "./deep-imports.mjs"

/**
 * One file instead of some 800 modules: an unbundled start costs 1.3 s, a bundled one 0.3 s. A command that is imported
 * lazily (`import("./cli/serve.js")`) becomes a chunk of its own in dist/bin/, which is read only when it is needed.
 *
 * @type {import("esbuild").BuildOptions}
 */
export const bundle = {
  plugins: [deepImports],
  entryPoints: ["src/main.ts"],
  outdir: "dist",
  chunkNames: "bin/[name]-[hash]",
  bundle: true,
  splitting: true,
  platform: "node",
  format: "esm",
  target: "node20.19",
  minifySyntax: true, // names stay, so that stack traces can be read
  sourcemap: true,
  sourcesContent: false,
  legalComments: "linked",
  // Some dependencies are CommonJS and call require() for Node's own modules, which an ES module lacks.
  banner: {
    js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);'
  },
  // Optional native speed-ups of ws: it tries them and does without.
  external: ["bufferutil", "utf-8-validate"],
  logLevel: "warning"
}
