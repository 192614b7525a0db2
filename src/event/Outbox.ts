/**
 * Outbox: what waits for one connection. While the socket takes what it is given, nothing waits here. When it doesn't,
 * frames wait in order, bounded in bytes: of an answer that grows only the newest piece is kept, responses and terminal
 * events are never dropped, and a reader for whom that isn't enough is closed (it can come back and resume).
 *
 * `seq` is given when a frame leaves, so a dropped event leaves no hole in it.
 */
import type { AgentText, Delta } from "../domain/HubEvent.js"
import type { SessionPatterns } from "../domain/SessionPatterns.js"
import * as CloseCode from "../protocol/CloseCode.js"
import * as EventCodec from "../protocol/EventCodec.js"
import { encodeEvent } from "../protocol/Frame.js"
import type { Broadcast } from "./Broadcast.js"

/** The transport's side of a connection. None of these throws or waits. */
export interface Sink {
  /** Hands over a text frame. */
  readonly write: (frame: string) => void
  /** Bytes handed over that the network has not taken. */
  readonly buffered: () => number
  /** Bytes that the network has taken since the connection began. */
  readonly taken: () => number
  /** Ends the connection after what was handed over. */
  readonly close: (disconnect: CloseCode.Disconnect) => void
  /** Stops and resumes reading from the peer. */
  readonly pause: () => void
  readonly resume: () => void
  /** The connection has logged in: what bounds strangers does not bind it any more. Called once at most. */
  readonly admitted: () => void
}

export interface OutboxOptions {
  readonly sink: Sink
  readonly view: EventCodec.View
  /** Whose events the connection may see. */
  readonly sessions: SessionPatterns
  /** Is it told what was done to sessions (`SessionChanged`)? Default no. */
  readonly hearsChanges?: boolean
  /** Bytes that may wait here; more only while they are few large frames. What is in the sink is one frame and a bit. */
  readonly maxBufferedBytes: number
}

/** Bytes in the sink from which on frames wait here, where they can still be coalesced. */
const highWater = 64 * 1024

/** The end of an answer is told in three frames of its size (the raw text twice, the terminal); one may wait before. */
const framesOfOneAnswer = 4

interface Waiting {
  readonly bytes: number
  readonly broadcast: Broadcast | null
  /** The event's position as this reader counts; undefined: as the hub does. */
  readonly pos: number | undefined
  /** The frame, when it is a response. */
  readonly frame: string
  /** The oldest piece of this answer that was dropped in favour of this one. */
  readonly since: Delta | AgentText | null
}

export class Outbox {
  readonly #options: OutboxOptions
  /** By an answer's key where a newer piece replaces an older one, else by an object of its own. */
  readonly #waiting = new Map<unknown, Waiting>()
  /** The answers, by key, whose text the reader has. */
  readonly #following = new Set<string>()
  #waitingBytes = 0
  /** Of what waits, the bytes of the largest frame so far. */
  #largest = 0
  #seq = 0
  #closed = false
  #onWritable: Array<() => void> | undefined
  #onDrained: Array<() => void> | undefined

  constructor(options: OutboxOptions) {
    this.#options = options
  }

  get isClosed(): boolean {
    return this.#closed
  }

  /** Does anything wait here? */
  get isWaiting(): boolean {
    return this.#waiting.size > 0
  }

  /** Does anything wait, here or in the sink? */
  get isBacklogged(): boolean {
    return this.#waiting.size > 0 || this.#options.sink.buffered() > highWater
  }

  /** Bytes that the network has taken. */
  get taken(): number {
    return this.#options.sink.taken()
  }

  /** Does as much wait here as may? */
  get isFull(): boolean {
    return this.#waitingBytes > this.#mostWaiting()
  }

  /** Whose events the connection may see. */
  get sessions(): SessionPatterns {
    return this.#options.sessions
  }

  /** Is it told what was done to sessions? */
  get hearsChanges(): boolean {
    return this.#options.hearsChanges ?? false
  }

  /** Can its client be told that it has missed something, and from where? */
  get knowsPositions(): boolean {
    return this.#options.view.positions
  }

  /** Sends a response. */
  response(frame: string): void {
    if (this.#closed) return
    if (this.#flows()) this.#options.sink.write(frame)
    else
      this.#enqueue(
        {},
        { bytes: Buffer.byteLength(frame), broadcast: null, pos: undefined, frame, since: null }
      )
  }

  /** Sends an event. `pos`: its position as this reader counts, if that is not the hub's. */
  event(broadcast: Broadcast, pos?: number): void {
    if (this.#closed) return
    if (this.#flows()) {
      this.#send(broadcast, pos, null)
      return
    }
    const { event } = broadcast
    const bytes = Buffer.byteLength(broadcast.payload(this.#options.view, pos))
    if (event !== null && (event._tag === "Delta" || event._tag === "AgentText")) {
      const key = answerKey(event)
      const older = this.#waiting.get(key)
      this.#remove(key)
      this.#enqueue(key, {
        bytes,
        broadcast,
        pos,
        frame: "",
        since: older === undefined ? null : firstDropped(older)
      })
    } else if (broadcast.name === "tick") {
      // Says only that the connection lives: one that waits is enough.
      this.#remove("tick")
      this.#enqueue("tick", { bytes, broadcast, pos, frame: "", since: null })
    } else {
      this.#enqueue({}, { bytes, broadcast, pos, frame: "", since: null })
    }
  }

  /**
   * Sends an event that the reader has missed. It need not have the piece of an answer that came before this one: it gets
   * the whole text.
   */
  replay(broadcast: Broadcast, pos?: number): void {
    const { event } = broadcast
    if (event?._tag === "Delta" || event?._tag === "AgentText") this.#following.delete(answerKey(event))
    this.event(broadcast, pos)
  }

  /** Tells the reader that it has missed something: whatever it has of an answer, it gets the whole text next. */
  reset(broadcast: Broadcast): void {
    this.#following.clear()
    this.event(broadcast)
  }

  /** The sink took what it had: goes on. */
  drained(): void {
    for (const [key, entry] of this.#waiting) {
      if (this.#closed || this.#options.sink.buffered() > highWater) return
      this.#remove(key)
      if (entry.broadcast === null) this.#options.sink.write(entry.frame)
      else this.#send(entry.broadcast, entry.pos, entry.since)
    }
    this.#tellWritable()
  }

  /** Calls back, once, when nothing waits any more; at once if nothing waits. */
  whenWritable(callback: () => void): void {
    if (this.#closed || this.#waiting.size === 0) callback()
    else (this.#onWritable ??= []).push(callback)
  }

  /** Calls back, once, when hardly anything waits any more, here or in the sink; at once if that is so. */
  whenDrained(callback: () => void): void {
    if (this.#closed || !this.isBacklogged) callback()
    else (this.#onDrained ??= []).push(callback)
  }

  /** Ends the connection. What waits is handed over first, unless the reader is the reason. */
  close(disconnect: CloseCode.Disconnect): void {
    if (this.#closed) return
    if (disconnect !== CloseCode.slowConsumer) {
      for (const entry of this.#waiting.values()) {
        if (entry.broadcast === null) this.#options.sink.write(entry.frame)
        else this.#send(entry.broadcast, entry.pos, entry.since)
      }
    }
    this.abandon()
    this.#options.sink.close(disconnect)
  }

  /** The connection is gone. */
  abandon(): void {
    this.#closed = true
    this.#waiting.clear()
    this.#waitingBytes = 0
    this.#tellWritable()
  }

  #tellWritable(): void {
    const callbacks = this.#onWritable
    this.#onWritable = undefined
    callbacks?.forEach((callback) => callback())
    if (!this.#closed && this.isBacklogged) return
    const drained = this.#onDrained
    this.#onDrained = undefined
    drained?.forEach((callback) => callback())
  }

  #flows(): boolean {
    return this.#waiting.size === 0 && this.#options.sink.buffered() <= highWater
  }

  #enqueue(key: unknown, entry: Waiting): void {
    // What is large is not slow: an answer comes as several frames in one go, before the network could take any of them.
    this.#largest = Math.max(this.#waiting.size === 0 ? 0 : this.#largest, entry.bytes)
    // Whoever is full is given no event but those that come once (see `FanOut`).
    if (this.isFull && entry.broadcast?.event !== null) {
      this.close(CloseCode.slowConsumer)
      return
    }
    this.#waiting.set(key, entry)
    this.#waitingBytes += entry.bytes
  }

  #mostWaiting(): number {
    return Math.max(this.#options.maxBufferedBytes, framesOfOneAnswer * this.#largest)
  }

  #remove(key: unknown): void {
    const entry = this.#waiting.get(key)
    if (entry === undefined) return
    this.#waiting.delete(key)
    this.#waitingBytes -= entry.bytes
  }

  #send(broadcast: Broadcast, pos: number | undefined, since: Delta | AgentText | null): void {
    this.#seq += 1
    this.#options.sink.write(encodeEvent(broadcast.name, this.#payload(broadcast, pos, since), this.#seq))
  }

  #payload(broadcast: Broadcast, pos: number | undefined, since: Delta | AgentText | null): string {
    const { event } = broadcast
    const { view } = this.#options
    if (event === null) return broadcast.payload(view, pos)
    if (event._tag === "Terminal") {
      for (const tag of ["Delta", "AgentText"] as const)
        this.#following.delete(answerKey({ _tag: tag, run: event.run }))
    }
    if (event._tag !== "Delta" && event._tag !== "AgentText") return broadcast.payload(view, pos)
    const key = answerKey(event)
    if (!this.#following.has(key)) {
      this.#following.add(key)
      // Came in the middle of an answer: it can't append to what it never had.
      if ((since ?? event).from > 0) return broadcast.growth(event, view, undefined, pos)
    }
    if (since === null) return broadcast.payload(view, pos)
    const appends = since.revision === event.revision && !EventCodec.isRewrite(since)
    return broadcast.growth(event, view, appends ? since.from : undefined, pos)
  }
}

const answerKey = (event: Pick<Delta | AgentText, "_tag" | "run">): string =>
  `${event._tag}:${event.run.runId}`

const firstDropped = (older: Waiting): Delta | AgentText | null => {
  if (older.since !== null) return older.since
  const event = older.broadcast?.event
  return event?._tag === "Delta" || event?._tag === "AgentText" ? event : null
}
