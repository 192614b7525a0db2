import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "@effect/vitest"

const root = join(import.meta.dirname, "../..")
const read = (path: string): string => readFileSync(join(root, path), "utf8")

it.each([
  ["README.md", "test/examples/OwnAgent.ts"],
  ["docs/own-agents.md", "test/examples/SupportAgent.ts"],
  ["docs/own-agents.md", "test/examples/SupportAgent.test.ts"],
  ["docs/client.md", "test/examples/AskOnce.ts"],
  ["docs/client.md", "test/examples/AskWithPromises.ts"],
  ["docs/testing.md", "test/examples/EchoAgent.test.ts"],
  ["docs/testing.md", "test/examples/Scripted.test.ts"]
])("%s shows %s as it is", (page, example) => {
  expect(read(page)).toContain(`\`\`\`ts\n${read(example)}\`\`\``)
})

/** The cells of each row of a page's tables. */
const rowsOf = (page: string): ReadonlyArray<ReadonlyArray<string>> =>
  read(page)
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .map((line) =>
      line
        .slice(1, -1)
        .split("|")
        .map((cell) => cell.trim())
    )

it("SECURITY.md names the limits by their settings, with the defaults that they have", () => {
  // docs/settings.md is made from the code, and a check holds that.
  const defaults = new Map(
    rowsOf("docs/settings.md").map(([names = "", , , value]) => [/`(\w+)`$/.exec(names)?.[1], value])
  )
  const rows = rowsOf("SECURITY.md").filter(({ length }) => length === 4)
  const limits = rows.slice(rows.findIndex(([name]) => name === "Limit") + 2)
  expect(limits.length).toBeGreaterThan(5)
  for (const [limit, settings = "", values] of limits) {
    const names = [...settings.matchAll(/`(\w+)`/g)].map(([, name]) => name)
    expect([limit, values]).toEqual([limit, names.map((name) => defaults.get(name)).join(", ")])
  }
})
