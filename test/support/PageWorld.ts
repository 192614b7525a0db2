/** PageWorld: the page in a real Chromium, against the program as it is built; and what tests do there again and again. */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Context, Effect, Layer } from "effect"
import type { Page } from "playwright-core"
import * as Program from "../cli/Program.js"
import * as Browser from "./Browser.js"

/** One gateway for the tests that don't stop it, each with sessions of its own. */
export class Gateway extends Context.Tag("test/PageGateway")<
  Gateway,
  { readonly page: string; readonly token: string; readonly stateDir: string }
>() {}

export const token = "a-token-of-the-tests-that-is-long-enough-0123456789"

const gateway = Layer.scoped(
  Gateway,
  Effect.gen(function* () {
    const stateDir = yield* Program.makeStateDir
    const { port } = yield* Program.serve({ stateDir, environment: { COLLOQUY_TOKEN: token } })
    return { page: `http://127.0.0.1:${port}/`, token, stateDir }
  })
)

/** A browser that has seen the page before: what it does at its first one would count for the first test. */
const warm = Layer.effectDiscard(
  Effect.scoped(
    Effect.gen(function* () {
      const { page: url } = yield* Gateway
      const { page } = yield* Effect.flatMap(Browser.Browser, ({ open }) => open())
      yield* Effect.promise(async () => {
        await page.goto(url)
        await page.getByLabel("Token").waitFor()
      })
    })
  )
)

export const world = warm.pipe(
  Layer.provideMerge(
    Layer.merge(
      Layer.provideMerge(gateway, Layer.merge(Program.layerBuilt, NodeFileSystem.layer)),
      Browser.layer
    )
  )
)

export const act = <A>(make: () => Promise<A>) => Effect.promise(make)

/** A tab that is logged in, in a session of that name. */
export const entered = (session: string, options?: Parameters<Browser.BrowserShape["open"]>[0]) =>
  Effect.gen(function* () {
    const { page: url } = yield* Gateway
    const tab = yield* Effect.flatMap(Browser.Browser, ({ open }) => open(options))
    yield* act(async () => {
      await tab.page.goto(`${url}#token=${token}`)
      await tab.page.getByRole("textbox", { name: "Message", exact: true }).waitFor()
      if (session !== "main") await begin(tab.page, session)
    })
    return tab
  })

export const say = async (page: Page, text: string): Promise<void> => {
  await page.getByRole("textbox", { name: "Message", exact: true }).fill(text)
  await page.keyboard.press("Enter")
}

/** A new conversation with a first message of that text. */
export const begin = async (page: Page, text: string): Promise<void> => {
  await page.getByRole("button", { name: "New conversation" }).click()
  await say(page, text)
  await answer(page, text).waitFor()
}

export const answer = (page: Page, text: string) =>
  page.getByRole("article", { name: "Answer" }).filter({ hasText: text }).last()
export const messages = (page: Page, text: string) =>
  page.getByRole("article", { name: "Message" }).filter({ hasText: text })
