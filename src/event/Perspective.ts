/**
 * Perspective: the positions of those who see only some sessions. They count what they see: a position of the hub would tell
 * them how much else happens. Everybody who sees the same sessions has the same perspective.
 *
 * For each event that is kept for those who come back it knows both positions, so that one can be told from the other.
 */
import type { SessionKey } from "../domain/SessionKey.js"
import type { SessionPatterns } from "../domain/SessionPatterns.js"
import type { Outbox } from "./Outbox.js"

export class Perspective {
  /** Distinguishes it from all that were or will be in this life of the gateway; without meaning. */
  readonly id: string
  readonly sessions: SessionPatterns
  /** The connections that are given what happens as it happens. */
  readonly live = new Set<Outbox>()
  /** Connections that are attached, live or not. */
  attached = 0
  #count = 0
  #lost = 0
  #lostChange = 0
  /** The positions of events in the hub and here, both rising. Some may be of events that are kept no more. */
  #hub: Array<number> = []
  #own: Array<number> = []
  #thinAbove = 128

  constructor(id: string, sessions: SessionPatterns) {
    this.id = id
    this.sessions = sessions
  }

  /** The position of the newest event; 0 before the first. */
  get position(): number {
    return this.#count
  }

  /**
   * The position of the newest event that is given up, changes of sessions aside: what came behind an older one is not
   * whole.
   */
  get floor(): number {
    return this.#lost
  }

  /** The same of what was done to sessions (`SessionChanged`). */
  get changesFloor(): number {
    return this.#lostChange
  }

  sees(sessionKey: SessionKey): boolean {
    return this.sessions.matches(sessionKey)
  }

  /** The next event that it sees, by its position in the hub. */
  push(hubPosition: number): void {
    this.#count += 1
    this.#hub.push(hubPosition)
    this.#own.push(this.#count)
  }

  /** An event that it sees is given up. `isChange`: it is a `SessionChanged`. */
  lose(hubPosition: number, isChange: boolean): void {
    const position = this.fromHub(hubPosition)
    if (isChange) this.#lostChange = Math.max(this.#lostChange, position)
    else this.#lost = Math.max(this.#lost, position)
  }

  /** Its position of the newest event it has seen up to one of the hub that is kept. */
  fromHub(hubPosition: number): number {
    return this.#own[lastUpTo(this.#hub, hubPosition)] ?? 0
  }

  /**
   * A position of the hub behind which there is, of what is kept and it sees, all that came behind its own position, and
   * nothing else.
   */
  toHub(position: number): number {
    return this.#hub[lastUpTo(this.#own, position)] ?? 0
  }

  /** Forgets events that are kept no more, when there are many. */
  thin(isKept: (hubPosition: number) => boolean): void {
    if (this.#hub.length <= this.#thinAbove) return
    const newest = this.#hub.length - 1
    const hub: Array<number> = []
    const own: Array<number> = []
    for (const [index, position] of this.#hub.entries()) {
      // The newest one says where it is, kept or not.
      if (index !== newest && !isKept(position)) continue
      hub.push(position)
      own.push(this.#own[index] ?? 0)
    }
    this.#hub = hub
    this.#own = own
    this.#thinAbove = Math.max(128, 2 * hub.length)
  }
}

/** The last index whose value is at most this; -1: none. */
const lastUpTo = (rising: ReadonlyArray<number>, value: number): number => {
  let low = 0
  let high = rising.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((rising[middle] ?? 0) <= value) low = middle + 1
    else high = middle
  }
  return low - 1
}
