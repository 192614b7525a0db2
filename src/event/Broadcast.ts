/** An event on its way to many connections: encoded once for each view, however many connections share that view. */
import type { AgentText, Delta, HubEvent, Positioned } from "../domain/HubEvent.js"
import type { SessionKey } from "../domain/SessionKey.js"
import { sessionKeyOf } from "../domain/HubEvent.js"
import type * as Event from "../protocol/Event.js"
import * as EventCodec from "../protocol/EventCodec.js"

export class Broadcast {
  readonly name: Event.EventName
  /** Null: everybody may see it. */
  readonly sessionKey: SessionKey | null
  /** Null for what is no event of a run (`tick`, `shutdown`, `resume.reset`). */
  readonly event: HubEvent | null
  /** Null: the payload says it in every view. */
  readonly #pos: number | null
  /** The payload of what is no event of a run. */
  readonly #plain: string
  /** By view. */
  readonly #payloads: Array<string | undefined> = []

  private constructor(name: Event.EventName, pos: number | null, event: HubEvent | null, plain: string) {
    this.name = name
    this.event = event
    this.sessionKey = event === null ? null : sessionKeyOf(event)
    this.#pos = pos
    this.#plain = plain
  }

  /** An event of the hub. */
  static of({ event, pos }: Positioned): Broadcast {
    return new Broadcast(EventCodec.eventName(event), pos, event, "")
  }

  /** Something for connections that have been told everything up to `pos`, the same for all views but for that. */
  static plain(name: "tick" | "shutdown", payload: object, pos: number): Broadcast {
    return new Broadcast(name, pos, null, JSON.stringify(payload))
  }

  /** Tells a connection that what it missed is not whole, and where it is. */
  static reset(reset: typeof Event.ResumeReset.Type): Broadcast {
    return new Broadcast("resume.reset", null, null, JSON.stringify(reset))
  }

  /**
   * The payload for a view, for a reader that has every event before this one. `pos`: its position as this reader counts;
   * absent: as the hub counts.
   */
  payload(view: EventCodec.View, pos?: number): string {
    if (view.positions && pos !== undefined && pos !== this.#pos) {
      return EventCodec.withPosition(this.payload({ ...view, positions: false }), pos)
    }
    const index = (view.version - 3) * 4 + (view.deltaOnly ? 2 : 0) + (view.positions ? 1 : 0)
    return (this.#payloads[index] ??= this.#encode(view))
  }

  /**
   * The payload for a reader that has the text of this revision up to `from` (UTF-16 code units), or, `undefined`, none of
   * it.
   */
  growth(event: Delta | AgentText, view: EventCodec.View, from: number | undefined, pos?: number): string {
    const payload = EventCodec.encodeGrowth(event, view, from)
    const position = pos ?? this.#pos
    return view.positions && position !== null ? EventCodec.withPosition(payload, position) : payload
  }

  #encode(view: EventCodec.View): string {
    if (view.positions && this.#pos !== null) {
      return EventCodec.withPosition(this.payload({ ...view, positions: false }), this.#pos)
    }
    return this.event === null ? this.#plain : EventCodec.encode(this.event, view)
  }
}
