/**
 * The pages in docs/ that are made from the code.
 *
 *   node scripts/docs.mjs            writes them
 *   node scripts/docs.mjs --check    fails when what is committed is not what the code says
 */
import { spawnSync } from "node:child_process"
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { build } from "esbuild"
import { agentsPage } from "./docs/agents.mjs"
import { protocolPage } from "./docs/protocol.mjs"
import { settingsPage } from "./docs/settings.mjs"
import { terminalPage } from "./docs/terminal.mjs"

process.chdir(join(import.meta.dirname, ".."))

/** The sources as one module: bundled here, so that the pages don't depend on a build. */
const load = async () => {
  const outfile = `node_modules/.cache/docs-${process.pid}.mjs`
  mkdirSync("node_modules/.cache", { recursive: true })
  await build({
    stdin: {
      contents: `
        export { JSONSchema, SchemaAST } from "effect"
        export * as AgentSchema from "./src/cli/agents/AgentSchema.ts"
        export { passedAlways } from "./src/cli/agents/Environment.ts"
        export * as Command from "./src/cli/chat/Command.ts"
        export * as CommandLine from "./src/cli/CommandLine.ts"
        export * as Help from "./src/cli/Help.ts"
        export * as Settings from "./src/cli/Settings.ts"
        export * as Chat from "./src/protocol/Chat.ts"
        export * as Connect from "./src/protocol/Connect.ts"
        export * as ErrorMap from "./src/protocol/ErrorMap.ts"
        export * as Event from "./src/protocol/Event.ts"
        import * as AuthError from "./src/domain/AuthError.ts"
        import * as RequestError from "./src/domain/RequestError.ts"
        import * as RunError from "./src/domain/RunError.ts"
        import * as SessionError from "./src/domain/SessionError.ts"
        import * as SessionKey from "./src/domain/SessionKey.ts"
        export const Errors = [AuthError, RequestError, RunError, SessionError, SessionKey]
        export * as Frame from "./src/protocol/Frame.ts"
        export * as Method from "./src/protocol/Method.ts"`,
      resolveDir: process.cwd()
    },
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    logLevel: "warning"
  })
  try {
    return await import(pathToFileURL(outfile).href)
  } finally {
    rmSync(outfile)
  }
}

/** As `npm run format` would leave it. */
const format = (file, text) => {
  const oxfmt = spawnSync("node_modules/.bin/oxfmt", [`--stdin-filepath=${file}`], {
    input: text,
    encoding: "utf8"
  })
  if (oxfmt.status !== 0) throw new Error(`oxfmt: ${oxfmt.stderr}`)
  return oxfmt.stdout
}

const code = await load()
const pages = {
  "docs/agents.md": agentsPage(code),
  "docs/settings.md": settingsPage(code),
  "docs/protocol-reference.md": protocolPage(code),
  "docs/terminal.md": terminalPage(code)
}
const read = (file) => {
  try {
    return readFileSync(file, "utf8")
  } catch {
    return undefined
  }
}

for (const [file, text] of Object.entries(pages)) {
  const wanted = format(file, text)
  if (read(file) === wanted) continue
  if (process.argv.includes("--check")) {
    console.log(`${file} is not what the code says. Write it again: npm run docs`)
    process.exitCode = 1
  } else {
    writeFileSync(file, wanted)
    console.log(`Wrote ${file}`)
  }
}
