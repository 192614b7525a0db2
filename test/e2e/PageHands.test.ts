/** The page by other hands: a keyboard alone, a phone, a clipboard, another person, a proxy in front. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Page } from "playwright-core"
import * as Program from "../cli/Program.js"
import * as Browser from "../support/Browser.js"
import { act, answer, entered, Gateway, messages, say, token, world } from "../support/PageWorld.js"
import * as PrefixProxy from "../support/PrefixProxy.js"
import { shared } from "../support/Shared.js"

/** A PNG of one pixel, given to the element in focus as the browser would. */
const give = (event: "paste" | "drop", name: string): string => `{
  const bytes = Uint8Array.from(atob("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="), (c) => c.charCodeAt(0))
  const data = new DataTransfer()
  data.items.add(new File([bytes], "${name}", { type: "image/png" }))
  document.activeElement.dispatchEvent(
    ${
      event === "paste"
        ? 'new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })'
        : 'new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })'
    }
  )
}`

/** The page forbids what waitForFunction does (`unsafe-eval`). */
const until = (page: Page, condition: string): Promise<unknown> =>
  page.evaluate(
    `new Promise((done) => { const look = () => ((${condition}) ? done() : requestAnimationFrame(look)); look() })`
  )

// eslint-disable-next-line house/no-focus-or-skip -- needs a Chromium, which scripts/chromium gets where it can
describe.runIf(Browser.path !== undefined)("the page, by other hands", () => {
  const run = shared(world)

  it("takes images that are pasted and dropped, and gives them up again", () =>
    run(
      Effect.gen(function* () {
        const { complaints, page } = yield* entered("clip")
        yield* act(async () => {
          const chosen = page.getByRole("list", { name: "Images to send" })
          await page.getByRole("textbox", { name: "Message", exact: true }).focus()
          await page.evaluate(give("paste", "pasted.png"))
          await chosen.getByRole("img", { name: "pasted.png" }).waitFor()
          await page.evaluate(give("drop", "dropped.png"))
          await chosen.getByRole("img", { name: "dropped.png" }).waitFor()
          await page.getByRole("button", { name: "Remove pasted.png" }).click()
          expect(await chosen.getByRole("img").count()).toBe(1)
          await say(page, "with an image")
          await answer(page, "with an image").waitFor()
          expect(await messages(page, "with an image").getByRole("img").count()).toBe(1)
        })
        expect(complaints).toEqual([])
      })
    ))

  it("can be used with the keyboard alone", () =>
    run(
      Effect.gen(function* () {
        const { complaints, page } = yield* entered("keyboard")
        yield* act(async () => {
          // To another session and back to this one, by search and arrows.
          await page.keyboard.press("Control+k")
          await until(page, "document.activeElement?.id === 'search'")
          await page.keyboard.type("keyboard")
          await page.getByRole("navigation").getByText("keyboard").first().waitFor()
          await page.keyboard.press("ArrowDown")
          await page.keyboard.press("Enter")
          await page.getByRole("textbox", { name: "Message", exact: true }).focus()
          await page.keyboard.type("{{n=1000 ms=20}} keys ")
          await page.keyboard.press("Enter")
          await answer(page, "keys keys").waitFor()
          await page.keyboard.press("Escape")
          await answer(page, "Stopped").waitFor()
          // A menu and a dialog, and back to where one was.
          await page.getByRole("button", { name: "Session", exact: true }).focus()
          await page.keyboard.press("Enter")
          const isInMenu = "document.activeElement?.getAttribute('role') === 'menuitem'"
          await until(page, isInMenu)
          await page.keyboard.press("Escape")
          await until(page, "document.activeElement?.title === 'Session'")
          await page.keyboard.press("Enter")
          await until(page, isInMenu)
          await page.keyboard.press("Enter")
          await until(page, "document.activeElement?.tagName === 'INPUT'")
          await page.keyboard.press("Control+a")
          await page.keyboard.type("named by keys")
          await page.keyboard.press("Enter")
          // The list is still that of the search.
          await page.getByRole("region", { name: "named by keys" }).waitFor()
          expect(await page.getByRole("dialog").count()).toBe(0)
        })
        expect(complaints).toEqual([])
      })
    ))

  it("fits a phone: nothing is wider, and what is touched is large enough", () =>
    run(
      Effect.gen(function* () {
        const { complaints, page } = yield* entered("main", {
          viewport: { width: 390, height: 844 },
          isMobile: true,
          hasTouch: true
        })
        const cells = Array.from({ length: 6 }, () => "wordwordword").join(" | ")
        const code = "code that is longer than any phone is wide ".repeat(5)
        // The demo agent says what it is told; of several words, each in a piece of its own.
        const wide = `{{ms=0}}| ${cells} |\n| - | - | - | - | - | - |\n| ${cells} |\n\n\`\`\`\n${code}\n\`\`\`\n`
        yield* act(async () => {
          await page.getByRole("textbox", { name: "Message", exact: true }).fill(wide)
          await page.getByRole("button", { name: "Send" }).tap()
          await answer(page, "longer than any phone").locator("table").waitFor()
          expect(await page.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true)
          for (const name of ["Sessions", "Send", "Add images"]) {
            const box = await page.getByRole("button", { name, exact: true }).boundingBox()
            expect([name, Math.min(box?.width ?? 0, box?.height ?? 0) >= 44]).toEqual([name, true])
          }
          const sidebar = page.getByRole("navigation")
          expect(await sidebar.isVisible()).toBe(false)
          await page.getByRole("button", { name: "Sessions", exact: true }).tap()
          await sidebar.getByRole("button", { name: "New conversation" }).tap()
          await sidebar.waitFor({ state: "hidden" })
          await page.getByRole("textbox", { name: "Message", exact: true }).waitFor()
        })
        expect(complaints).toEqual([])
      })
    ))

  it("two people agree on a session, and one sees no more than is hers", () =>
    run(
      Effect.gen(function* () {
        const { page: url, stateDir } = yield* Gateway
        const { stdout } = yield* Program.run(["token", "create", "alice", "--state-dir", stateDir])
        const { open } = yield* Browser.Browser
        const alice = yield* open()
        const owner = yield* entered("for the owner alone")
        yield* act(async () => {
          await alice.page.goto(`${url}#token=${stdout.trim()}`)
          await alice.page.getByRole("textbox", { name: "Message", exact: true }).waitFor()
          await alice.page.getByRole("button", { name: "New conversation" }).click()
          await say(alice.page, "hello from alice")
          await answer(alice.page, "hello from alice").waitFor()
          await owner.page.getByRole("navigation").getByText("hello from alice").first().click()
          await answer(owner.page, "hello from alice").waitFor()
          await say(owner.page, "hello alice")
          await messages(alice.page, "hello alice").waitFor()
          await answer(alice.page, "hello alice").waitFor()
          expect(await alice.page.getByText("for the owner alone").count()).toBe(0)
        })
        expect([...alice.complaints, ...owner.complaints]).toEqual([])
      })
    ))

  it("says that a message was not taken, and sends it when it is asked to", () =>
    run(
      Effect.gen(function* () {
        const { page: url } = yield* Gateway
        const { complaints, page } = yield* entered("closed for now")
        const { stdout } = yield* Program.run(
          [
            "call",
            "sessions.list",
            '{"search":"","includeDerivedTitles":true}',
            "--url",
            url.replace("http:", "ws:").replace(/\/$/, "")
          ],
          { COLLOQUY_TOKEN: token }
        )
        const [, key = ""] = /"key": "([^"]+)"[^}]*"derivedTitle": "closed for now"/.exec(stdout) ?? []
        const allow = (sendPolicy: string) =>
          Program.run(
            [
              "call",
              "sessions.patch",
              JSON.stringify({ key, sendPolicy }),
              "--url",
              url.replace("http:", "ws:").replace(/\/$/, "")
            ],
            { COLLOQUY_TOKEN: token }
          )
        yield* allow("deny")
        yield* act(async () => {
          await say(page, "not yet")
          await page.getByText("Not sent").waitFor()
        })
        yield* allow("allow")
        yield* act(async () => {
          await page.getByRole("button", { name: "Retry" }).click()
          await answer(page, "not yet").waitFor()
          expect(await messages(page, "not yet").count()).toBe(1)
        })
        expect(complaints).toEqual([])
      })
    ))

  it("works behind a proxy that takes a path off", () =>
    run(
      Effect.gen(function* () {
        const { page: url } = yield* Gateway
        const port = yield* PrefixProxy.open("/team/chat/", Number(new URL(url).port))
        const { complaints, page } = yield* Effect.flatMap(Browser.Browser, ({ open }) => open())
        yield* act(async () => {
          await page.goto(`http://127.0.0.1:${port}/team/chat/#token=${token}`)
          await page.getByRole("button", { name: "New conversation" }).click()
          await say(page, "behind **a proxy**\n```ts\nconst one = 1\n```")
          await answer(page, "behind a proxy").locator("pre .hljs-keyword").waitFor()
          await page.reload()
          await answer(page, "behind a proxy").waitFor()
        })
        expect(complaints).toEqual([])
      })
    ))
})
