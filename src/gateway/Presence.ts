/** Presence: the connections of this process, those that have not said `connect` included. */
import { Context, Effect, Layer } from "effect"
import type { ConnectionId } from "../domain/Ids.js"
import type { ClientInfo } from "../protocol/Connect.js"
import type { Disconnect } from "../protocol/CloseCode.js"

/** Who is at the other end of a connection that has logged in. */
export interface Guest {
  readonly connectionId: ConnectionId
  /** The name of its principal. */
  readonly principal: string
  readonly client: ClientInfo
  /** Its IP address; empty where there is no network in between. */
  readonly address: string
  /** When it logged in, in milliseconds since the Unix epoch. */
  readonly connectedAt: number
}

/** A connection, as far as others need to know it. */
export interface Member {
  readonly disconnect: (disconnect: Disconnect) => void
  /** Ends the connection if what it has logged in with is not what it was. */
  readonly recheck: () => void
}

export interface PresenceShape {
  readonly enter: (member: Member) => void
  /** The connection has logged in. */
  readonly admit: (member: Member, guest: Guest) => void
  readonly leave: (member: Member) => void
  readonly all: () => ReadonlyArray<Member>
  /** Those that have logged in, in the order in which they came; of one principal or of all. */
  readonly guests: (principal?: string) => ReadonlyArray<Guest>
  /** All connections, or those of one principal. */
  readonly count: (principal?: string) => number
}

export class Presence extends Context.Tag("colloquy/Presence")<Presence, PresenceShape>() {}

export const layer: Layer.Layer<Presence> = Layer.effect(
  Presence,
  Effect.sync(() => {
    const members = new Map<Member, Guest | undefined>()
    const counts = new Map<string, number>()
    const add = (principal: string, change: 1 | -1): void => {
      const count = (counts.get(principal) ?? 0) + change
      if (count === 0) counts.delete(principal)
      else counts.set(principal, count)
    }
    return {
      enter: (member) => void members.set(member, undefined),
      admit: (member, guest) => {
        if (!members.has(member)) return
        members.set(member, guest)
        add(guest.principal, 1)
      },
      leave: (member) => {
        const guest = members.get(member)
        members.delete(member)
        if (guest !== undefined) add(guest.principal, -1)
      },
      all: () => [...members.keys()],
      guests: (principal) =>
        [...members.values()].filter(
          (guest): guest is Guest =>
            guest !== undefined && (principal === undefined || guest.principal === principal)
        ),
      count: (principal) => (principal === undefined ? members.size : (counts.get(principal) ?? 0))
    }
  })
)
