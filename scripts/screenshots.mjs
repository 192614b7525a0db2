/**
 * `npm run screenshots`: takes the pictures of the page in docs/screenshots, in a real Chromium, of a gateway of its own on a
 * free port. Needs a build (`node scripts/build.mjs`).
 */
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { chromium } from "playwright-core"
import { talks } from "./screenshots/talks.mjs"

const root = join(import.meta.dirname, "..")
const into = join(root, "docs/screenshots")
const stateDir = mkdtempSync(join(tmpdir(), "colloquy-screenshots-"))
const token = "a-token-for-the-screenshots-0123456789"

const config = {
  agents: { main: { kind: "acp", command: [process.execPath, join(root, "scripts/screenshots/agent.mjs")] } }
}
writeFileSync(join(stateDir, "config.json"), JSON.stringify(config))
const gateway = spawn(
  process.execPath,
  [join(root, "dist/main.js"), "serve", "--port", "0", "--state-dir", stateDir],
  { env: { ...process.env, COLLOQUY_TOKEN: token }, stdio: ["ignore", "pipe", "inherit"] }
)
const listening = () =>
  new Promise((resolve, reject) => {
    let told = ""
    gateway.once("exit", (code) => reject(new Error(`the gateway ended with ${code}`)))
    gateway.stdout.setEncoding("utf8").on("data", (text) => {
      told += text
      const [, url] = /listens on (ws:\S+)/.exec(told) ?? []
      if (url !== undefined) resolve(url)
    })
  })

const send = (url, session, { isOpen, question }) => {
  const args = [join(root, "dist/main.js"), "send", "--url", url, "--session", session, question]
  const options = { env: { ...process.env, COLLOQUY_TOKEN: token }, stdio: "ignore" }
  if (!isOpen) return void execFileSync(process.execPath, args, options)
  return spawn(process.execPath, args, options)
}

const themes = ["light", "dark"]
const devices = {
  desktop: { viewport: { width: 1280, height: 800 } },
  phone: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true }
}

const picture = async (browser, url, name, options, prepare) => {
  const context = await browser.newContext(options)
  const page = await context.newPage()
  await page.goto(`${url.replace("ws:", "http:")}/#token=${token}`)
  await page.getByRole("textbox", { name: "Message", exact: true }).waitFor()
  await prepare(page)
  // The cursor of the text field blinks; colours and fonts are there.
  await page.evaluate(() => document.fonts.ready)
  await page.screenshot({ path: join(into, `${name}.png`), caret: "hide", animations: "disabled" })
  await context.close()
}

/** The newest conversation, up to its end. */
const conversation = async (page) => {
  await page.getByRole("button", { name: "Stop the answer" }).waitFor()
  await page.getByText("The test takes").waitFor()
  // Code is coloured when the highlighter is there.
  await page.locator("pre .hljs-keyword").first().waitFor()
}

const open = []
try {
  const url = await listening()
  for (const [session, turns] of Object.entries(talks))
    for (const turn of turns) {
      const running = send(url, session, turn)
      if (running !== undefined) open.push(running)
    }
  const executablePath = execFileSync(join(root, "scripts/chromium"), { encoding: "utf8" }).trim()
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] })
  mkdirSync(into, { recursive: true })
  const newest = Object.keys(talks).at(-1)
  for (const colorScheme of themes)
    for (const [device, options] of Object.entries(devices))
      await picture(browser, url, `${device}-${colorScheme}`, { ...options, colorScheme }, async (page) => {
        if (device === "phone") await page.getByRole("button", { name: "Sessions", exact: true }).click()
        await page.getByRole("navigation").getByText(talks[newest][0].question.slice(0, 20)).first().click()
        await conversation(page)
      })
  await picture(browser, url, "operators", { ...devices.desktop, colorScheme: "light" }, async (page) => {
    await page.getByRole("button", { name: "Activity" }).click()
    await page.getByRole("table").first().waitFor()
  })
  await browser.close()
  console.log("Wrote docs/screenshots")
} finally {
  for (const child of open) child.kill()
  gateway.kill()
  // It saves what there is before it ends.
  if (gateway.exitCode === null) await once(gateway, "exit")
  rmSync(stateDir, { recursive: true, force: true })
}
