/** Sessions: the list of them, what is unread in it, and who is at work. */
import { type ReadonlySignal, computed, signal } from "@preact/signals"
import type { SessionRow } from "../../protocol/Sessions.js"
import type { Gateway } from "../connection/Gateway.js"
import type { Memory } from "./Memory.js"
import { messageOf, titleOf } from "./Wording.js"

const rowsAtOnce = 200

export class Sessions {
  readonly #gateway: Gateway
  readonly #memory: Memory
  readonly #rows = signal<ReadonlyArray<SessionRow>>([])
  readonly #seen = signal<Readonly<Record<string, number>>>({})
  readonly hasMore = signal(false)
  readonly isLoaded = signal(false)
  readonly problem = signal<string | undefined>(undefined)
  readonly search = signal("")
  /** Sessions in which an agent works, by key: how many runs. */
  readonly busy = signal<ReadonlyMap<string, ReadonlySet<string>>>(new Map())
  #limit = rowsAtOnce
  #reading: Promise<void> | undefined
  #isStale = false

  constructor(gateway: Gateway, memory: Memory) {
    this.#gateway = gateway
    this.#memory = memory
    this.#seen.value = memory.seen()
  }

  readonly rows: ReadonlySignal<ReadonlyArray<SessionRow>> = computed(() => {
    const wanted = this.search.value.trim().toLowerCase()
    if (wanted === "") return this.#rows.value
    return this.#rows.value.filter((row) =>
      [row.key, titleOf(row), row.lastMessagePreview ?? ""].some((text) =>
        text.toLowerCase().includes(wanted)
      )
    )
  })

  row(key: string): SessionRow | undefined {
    return this.#rows.value.find((row) => row.key === key)
  }

  /** Is there something in it that was not shown here? */
  isUnread(row: SessionRow): boolean {
    const seen = this.#seen.value[row.key]
    return seen !== undefined && row.updatedAt > seen
  }

  /** It is shown, up to what is in the list. */
  see(key: string): void {
    const updatedAt = this.row(key)?.updatedAt
    if (updatedAt === undefined || (this.#seen.value[key] ?? 0) >= updatedAt) return
    this.#seen.value = { ...this.#seen.value, [key]: updatedAt }
    this.#memory.keepSeen(this.#seen.value)
  }

  /** Reads the list. Asked again meanwhile, it reads once more afterwards. */
  async reload(): Promise<void> {
    if (this.#reading !== undefined) {
      this.#isStale = true
      return this.#reading
    }
    this.#reading = this.#read()
    await this.#reading
    this.#reading = undefined
    if (this.#isStale) {
      this.#isStale = false
      await this.reload()
    }
  }

  async more(): Promise<void> {
    this.#limit += rowsAtOnce
    await this.reload()
  }

  async #read(): Promise<void> {
    try {
      const { hasMore, sessions } = await this.#gateway.call("sessions.list", {
        limit: this.#limit,
        includeDerivedTitles: true,
        includeLastMessage: true
      })
      const isFirst = !this.isLoaded.value
      this.#rows.value = sessions
      this.hasMore.value = hasMore
      this.isLoaded.value = true
      this.problem.value = undefined
      const seen = this.#seen.value
      // What was there before the first look is old; what appears later is new.
      const fresh = sessions.filter(({ key }) => seen[key] === undefined)
      if (fresh.length > 0) {
        this.#seen.value = {
          ...seen,
          ...Object.fromEntries(fresh.map(({ key, updatedAt }) => [key, isFirst ? updatedAt : 0]))
        }
        this.#memory.keepSeen(this.#seen.value)
      }
    } catch (error) {
      this.problem.value = messageOf(error)
    }
  }

  began(key: string, runId: string): void {
    const runs = this.busy.value.get(key)
    if (runs?.has(runId)) return
    this.busy.value = new Map(this.busy.value).set(key, new Set(runs).add(runId))
  }

  ended(key: string, runId: string): void {
    const runs = new Set(this.busy.value.get(key))
    if (!runs.delete(runId)) return
    const busy = new Map(this.busy.value)
    if (runs.size === 0) busy.delete(key)
    else busy.set(key, runs)
    this.busy.value = busy
  }
}
