/** Activity: what the gateway is doing, for those who look after it. Read again and again while it is looked at. */
import { signal } from "@preact/signals"
import type * as Method from "../../protocol/Method.js"
import type { Desk } from "./Desk.js"
import { messageOf } from "./Wording.js"

export interface Reading {
  readonly status: Method.ResultOf<"status">
  readonly health: Method.ResultOf<"health"> | undefined
  /** Undefined: the gateway can't tell. */
  readonly runs: Method.ResultOf<"runs.list"> | undefined
  readonly presence: Method.ResultOf<"system-presence"> | undefined
}

/** Milliseconds between two readings. */
export const interval = 2000

export class Activity {
  readonly reading = signal<Reading | undefined>(undefined)
  readonly problem = signal<string | undefined>(undefined)
  readonly #desk: Desk
  #isReading = false

  constructor(desk: Desk) {
    this.#desk = desk
  }

  /** Reads all of it; a reading that is under way is not joined by another. */
  async read(): Promise<void> {
    const { gateway } = this.#desk
    if (this.#isReading || gateway.status.value._tag !== "Open") return
    this.#isReading = true
    try {
      const [status, health, runs, presence] = await Promise.all([
        gateway.call("status", {}),
        this.#desk.has("health") ? gateway.call("health", {}) : undefined,
        this.#desk.has("runs.list") ? gateway.call("runs.list", {}) : undefined,
        this.#desk.has("system-presence") ? gateway.call("system-presence", {}) : undefined
      ])
      this.reading.value = { status, health, runs, presence }
      this.problem.value = undefined
    } catch (error) {
      this.problem.value = messageOf(error)
    } finally {
      this.#isReading = false
    }
  }

  async abort(sessionKey: string, runId: string): Promise<void> {
    await this.#desk.gateway.call("chat.abort", { sessionKey, runId })
    await this.read()
  }
}
