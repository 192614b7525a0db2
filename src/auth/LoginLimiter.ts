/**
 * LoginLimiter: who has failed to log in too often, and must wait. Failures count against the address that they came from and
 * against the principal that they named. Pure: it is told the time.
 *
 * A success takes back only what the same address has failed for the same principal: whoever has a credential can't wipe out
 * the guesses that they make at another's. And nobody can lock a principal out by failing in its name: the principal's limit
 * does not count for addresses from which it has come in lately, nor on this machine. Theirs does, always.
 */
import type { Peer } from "../domain/Peer.js"
import * as AddressKey from "./AddressKey.js"
import { FailureTally, maxKeys } from "./FailureTally.js"

/** Who tries to come in. */
export interface Attempt {
  readonly peer: Peer
  /** The principal that is named, whether there is one of that name or not. */
  readonly principal: string
}

/** Addresses that are remembered for each principal, and for how long, in milliseconds. */
const maxKnownAddresses = 8
const knownForMs = 24 * 3_600_000

export class LoginLimiter {
  readonly #addresses: FailureTally
  readonly #principals: FailureTally
  /** By principal: the addresses that it has come from, and when last. Those in the order of their last logins. */
  readonly #known = new Map<string, Map<string, number>>()

  /** `maxFailures`: attempts that may fail until there is a back-off. */
  constructor(maxFailures: number) {
    this.#addresses = new FailureTally(maxFailures)
    this.#principals = new FailureTally(maxFailures)
  }

  /** Milliseconds until an attempt is looked at again; 0: now. */
  retryAfter({ peer, principal }: Attempt, now: number): number {
    const address = AddressKey.of(peer.address)
    const own = this.addressRetryAfter(peer, now)
    return peer.isLocal || this.#isKnown(principal, address, now)
      ? own
      : Math.max(own, this.#principals.retryAfter(principal, now))
  }

  /** The same as far as it is for the address: what others have failed at does not count. */
  addressRetryAfter(peer: Peer, now: number): number {
    return this.#addresses.retryAfter(AddressKey.of(peer.address), now)
  }

  failed({ peer, principal }: Attempt, now: number): void {
    const address = AddressKey.of(peer.address)
    this.#addresses.failed(address, principal, now)
    this.#principals.failed(principal, address, now)
  }

  succeeded({ peer, principal }: Attempt, now: number): void {
    const address = AddressKey.of(peer.address)
    this.#addresses.forgive(address, principal)
    this.#principals.forgive(principal, address)
    const known = this.#known.get(principal) ?? new Map<string, number>()
    touch(known, address, now, maxKnownAddresses)
    touch(this.#known, principal, known, maxKeys)
  }

  #isKnown(principal: string, address: string, now: number): boolean {
    const at = this.#known.get(principal)?.get(address)
    return at !== undefined && now - at < knownForMs
  }
}

/** Sets a value and makes it the newest; the oldest goes when there are more than `max`. */
const touch = <V>(map: Map<string, V>, key: string, value: V, max: number): void => {
  map.delete(key)
  map.set(key, value)
  if (map.size <= max) return
  const [oldest] = map.keys()
  if (oldest !== undefined) map.delete(oldest)
}
