/**
 * Replay: the events that are kept for clients that come back. Bounded in events and in bytes; of an answer that grows only
 * the newest piece is kept, and none behind its end.
 *
 * What is given up first is the oldest that is no end: an end (`Terminal`, `Injected`) is what a client must not miss. But
 * ends alone would fill the buffer in time, and then every client that comes back would have missed something else; so
 * when ends hold more than half of a bound, the oldest of all goes.
 *
 * What was done to sessions (`SessionChanged`) has room of its own, so that whoever does not ask for it misses nothing for it:
 * of each session the newest of each kind, and a quarter as many as of the others.
 */
import type { HubEvent, Positioned, SessionChanged } from "../domain/HubEvent.js"
import type { RunId } from "../domain/Ids.js"
import type { Position } from "../domain/Position.js"
import * as Positions from "../domain/Position.js"
import * as Footprint from "./Footprint.js"
import { type Entry, PositionQueue } from "./PositionQueue.js"

export interface ReplayOptions {
  /** Changes of sessions aside. */
  readonly maxEvents: number
  /** As `Footprint` estimates them. */
  readonly maxBytes: number
  /** An event is given up that somebody may miss. */
  readonly onLoss?: (lost: Positioned) => void
}

export class Replay {
  readonly #options: ReplayOptions
  readonly #ends = new PositionQueue()
  readonly #others = new PositionQueue()
  readonly #changes = new PositionQueue()
  /** The newest change of each session, by its kind. */
  readonly #newestChange = new Map<string, Entry>()
  /** The piece of each answer that is kept. */
  readonly #pieces = { Delta: new Map<RunId, Entry>(), AgentText: new Map<RunId, Entry>() }
  #floor: number
  #changesFloor: number

  /** A buffer for the events behind a position. */
  constructor(options: ReplayOptions, pos: number) {
    this.#options = options
    this.#floor = pos
    this.#changesFloor = pos
  }

  /** Whoever is at this position or behind it can be given all that came since, changes of sessions aside. */
  get floor(): number {
    return this.#floor
  }

  /** The same for changes of sessions. */
  get changesFloor(): number {
    return this.#changesFloor
  }

  /** Takes in the next event. */
  push({ event, pos }: Positioned): void {
    const entry: Entry = { pos, event, bytes: Footprint.bytesOf(event) }
    switch (event._tag) {
      case "Terminal":
        this.#cover("Delta", event.run.runId)
        this.#ends.push(entry)
        break
      case "Injected":
        this.#ends.push(entry)
        break
      case "Delta":
      case "AgentText":
        this.#cover(event._tag, event.run.runId)
        this.#pieces[event._tag].set(event.run.runId, entry)
        this.#others.push(entry)
        break
      case "AgentActivity":
      case "PermissionAsked":
      case "PermissionResolved":
        this.#others.push(entry)
        break
      case "SessionChanged":
        this.#pushChange(event, entry)
        return
    }
    this.#trim()
  }

  /** The oldest events behind a position that are kept, in order, `max` at most. */
  after(pos: number, max: number): ReadonlyArray<Positioned> {
    const found: Array<Positioned> = []
    const behind = merge(merge(this.#ends.after(pos), this.#others.after(pos)), this.#changes.after(pos))
    while (found.length < max) {
      const next = behind.next().value
      if (next === undefined) break
      found.push(next)
    }
    return found
  }

  /** Is the event of this position kept? */
  keeps(pos: number): boolean {
    return this.#ends.has(pos) || this.#others.has(pos) || this.#changes.has(pos)
  }

  /** Is there an end behind `pos` that is retold to whoever was at `from` and sees it? */
  retells(from: Position, pos: number, sees: (event: HubEvent) => boolean): boolean {
    for (const { event } of this.#ends.after(pos)) if (isRetoldTo(event, from) && sees(event)) return true
    return false
  }

  /** What follows says all that the kept piece says: nobody misses it. */
  #cover(tag: "Delta" | "AgentText", runId: RunId): void {
    const piece = this.#pieces[tag].get(runId)
    if (piece === undefined) return
    this.#pieces[tag].delete(runId)
    this.#others.remove(piece)
  }

  #pushChange({ reason, sessionKey }: SessionChanged, entry: Entry): void {
    const kind = `${reason} ${sessionKey}`
    const older = this.#newestChange.get(kind)
    if (older !== undefined) this.#changes.remove(older)
    this.#newestChange.set(kind, entry)
    this.#changes.push(entry)
    if (this.#changes.size <= this.#options.maxEvents / 4) return
    const oldest = this.#changes.oldest()
    if (oldest?.event?._tag !== "SessionChanged") return
    const { event, pos } = oldest
    this.#changesFloor = pos
    this.#options.onLoss?.({ pos, event })
    this.#newestChange.delete(`${event.reason} ${event.sessionKey}`)
    this.#changes.remove(oldest)
  }

  #trim(): void {
    const { maxBytes, maxEvents } = this.#options
    while (true) {
      const tooMany = this.#ends.size + this.#others.size > maxEvents
      const tooLarge = this.#ends.bytes + this.#others.bytes > maxBytes
      if (!tooMany && !tooLarge) return
      const isMostlyEnds =
        (tooMany && 2 * this.#ends.size > maxEvents) || (tooLarge && 2 * this.#ends.bytes > maxBytes)
      const end = this.#ends.oldest()
      const other = this.#others.oldest()
      const isEndNext = end !== undefined && (other === undefined || (isMostlyEnds && end.pos < other.pos))
      const entry = isEndNext ? end : other
      if (entry?.event === undefined) return
      this.#floor = Math.max(this.#floor, entry.pos)
      const { event } = entry
      this.#options.onLoss?.({ pos: entry.pos, event })
      if (event._tag === "Delta" || event._tag === "AgentText") {
        this.#pieces[event._tag].delete(event.run.runId)
      }
      const queue = isEndNext ? this.#ends : this.#others
      queue.remove(entry)
    }
  }
}

/** Two rows that rise, as one. */
function* merge(
  left: Iterator<Positioned, undefined>,
  right: Iterator<Positioned, undefined>
): Generator<Positioned, undefined> {
  let one = left.next().value
  let other = right.next().value
  while (true) {
    if (one !== undefined && (other === undefined || one.pos < other.pos)) {
      yield one
      one = left.next().value
    } else if (other !== undefined) {
      yield other
      other = right.next().value
    } else return undefined
  }
}

/** Is this an end that is retold, and to whoever was at `from`? */
export const isRetoldTo = (event: HubEvent, from: Position): boolean => {
  if (event._tag !== "Terminal" || event.retold === undefined) return false
  const { epoch, older, perspectives, pos } = event.retold
  const { life, perspective } = Positions.parseEpoch(from.epoch)
  if (life !== epoch) return older.includes(life)
  if (perspective === undefined) return from.pos <= pos
  // That it was told to nobody is known; else who has no position of it can't have been there.
  return perspectives === undefined || from.pos < (perspectives[perspective] ?? 0)
}
