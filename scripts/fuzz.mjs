/**
 * A long fuzz: `npm run fuzz -- --help`. The tests are those of every run; here they are given more to do.
 */
import { spawn } from "node:child_process"
import { join } from "node:path"
import { parseArgs } from "node:util"

const help = `npm run fuzz -- [options]
  --frames N     mutated frames (1000000)
  --bytes N      connections of random WebSocket bytes (2000)
  --programs N   random programs of two principals (500)
  --seed TEXT    replays the frames and bytes of the run that printed it`

const text = { type: "string" }
const { values } = parseArgs({
  options: { frames: text, bytes: text, programs: text, seed: text, help: { type: "boolean" } }
})
if (values.help === true) {
  console.log(help)
  process.exit(0)
}

const root = join(import.meta.dirname, "..")
const tests = ["test/frames/Mutated.test.ts", "test/frames/Bytes.test.ts", "test/property/Access.test.ts"]
spawn(process.execPath, [join(root, "node_modules/vitest/vitest.mjs"), "run", "--reporter=dot", ...tests], {
  cwd: root,
  stdio: "inherit",
  env: {
    ...process.env,
    COLLOQUY_TEST_FRAMES: values.frames ?? "1000000",
    COLLOQUY_TEST_BYTES: values.bytes ?? "2000",
    COLLOQUY_TEST_ACCESS: values.programs ?? "500",
    ...(values.seed === undefined ? {} : { COLLOQUY_TEST_SEED: values.seed })
  }
}).on("exit", (code) => {
  process.exitCode = code ?? 1
})
