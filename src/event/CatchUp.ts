/**
 * CatchUp: a connection that has come back and is being given what it missed, as fast as its reader takes it. Until that is
 * done it hangs here and not on the fan-out; how far it is, is its cursor.
 */
import { type HubEvent, sessionKeyOf } from "../domain/HubEvent.js"
import * as Position from "../domain/Position.js"
import * as Event from "../protocol/Event.js"
import { Broadcast } from "./Broadcast.js"
import type { Outbox } from "./Outbox.js"
import { isRetoldTo, type Replay } from "./Replay.js"

/** Events that are looked at in one go. */
const batchSize = 256

export class CatchUp {
  readonly outbox: Outbox
  /** The epoch as this client is to know it. */
  readonly epoch: string
  readonly #replay: Replay
  /** Where in an older life the client has come from. */
  readonly #from: Position.Position | undefined
  #cursor: number
  /** A reset that the client has to be told first. */
  #reset: "epoch" | "expired" | undefined
  /** The floor that the last reset has told. */
  #told = 0

  /** `at` is where the gateway is now: `pos` is what the live connections have been given. */
  constructor(outbox: Outbox, asked: Position.Position, replay: Replay, at: Position.Position) {
    this.outbox = outbox
    this.#replay = replay
    const carried = Position.parse(asked.epoch)
    const isOlder = carried.epoch !== at.epoch
    if (isOlder) this.#reset = "epoch"
    // Nobody was ever told that position.
    else if (asked.pos > at.pos) this.#reset = "expired"
    // Of another life, it can't have seen any of this one.
    this.#cursor = isOlder ? 0 : Math.min(asked.pos, at.pos)
    this.#from = isOlder ? { epoch: carried.epoch, pos: asked.pos } : carried.from
    this.epoch =
      this.#from !== undefined && replay.retells(this.#from, this.#cursor)
        ? Position.carry(at.epoch, this.#from)
        : at.epoch
  }

  /** The connection has been given everything up to this position. */
  get cursor(): number {
    return this.#cursor
  }

  /**
   * Gives the connection what comes next, until something waits in its outbox; answers how many events were looked at, and
   * whether nothing is left: then the cursor is at `delivered`, where the live connections are.
   */
  advance(delivered: number): { readonly looked: number; readonly isLive: boolean } {
    this.#tellReset()
    const batch = this.#replay.after(this.#cursor, batchSize)
    for (const [index, { event, pos }] of batch.entries()) {
      this.#cursor = pos
      if (!this.#isMissed(event)) continue
      this.outbox.replay(Broadcast.of({ event, pos }))
      if (this.outbox.isWaiting) return { looked: index + 1, isLive: false }
    }
    if (batch.length === batchSize) return { looked: batchSize, isLive: false }
    this.#cursor = delivered
    return { looked: batch.length, isLive: true }
  }

  #isMissed(event: HubEvent): boolean {
    if (!this.outbox.sees(sessionKeyOf(event))) return false
    if (event._tag !== "Terminal" || event.retold === undefined) return true
    return this.#from !== undefined && isRetoldTo(event, this.#from)
  }

  /** What was behind the cursor may have been given up meanwhile, too. */
  #tellReset(): void {
    const { floor } = this.#replay
    const isLost = this.#cursor < floor && this.#told < floor
    const reason = this.#reset ?? (isLost ? "expired" : undefined)
    if (reason === undefined) return
    this.#reset = undefined
    this.#told = floor
    const reset = { reason, epoch: this.epoch, pos: this.#cursor, reload: Event.reload }
    this.outbox.reset(Broadcast.reset(reset))
  }
}
