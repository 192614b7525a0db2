/** A client that comes and goes, reads when it likes, and remembers everything that it has read. */
import { Either } from "effect"
import * as SessionPatterns from "../../src/domain/SessionPatterns.js"
import type { SessionKey } from "../../src/domain/SessionKey.js"
import type { Position } from "../../src/domain/Position.js"
import type { FanOutShape } from "../../src/event/FanOut.js"
import { Outbox } from "../../src/event/Outbox.js"
import type { View } from "../../src/protocol/EventCodec.js"
import type * as FakeSink from "../support/FakeSink.js"

export interface Seen {
  readonly frame: FakeSink.Frame
  /** Which connection it came over. */
  readonly connection: number
  /** How many events there were when it was sent. */
  readonly logged: number
}

export interface World {
  readonly fanOut: FanOutShape
  /** The position of an event as this reader counts, by its frame; undefined for what is no event of a session. */
  readonly positionOf: (frame: FakeSink.Frame, reader: Reader) => number | undefined
  /** How many events were published. */
  readonly logged: () => number
}

export interface Spec {
  readonly view: View
  readonly sessions: ReadonlyArray<SessionKey>
  /** Does it see all sessions, those that there may be included? */
  readonly isOwner: boolean
  readonly hearsChanges: boolean
}

/** What a frame that was not read counts: a few of them are more than a socket takes. */
const frameBytes = 20_000

export class Reader {
  readonly view: View
  readonly sessions: ReadonlyArray<SessionKey>
  /** Is it told what was done to sessions? */
  readonly hearsChanges: boolean
  readonly patterns: SessionPatterns.SessionPatterns
  readonly read: Array<Seen> = []
  /** Where its first connection began. */
  readonly start: number
  readonly #world: World
  #position: Position
  #outbox: Outbox | undefined
  #unread: Array<Seen> = []
  #taken = 0
  #stalled = false
  #connection = 0

  constructor(world: World, { hearsChanges, isOwner, sessions, view }: Spec) {
    this.#world = world
    this.view = view
    this.sessions = sessions
    this.hearsChanges = hearsChanges
    this.patterns = isOwner ? SessionPatterns.all : Either.getOrThrow(SessionPatterns.parse(sessions))
    this.#position = this.#connect(undefined)
    this.start = this.#position.pos
  }

  get isHere(): boolean {
    return this.#outbox !== undefined
  }

  /** Reads nothing from now on. */
  stall(): void {
    this.#stalled = true
  }

  /** Reads so many frames more. */
  take(count: number): void {
    for (const seen of this.#unread.splice(0, count)) this.#see(seen)
    this.#outbox?.drained()
  }

  /** Reads everything from now on. */
  flow(): void {
    this.#stalled = false
    while (this.#unread.length > 0) this.take(this.#unread.length)
    this.#outbox?.drained()
  }

  /** Goes away. What it has not read is lost. */
  leave(): void {
    if (this.#outbox === undefined) return
    this.#world.fanOut.detach(this.#outbox)
    this.#outbox.abandon()
    this.#outbox = undefined
    this.#unread = []
    this.#stalled = false
  }

  /** Comes back to where it was. */
  come(): void {
    if (this.#outbox === undefined) this.#connect(this.#position)
  }

  #connect(resume: Position | undefined): Position {
    const connection = ++this.#connection
    const outbox = new Outbox({
      view: this.view,
      sessions: this.patterns,
      hearsChanges: this.hearsChanges,
      maxBufferedBytes: 1_000_000_000,
      sink: {
        write: (text) => {
          // What is still written to a connection that is gone reaches nobody.
          if (connection !== this.#connection) return
          const seen = { frame: JSON.parse(text), connection, logged: this.#world.logged() }
          if (this.#stalled) this.#unread.push(seen)
          else this.#see(seen)
        },
        buffered: () => this.#unread.length * frameBytes,
        taken: () => this.#taken,
        close: () => undefined,
        pause: () => undefined,
        resume: () => undefined,
        admitted: () => undefined
      }
    })
    this.#outbox = outbox
    return this.#world.fanOut.attach(outbox, resume)
  }

  #see(seen: Seen): void {
    this.#taken += frameBytes
    this.read.push(seen)
    const { event, payload } = seen.frame
    const pos = Number(payload?.["pos"] ?? this.#world.positionOf(seen.frame, this) ?? this.#position.pos)
    const epoch = event === "resume.reset" ? String(payload?.["epoch"]) : this.#position.epoch
    this.#position = { epoch, pos }
  }
}
