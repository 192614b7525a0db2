/**
 * Callers: the TCP sockets of a server, from the moment they are there, and who of them stands at the door. A request's socket
 * is another one over TLS, so they are found by the other end's address and port.
 */
import type * as Net from "node:net"
import type { Peer } from "../domain/Peer.js"
import type { Doorway, Visitor } from "./Doorway.js"
import type { TrustedProxies } from "./TrustedProxies.js"

export interface Caller {
  /** The socket that the system writes to, also where TLS is spoken over it. */
  readonly tcp: Net.Socket
  readonly visitor: Visitor
}

export class Callers {
  readonly #callers = new Map<string, Caller>()
  readonly #doorway: Doorway
  readonly #proxies: TrustedProxies

  constructor(doorway: Doorway, proxies: TrustedProxies) {
    this.#doorway = doorway
    this.#proxies = proxies
  }

  get size(): number {
    return this.#callers.size
  }

  /** A socket is there. Behind a trusted proxy there are many, so it counts for no address yet. */
  enter(tcp: Net.Socket): void {
    const address = tcp.remoteAddress ?? ""
    const end = endOf(tcp)
    const visitor = this.#doorway.enter(this.#proxies.trusts(address) ? undefined : address, () =>
      tcp.destroy()
    )
    const caller = { tcp, visitor }
    this.#callers.set(end, caller)
    tcp.once("close", () => {
      visitor.leaves()
      // A port may be used again before the close of the socket before is told.
      if (this.#callers.get(end) === caller) this.#callers.delete(end)
    })
  }

  /** Who has sent a request over this socket; behind a trusted proxy it counts, from now on, for the address that was named. */
  find(socket: Net.Socket, peer: Peer): Caller | undefined {
    const caller = this.#callers.get(endOf(socket))
    if (caller !== undefined && !this.#proxies.trusts(peer.address)) caller.visitor.comesFrom(peer.address)
    return caller
  }

  /** Cuts off all that are left, those too that have not got as far as a request. */
  cutOff(): void {
    for (const { tcp } of this.#callers.values()) tcp.destroy()
  }
}

const endOf = ({ remoteAddress, remotePort }: Net.Socket): string => `${remoteAddress} ${remotePort}`
