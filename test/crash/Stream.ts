/** What one client reads, over all its connections: its position, and the rules that every stream of events keeps. */
import type { Report } from "./Findings.js"
import type { Ledger } from "./Ledger.js"
import { type Event, fields } from "./Socket.js"

export interface Position {
  readonly epoch: string
  readonly pos: number
}

export class Stream {
  /** Where to resume from. */
  position: Position | undefined
  /** Since when it is here: what is sent later it must see the end of. */
  since: number | undefined
  /** When it was told that what it missed is gone. */
  lostAt: number | undefined
  readonly #client: number
  readonly #ledger: Ledger
  readonly #report: Report
  /** The life that the position is of. */
  #life: number | undefined
  // Of the connection.
  #seq = 0
  #epoch: string | undefined
  #floor = 0
  #resumedFrom = -1
  #resetDue = false

  constructor(client: number, ledger: Ledger, report: Report) {
    this.#client = client
    this.#ledger = ledger
    this.#report = report
  }

  /** A new connection, to this life of the gateway: `hello-ok` is here. What an epoch looks like is the gateway's business. */
  hello(payload: Readonly<Record<string, unknown>>, life: number): void {
    const { epoch, pos } = fields(payload["resume"])
    const before = this.position
    this.#seq = 0
    this.#epoch = typeof epoch === "string" ? epoch : undefined
    this.#resumedFrom = before !== undefined && this.#life === life ? before.pos : -1
    this.#floor = Math.max(0, this.#resumedFrom)
    this.#resetDue = before !== undefined && this.#life !== life
    // Without a position there is nothing to catch up with: what comes is live, from here on.
    if (typeof epoch === "string" && typeof pos === "number") this.position ??= { epoch, pos }
    if (before === undefined) this.#life = life
    this.since ??= this.#ledger.tick()
  }

  event({ event, payload, seq }: Event, life: number): void {
    if (event === "connect.challenge") return
    this.#seq += 1
    if (seq !== this.#seq) this.#wrong(`seq ${String(seq)} came where ${this.#seq} was due`, payload)
    if (event === "resume.reset") {
      this.lostAt = this.#ledger.tick()
      this.#resetDue = false
      if (payload["reason"] === "epoch") {
        this.#resumedFrom = -1
        this.#floor = 0
      }
    }
    const { pos } = payload
    const isOfRun = event === "chat" || event === "agent"
    if (isOfRun && this.#resetDue) this.#wrong("an event of a new epoch came before resume.reset", payload)
    if (typeof pos === "number" && this.#epoch !== undefined) {
      if (pos < this.#floor) this.#wrong(`position ${pos} came behind ${this.#floor}`, payload)
      if (isOfRun && pos <= this.#resumedFrom)
        this.#wrong(`position ${pos} came to a client that resumed from ${this.#resumedFrom}`, payload)
      this.#floor = pos
      this.position = { epoch: this.#epoch, pos }
      this.#life = life
    }
    if (event === "chat") this.#ledger.event(this.#client, payload, life)
  }

  #wrong(what: string, payload: unknown): void {
    this.#report("stream-order", `client ${this.#client}`, `client ${this.#client}: ${what}`, payload)
  }
}
