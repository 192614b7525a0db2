/** Browser: a real Chromium, for the tests of the page. */
import { execFileSync } from "node:child_process"
import { join } from "node:path"
import { Context, Effect, Layer, type Scope } from "effect"
import { type Browser as Chromium, chromium, type BrowserContextOptions, type Page } from "playwright-core"

const root = join(import.meta.dirname, "../..")

/** The path of a Chromium, which scripts/test has got; none on a machine that has none and can't get one. */
export const path = ((): string | undefined => {
  try {
    return execFileSync(join(root, "scripts/chromium"), {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"]
    }).trim()
  } catch (error) {
    if (process.env["CI"] === "true") throw error
    return undefined
  }
})()

export interface Tab {
  readonly page: Page
  /** What the page did that it must not: errors, refused scripts, requests to elsewhere. */
  readonly complaints: Array<string>
}

export interface BrowserShape {
  /** A tab with storage of its own. */
  readonly open: (options?: BrowserContextOptions) => Effect.Effect<Tab, never, Scope.Scope>
}

export class Browser extends Context.Tag("test/Browser")<Browser, BrowserShape>() {}

export const layer: Layer.Layer<Browser> = Layer.scoped(
  Browser,
  Effect.map(
    Effect.acquireRelease(
      Effect.promise((): Promise<Chromium> =>
        chromium.launch({
          ...(path === undefined ? {} : { executablePath: path }),
          args: [
            "--no-sandbox",
            "--disable-background-networking",
            "--no-first-run",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--disable-gpu"
          ]
        })
      ),
      (browser) => Effect.promise(() => browser.close())
    ),
    (browser) => ({
      open: (options) =>
        Effect.map(
          Effect.acquireRelease(
            Effect.promise(() => browser.newContext({ viewport: { width: 1200, height: 800 }, ...options })),
            (context) => Effect.promise(() => context.close())
          ).pipe(Effect.flatMap((context) => Effect.promise(() => context.newPage()))),
          watch
        )
    })
  )
)

/** Writes down what must not happen. */
export const watch = (page: Page): Tab => {
  // Before the test gives up: then it is known what was waited for.
  page.setDefaultTimeout(3500)
  const complaints: Array<string> = []
  page.on("pageerror", (error) => complaints.push(`error: ${error.message}`))
  page.on("console", (message) => {
    // A connection that is refused is what some tests are about.
    if (message.type() === "error" && !/WebSocket|ERR_CONNECTION|401/.test(message.text())) {
      complaints.push(`console: ${message.text()}`)
    }
  })
  page.on("request", (request) => {
    const { hostname, protocol } = new URL(request.url())
    if (hostname !== "127.0.0.1" && protocol.startsWith("http")) complaints.push(`request: ${request.url()}`)
  })
  return { page, complaints }
}
