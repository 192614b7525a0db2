/** Presence: the connections of this process, those that have not said `connect` included. */
import { Context, Effect, Layer } from "effect"
import type { Disconnect } from "../protocol/CloseCode.js"

/** A connection, as far as others need to know it. */
export interface Member {
  readonly disconnect: (disconnect: Disconnect) => void
  /** Ends the connection if what it has logged in with is not what it was. */
  readonly recheck: () => void
}

export interface PresenceShape {
  readonly enter: (member: Member) => void
  /** The connection has logged in. */
  readonly admit: (member: Member, principal: string) => void
  readonly leave: (member: Member) => void
  readonly all: () => ReadonlyArray<Member>
  /** All connections, or those of one principal. */
  readonly count: (principal?: string) => number
}

export class Presence extends Context.Tag("colloquy/Presence")<Presence, PresenceShape>() {}

export const layer: Layer.Layer<Presence> = Layer.effect(
  Presence,
  Effect.sync(() => {
    /** With their principals. */
    const members = new Map<Member, string | undefined>()
    const counts = new Map<string, number>()
    const add = (principal: string, change: 1 | -1): void => {
      const count = (counts.get(principal) ?? 0) + change
      if (count === 0) counts.delete(principal)
      else counts.set(principal, count)
    }
    return {
      enter: (member) => void members.set(member, undefined),
      admit: (member, principal) => {
        if (!members.has(member)) return
        members.set(member, principal)
        add(principal, 1)
      },
      leave: (member) => {
        const principal = members.get(member)
        members.delete(member)
        if (principal !== undefined) add(principal, -1)
      },
      all: () => [...members.keys()],
      count: (principal) => (principal === undefined ? members.size : (counts.get(principal) ?? 0))
    }
  })
)
