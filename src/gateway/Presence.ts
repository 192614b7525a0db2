/** Presence: the connections of this process, those that have not said `connect` included. */
import { Context, Effect, Layer } from "effect"
import type { Disconnect } from "../protocol/CloseCode.js"

/** A connection, as far as others need to know it. */
export interface Member {
  readonly disconnect: (disconnect: Disconnect) => void
}

export interface PresenceShape {
  readonly enter: (member: Member) => void
  readonly leave: (member: Member) => void
  readonly all: () => ReadonlyArray<Member>
  readonly count: () => number
}

export class Presence extends Context.Tag("colloquy/Presence")<Presence, PresenceShape>() {}

export const layer: Layer.Layer<Presence> = Layer.effect(
  Presence,
  Effect.sync(() => {
    const members = new Set<Member>()
    return {
      enter: (member) => void members.add(member),
      leave: (member) => void members.delete(member),
      all: () => [...members],
      count: () => members.size
    }
  })
)
