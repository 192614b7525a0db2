import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "@effect/vitest"

const root = join(import.meta.dirname, "../..")
const read = (path: string): string => readFileSync(join(root, path), "utf8")

it.each([
  ["README.md", "test/examples/OwnAgent.ts"],
  ["docs/own-agents.md", "test/examples/SupportAgent.ts"],
  ["docs/own-agents.md", "test/examples/SupportAgent.test.ts"],
  ["docs/testing.md", "test/examples/EchoAgent.test.ts"],
  ["docs/testing.md", "test/examples/Scripted.test.ts"]
])("%s shows %s as it is", (page, example) => {
  expect(read(page)).toContain(`\`\`\`ts\n${read(example)}\`\`\``)
})
