/** The page in a real Chromium, against the program as it is built. */
import { describe, expect, it } from "@effect/vitest"
import axe from "axe-core"
import { Effect } from "effect"
import * as Program from "../cli/Program.js"
import * as Browser from "../support/Browser.js"
import { act, answer, entered, messages, say, token, world } from "../support/PageWorld.js"
import * as LongHistory from "../support/LongHistory.js"
import { shared } from "../support/Shared.js"

// eslint-disable-next-line house/no-focus-or-skip -- needs a Chromium, which scripts/chromium gets where it can
describe.runIf(Browser.path !== undefined)("the page", () => {
  const run = shared(world)

  it("logs in by the link; sends, streams, and has the history behind a reload", () =>
    run(
      Effect.gen(function* () {
        const stateDir = yield* Program.makeStateDir
        const own = yield* Program.serve({ stateDir })
        const { complaints, page } = yield* Effect.flatMap(Browser.Browser, ({ open }) => open())
        yield* act(async () => {
          await page.goto(own.link)
          await page.getByRole("textbox", { name: "Message", exact: true }).waitFor()
          expect(new URL(page.url()).hash).toBe("")
          await say(page, "{{n=20 ms=40}} **word** ")
          await answer(page, "word word").waitFor()
          await page.getByRole("button", { name: "Stop the answer" }).waitFor()
          await page.getByRole("button", { name: "Send" }).waitFor()
          expect(await page.locator("article strong").count()).toBe(20)
          await page.reload()
          await answer(page, "word word").waitFor()
          expect(await messages(page, "word").count()).toBe(1)
        })
        expect(complaints).toEqual([])
      })
    ))

  it("lets in once by a link, and nobody by a wrong token", () =>
    run(
      Effect.gen(function* () {
        const stateDir = yield* Program.makeStateDir
        const { link } = yield* Program.serve({ stateDir })
        const { open } = yield* Browser.Browser
        const first = yield* open()
        yield* act(async () => {
          await first.page.goto(link)
          await first.page.getByRole("textbox", { name: "Message", exact: true }).waitFor()
        })
        const second = yield* open()
        yield* act(async () => {
          await second.page.goto(link)
          await second.page.getByLabel("Token").fill("wrong")
          await second.page.getByRole("button", { name: "Log in" }).click()
          await second.page.getByRole("alert").filter({ hasText: "token" }).waitFor()
        })
        expect([...first.complaints, ...second.complaints]).toEqual([])
      })
    ))

  it("stops an answer by its button and by Esc", () =>
    run(
      Effect.gen(function* () {
        const { complaints, page } = yield* entered("stops")
        yield* act(async () => {
          await say(page, "{{n=1000 ms=20}} first ")
          await answer(page, "first first").waitFor()
          await page.getByRole("button", { name: "Stop the answer" }).click()
          await answer(page, "Stopped").filter({ hasText: "first" }).waitFor()
          await say(page, "{{n=1000 ms=20}} second ")
          await answer(page, "second second").waitFor()
          await page.keyboard.press("Escape")
          await answer(page, "Stopped").filter({ hasText: "second" }).waitFor()
        })
        expect(complaints).toEqual([])
      })
    ))

  it("two tabs agree on a session", () =>
    run(
      Effect.gen(function* () {
        const { page: first } = yield* entered("agree on this")
        const { page: second } = yield* entered("main")
        yield* act(async () => {
          await second.getByRole("navigation").getByText("agree on this").first().click()
          await answer(second, "agree on this").waitFor()
          await say(first, "from the first")
          await answer(second, "from the first").waitFor()
          await say(second, "from the second")
          await answer(first, "from the second").waitFor()
          for (const page of [first, second]) {
            expect(await messages(page, "from the first").count()).toBe(1)
            expect(await messages(page, "from the second").count()).toBe(1)
          }
        })
      })
    ))

  it("shows what there is of an answer to who comes in the middle of it", () =>
    run(
      Effect.gen(function* () {
        const { page: first } = yield* entered("the middle")
        const { page: second } = yield* entered("main")
        yield* act(async () => {
          await say(first, "{{n=3 hang=1}} half ")
          await answer(first, "half half half").waitFor()
          // It was there, in another session, and heard of it.
          await second.getByRole("navigation").getByText("the middle").first().click()
          await answer(second, "half half half").waitFor()
          // It was not there at all.
          await second.reload()
          await answer(second, "half half half").waitFor()
          await second.getByRole("button", { name: "Stop the answer" }).click()
          await answer(first, "Stopped").filter({ hasText: "half half half" }).waitFor()
        })
      })
    ))

  it("sends images, and shows those of the history", () =>
    run(
      Effect.gen(function* () {
        const { complaints, page } = yield* entered("images")
        yield* act(async () => {
          await page.locator("input[type=file]").setInputFiles({
            name: "dot.png",
            mimeType: "image/png",
            buffer: Buffer.from(dot, "base64")
          })
          await page.getByRole("list", { name: "Images to send" }).getByRole("img").waitFor()
          await say(page, "what is it?")
          await answer(page, "what is it?").waitFor()
          await page.reload()
          await messages(page, "what is it?").getByRole("img").waitFor()
        })
        expect(complaints).toEqual([])
      })
    ))

  it("renames, begins anew, deletes", () =>
    run(
      Effect.gen(function* () {
        const { page } = yield* entered("to be renamed")
        const choose = async (item: string): Promise<void> => {
          await page.getByRole("button", { name: "Session", exact: true }).click()
          await page.getByRole("menuitem", { name: item }).click()
        }
        yield* act(async () => {
          await choose("Rename…")
          await page.getByRole("dialog").getByRole("textbox", { name: "Name" }).fill("A better name")
          await page.getByRole("button", { name: "Rename", exact: true }).click()
          await page.getByRole("navigation").getByText("A better name").waitFor()
          await choose("Begin anew…")
          await page.getByRole("button", { name: "Begin anew", exact: true }).click()
          await page.getByText("What shall we talk about?").waitFor()
          await choose("Delete…")
          await page.getByRole("button", { name: "Delete", exact: true }).click()
          await page.getByRole("navigation").getByText("A better name").waitFor({ state: "detached" })
        })
      })
    ))

  it("runs nothing of what an agent says", () =>
    run(
      Effect.gen(function* () {
        const { complaints, page } = yield* entered("hostile")
        yield* act(async () => {
          const evil = [
            '<img src=x onerror="window.pwned=1">',
            "<script>window.pwned=1</script>",
            "[link](javascript:window.pwned=1)",
            "<svg onload=window.pwned=1>",
            "![x](https://example.com/x.png)",
            "<a href='https://example.com' onclick='window.pwned=1'>safe</a>",
            "the end"
          ].join("\n\n")
          await say(page, evil)
          await answer(page, "the end").waitFor()
          for (const link of await page.locator("article a").all()) {
            expect((await link.getAttribute("href")) ?? "").not.toMatch(/^javascript:/)
          }
          expect(await page.evaluate("window.pwned")).toBeUndefined()
        })
        // Not even the policy had to refuse anything.
        expect(complaints).toEqual([])
      })
    ))

  it.each([
    { colorScheme: "light", viewport: { width: 1200, height: 800 } },
    { colorScheme: "dark", viewport: { width: 390, height: 844 } }
  ] as const)("has no serious fault that axe finds, $colorScheme", ({ colorScheme, viewport }) =>
    run(
      Effect.gen(function* () {
        const { page } = yield* entered("looked at by axe", {
          colorScheme,
          reducedMotion: "reduce"
        })
        yield* act(async () => {
          await page.setViewportSize(viewport)
          await say(page, "# Heading\n\n- one\n\n```ts\nconst x = 1\n```\n")
          await page.getByRole("article").getByRole("heading", { name: "Heading" }).waitFor()
        })
        const faults = async (): Promise<ReadonlyArray<string>> => {
          await page.evaluate(axe.source)
          const found: axe.AxeResults = await page.evaluate("axe.run()")
          return found.violations
            .filter(({ impact }) => impact === "serious" || impact === "critical")
            .flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`))
        }
        const chat = yield* act(faults)
        yield* act(async () => {
          if (viewport.width < 500) await page.getByRole("button", { name: "Sessions" }).first().click()
          await page.getByRole("button", { name: "Activity" }).click()
          await page.getByRole("heading", { name: "Runs" }).waitFor()
        })
        expect([...chat, ...(yield* act(faults))]).toEqual([])
        expect(
          yield* act(() => page.evaluate<number>("document.documentElement.scrollWidth - innerWidth"))
        ).toBeLessThanOrEqual(0)
      })
    )
  )

  it("shows operators what runs, and stops it", () =>
    run(
      Effect.gen(function* () {
        const { page: worker } = yield* entered("operated")
        const { page: operator } = yield* entered("main")
        yield* act(async () => {
          await say(worker, "{{n=1000 ms=20}} work ")
          await answer(worker, "work work").waitFor()
          await operator.getByRole("button", { name: "Activity" }).click()
          await operator.getByRole("button", { name: /Abort the run in/ }).click()
          await answer(worker, "Stopped").waitFor()
          await operator.getByText("Nothing runs.").waitFor()
        })
      })
    ))

  it("reads a history of 10,000 messages from its end, a window at a time", () =>
    run(
      Effect.gen(function* () {
        const stateDir = yield* Program.makeStateDir
        yield* LongHistory.write(stateDir, 10_000)
        const { port } = yield* Program.serve({ stateDir, environment: { COLLOQUY_TOKEN: token } })
        const { complaints, page } = yield* Effect.flatMap(Browser.Browser, ({ open }) => open())
        yield* act(async () => {
          await page.goto(`http://127.0.0.1:${port}/#token=${token}`)
          const list = page.getByRole("log")
          await list.getByText("message 9999", { exact: true }).waitFor()
          const count = () => page.getByRole("article").count()
          expect(await count()).toBeLessThan(100)
          // Back by a few pages: what is older comes above, and what is out of sight goes.
          await list.hover()
          const numbers = async (): Promise<ReadonlyArray<number>> =>
            (await list.getByText(/^message \d+$/).allTextContents()).map((text) =>
              Number(/\d+/.exec(text)?.[0])
            )
          for (const wanted of [9700, 9400]) {
            while (((await numbers())[0] ?? 10_000) > wanted) {
              await page.mouse.wheel(0, -2500)
              await page.evaluate("new Promise((done) => requestAnimationFrame(() => done()))")
            }
            expect(await count()).toBeLessThan(100)
          }
          const shown = await numbers()
          expect(shown).toEqual(shown.map((_, index) => (shown[0] ?? 0) + index))
        })
        expect(complaints).toEqual([])
      })
    ))

  it("sees the end of a run whose gateway was killed, and sends once what was written meanwhile", () =>
    run(
      Effect.gen(function* () {
        const stateDir = yield* Program.makeStateDir
        const environment = { COLLOQUY_TOKEN: token }
        const first = yield* Program.serve({ stateDir, environment })
        const { page } = yield* Effect.flatMap(Browser.Browser, ({ open }) => open())
        yield* act(async () => {
          await page.goto(`http://127.0.0.1:${first.port}/#token=${token}`)
          await page.getByRole("textbox", { name: "Message", exact: true }).waitFor()
          await say(page, "{{n=1000 ms=20}} cut off ")
          await answer(page, "cut off cut off").waitFor()
        })
        yield* first.signal("SIGKILL")
        yield* first.ended
        yield* act(async () => {
          await page.getByText("No connection").first().waitFor()
          await say(page, "written while away")
          await messages(page, "written while away").waitFor()
        })
        yield* Program.serve({ stateDir, environment, port: first.port })
        yield* act(async () => {
          await answer(page, "interrupted by restart").waitFor()
          await answer(page, "written while away").waitFor()
          expect(await messages(page, "cut off").count()).toBe(1)
          expect(await messages(page, "written while away").count()).toBe(1)
        })
      })
    ))
})

/** A PNG of one pixel. */
const dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
