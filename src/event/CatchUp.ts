/**
 * CatchUp: a connection that is behind and is being given what it missed, as fast as its reader takes it: it has come back, or
 * more came than it could take. Until that is done it hangs here and not on the fan-out; how far it is, is its cursor.
 */
import { type HubEvent, sessionKeyOf } from "../domain/HubEvent.js"
import * as Position from "../domain/Position.js"
import * as CloseCode from "../protocol/CloseCode.js"
import * as Event from "../protocol/Event.js"
import { Broadcast } from "./Broadcast.js"
import type { Outbox } from "./Outbox.js"
import type { Perspective } from "./Perspective.js"
import { isRetoldTo, type Replay } from "./Replay.js"

/** Events that are looked at in one go. */
const batchSize = 256

/** Where the gateway is, and how its clients count. */
export interface Here {
  /** This life of the gateway. */
  readonly life: string
  readonly replay: Replay
  /** Null: the connection sees everything and counts as the hub does. */
  readonly perspective: Perspective | null
}

/** Where a connection is, in the positions of the hub and in its own, and what it has to be told first. */
interface Start {
  readonly cursor: number
  readonly position: number
  readonly reset?: "epoch" | "expired" | undefined
  /** Where in an older life the client has come from. */
  readonly from?: Position.Position | undefined
  /** Would the client understand that it has missed something? */
  readonly understandsReset: boolean
}

export class CatchUp {
  readonly outbox: Outbox
  /** The epoch as this client is to know it. */
  readonly epoch: string
  readonly #here: Here
  readonly #understandsReset: boolean
  /** Where in an older life the client has come from. */
  readonly #from: Position.Position | undefined
  #cursor: number
  #position: number
  /** A reset that the client has to be told first. */
  #reset: "epoch" | "expired" | undefined
  /** The floor that the last reset has told. */
  #told = 0

  private constructor(outbox: Outbox, here: Here, start: Start) {
    const { cursor, from, position, reset, understandsReset } = start
    this.outbox = outbox
    this.#here = here
    this.#understandsReset = understandsReset
    this.#cursor = cursor
    this.#position = position
    this.#from = from
    this.#reset = reset
    const epoch = Position.makeEpoch(here.life, here.perspective?.id)
    this.epoch =
      from !== undefined && here.replay.retells(from, cursor, (event) => isSeen(here, event))
        ? Position.carry(epoch, from)
        : epoch
  }

  /** A connection that has come back. `newest` is the position that the live ones have been given, of the hub. */
  static resume(outbox: Outbox, here: Here, asked: Position.Position, newest: number): CatchUp {
    const { life, perspective } = here
    const carried = Position.parse(asked.epoch)
    // Of another life, or of another perspective, it can't have seen anything of this one.
    if (carried.epoch !== Position.makeEpoch(life, perspective?.id)) {
      const from = { epoch: carried.epoch, pos: asked.pos }
      return new CatchUp(outbox, here, {
        cursor: 0,
        position: 0,
        reset: "epoch",
        from,
        understandsReset: true
      })
    }
    const end = perspective === null ? newest : perspective.position
    const position = Math.min(asked.pos, end)
    return new CatchUp(outbox, here, {
      position,
      cursor: perspective === null ? position : perspective.toHub(position),
      // Nobody was ever told that position.
      reset: asked.pos > end ? "expired" : undefined,
      from: carried.from,
      understandsReset: true
    })
  }

  /**
   * A live connection that can take no more for now. It was given everything up to `cursor`, a position of the hub, which is
   * `position` as it counts.
   */
  static fallBehind(outbox: Outbox, here: Here, cursor: number, position: number): CatchUp {
    return new CatchUp(outbox, here, { cursor, position, understandsReset: outbox.knowsPositions })
  }

  /** The connection has been given everything up to this position, as it counts. */
  get position(): number {
    return this.#position
  }

  /**
   * Gives the connection what comes next, until something waits in its outbox; answers how many events were looked at, and
   * whether nothing is left: then the cursor is at `delivered`, where the live connections are.
   */
  advance(delivered: number): { readonly looked: number; readonly isLive: boolean } {
    if (this.outbox.isWaiting) return { looked: 0, isLive: false }
    if (!this.#tellReset()) return { looked: 0, isLive: false }
    const { perspective, replay } = this.#here
    const batch = replay.after(this.#cursor, batchSize)
    for (const [index, { event, pos }] of batch.entries()) {
      this.#cursor = pos
      if (!isSeen(this.#here, event)) continue
      this.#position = perspective === null ? pos : perspective.fromHub(pos)
      if (!this.#isToldTo(event)) continue
      this.outbox.replay(Broadcast.of({ event, pos }), this.#position)
      if (this.outbox.isWaiting) return { looked: index + 1, isLive: false }
    }
    if (batch.length === batchSize) return { looked: batchSize, isLive: false }
    this.#cursor = delivered
    this.#position = perspective === null ? delivered : perspective.position
    return { looked: batch.length, isLive: true }
  }

  #isToldTo(event: HubEvent): boolean {
    if (event._tag === "SessionChanged") return this.outbox.hearsChanges
    if (event._tag !== "Terminal" || event.retold === undefined) return true
    return this.#from !== undefined && isRetoldTo(event, this.#from)
  }

  /** What was behind the cursor may have been given up meanwhile, too. `false`: the connection had to be ended. */
  #tellReset(): boolean {
    const { perspective, replay } = this.#here
    const floors = perspective ?? replay
    const floor = this.outbox.hearsChanges ? Math.max(floors.floor, floors.changesFloor) : floors.floor
    const isLost = this.#position < floor && this.#told < floor
    const reason = this.#reset ?? (isLost ? "expired" : undefined)
    if (reason === undefined) return true
    if (!this.#understandsReset) {
      // It comes back, and reloads.
      this.outbox.close(CloseCode.slowConsumer)
      return false
    }
    this.#reset = undefined
    this.#told = floor
    const reload = this.outbox.hearsChanges ? Event.reloadWithSessions : Event.reload
    const reset = { reason, epoch: this.epoch, pos: this.#position, reload }
    this.outbox.reset(Broadcast.reset(reset))
    return true
  }
}

const isSeen = ({ perspective }: Here, event: HubEvent): boolean =>
  perspective === null || perspective.sees(sessionKeyOf(event))
