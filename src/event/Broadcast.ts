/** An event on its way to many connections: encoded once for each view, however many connections share that view. */
import type { HubEvent } from "../domain/HubEvent.js"
import type { SessionKey } from "../domain/SessionKey.js"
import { sessionKeyOf } from "../domain/HubEvent.js"
import type { EventName } from "../protocol/Event.js"
import * as EventCodec from "../protocol/EventCodec.js"

export class Broadcast {
  readonly name: EventName
  /** Null: everybody may see it. */
  readonly sessionKey: SessionKey | null
  /** Null for what is no event of a run (`tick`, `shutdown`). */
  readonly event: HubEvent | null
  readonly #payloads: Array<string | undefined>

  private constructor(name: EventName, event: HubEvent | null, payloads: Array<string | undefined>) {
    this.name = name
    this.event = event
    this.sessionKey = event === null ? null : sessionKeyOf(event)
    this.#payloads = payloads
  }

  /** An event of the hub. */
  static of(event: HubEvent): Broadcast {
    return new Broadcast(EventCodec.eventName(event), event, [])
  }

  /** Something for every connection, the same for all views. */
  static plain(name: EventName, payload: unknown): Broadcast {
    const encoded = JSON.stringify(payload)
    return new Broadcast(name, null, [encoded, encoded, encoded, encoded])
  }

  /** The payload for a view, for a reader that has every event before this one. */
  payload(view: EventCodec.View): string {
    const index = (view.version - 3) * 2 + (view.deltaOnly ? 1 : 0)
    const known = this.#payloads[index]
    if (known !== undefined || this.event === null) return known ?? "null"
    const encoded = EventCodec.encode(this.event, view)
    this.#payloads[index] = encoded
    return encoded
  }
}
