/**
 * ReplyRoom: how much may wait for readers of one principal, over all its connections. A page of history is a thousand times larger
 * than the request for it: without this, many connections that ask and don't read would hold all memory there is.
 *
 * It bounds what only reads (`chat.history` and the like): such a request is begun when there is room. What changes something has
 * short replies and waits for nobody.
 */
import { Effect } from "effect"

/** Bytes (UTF-16 code units) of replies that were made and not yet taken, of one principal. */
const maxWaiting = 64 * 1024 * 1024
/** Requests of one principal that are being answered at once: how long their replies will be is not known yet. */
const maxUnderWay = 16

interface Room {
  waiting: number
  underWay: number
  readonly queue: Array<() => void>
}

export class ReplyRoom {
  readonly #rooms = new Map<string, Room>()

  /** Waits for room, and takes it; to be given back by `leave`. First come, first served. */
  enter(principal: string): Effect.Effect<void> {
    return Effect.async((resume) => {
      const room = this.#roomOf(principal)
      const enter = (): void => {
        room.underWay += 1
        resume(Effect.void)
      }
      if (room.queue.length === 0 && hasRoom(room)) {
        enter()
        return
      }
      room.queue.push(enter)
      return Effect.sync(() => {
        const at = room.queue.indexOf(enter)
        if (at >= 0) room.queue.splice(at, 1)
      })
    })
  }

  /** The request is answered. `size`: what of its reply waits for the reader, to be given back by `taken`. */
  leave(principal: string, size: number): void {
    const room = this.#roomOf(principal)
    room.underWay -= 1
    room.waiting += size
    this.#next(principal, room)
  }

  /** So much does not wait any more. */
  taken(principal: string, size: number): void {
    const room = this.#roomOf(principal)
    room.waiting -= size
    this.#next(principal, room)
  }

  #roomOf(principal: string): Room {
    const known = this.#rooms.get(principal)
    if (known !== undefined) return known
    const made: Room = { waiting: 0, underWay: 0, queue: [] }
    this.#rooms.set(principal, made)
    return made
  }

  #next(principal: string, room: Room): void {
    while (hasRoom(room)) {
      const enter = room.queue.shift()
      if (enter === undefined) break
      enter()
    }
    if (room.waiting === 0 && room.underWay === 0 && room.queue.length === 0) this.#rooms.delete(principal)
  }
}

const hasRoom = ({ underWay, waiting }: Room): boolean => underWay < maxUnderWay && waiting < maxWaiting
