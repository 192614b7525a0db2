/** Memory: what the browser keeps for the page. Storage may be full or forbidden; then it is kept by nobody, and nothing fails. */
import type { KeyValueStorage } from "../../client/OutboxStore.js"

export type Theme = "system" | "light" | "dark"

const isTimes = (value: unknown): value is Readonly<Record<string, number>> =>
  typeof value === "object" && value !== null && Object.values(value).every((one) => typeof one === "number")

/** Sessions whose last sight is kept. */
const maxSeen = 1000

export class Memory {
  readonly #tab: KeyValueStorage
  readonly #browser: KeyValueStorage
  /** The tab's own storage, and that of all tabs. */
  constructor(tab: KeyValueStorage, browser: KeyValueStorage) {
    this.#tab = tab
    this.#browser = browser
  }

  /** In the tab only: it is gone with it. */
  token(): string | undefined {
    return read(this.#tab, "colloquy.token")
  }
  keepToken(token: string | undefined): void {
    keep(this.#tab, "colloquy.token", token)
  }

  /** What was written and not sent, per session. */
  draft(key: string): string {
    return read(this.#tab, `colloquy.draft.${key}`) ?? ""
  }
  keepDraft(key: string, text: string): void {
    keep(this.#tab, `colloquy.draft.${key}`, text === "" ? undefined : text)
  }

  /** The session that was shown last in this tab. */
  session(): string | undefined {
    return read(this.#tab, "colloquy.session")
  }
  keepSession(key: string): void {
    keep(this.#tab, "colloquy.session", key)
  }

  theme(): Theme {
    const theme = read(this.#browser, "colloquy.theme")
    return theme === "light" || theme === "dark" ? theme : "system"
  }
  keepTheme(theme: Theme): void {
    keep(this.#browser, "colloquy.theme", theme === "system" ? undefined : theme)
  }

  /** Up to when each session was seen, in milliseconds since the Unix epoch. */
  seen(): Readonly<Record<string, number>> {
    try {
      const value: unknown = JSON.parse(read(this.#browser, "colloquy.seen") ?? "{}")
      return isTimes(value) ? value : {}
    } catch {
      return {}
    }
  }
  keepSeen(seen: Readonly<Record<string, number>>): void {
    const newest = Object.entries(seen)
      .toSorted(([, a], [, b]) => b - a)
      .slice(0, maxSeen)
    keep(this.#browser, "colloquy.seen", JSON.stringify(Object.fromEntries(newest)))
  }
}

const read = (storage: KeyValueStorage, name: string): string | undefined => {
  try {
    return storage.getItem(name) ?? undefined
  } catch {
    return undefined
  }
}
const keep = (storage: KeyValueStorage, name: string, value: string | undefined): void => {
  try {
    if (value === undefined) storage.removeItem(name)
    else storage.setItem(name, value)
  } catch {
    // It is full, or the browser allows none.
  }
}
