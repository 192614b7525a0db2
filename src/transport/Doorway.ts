/**
 * Doorway: the connections that have not logged in, from the moment their socket is there. They are bounded, in all and of each
 * address. When there is no room it is the one that has stood there longest without a word that goes: a client that means it
 * logs in within milliseconds, so refusing newcomers instead would let a few silent sockets keep everybody out.
 */
import * as AddressKey from "../auth/AddressKey.js"

export interface DoorwayOptions {
  readonly max: number
  readonly maxPerAddress: number
}

/** One who stands there. */
export interface Visitor {
  /** Its first frame is here: from now on others go before it. */
  readonly speaks: () => void
  /** It has turned out to come from this address, and counts there. Where that is no news, nothing changes. */
  readonly comesFrom: (address: string) => void
  /** It has come in, or is gone. Doing it again changes nothing. */
  readonly leaves: () => void
}

interface Standing {
  addressKey: string | undefined
  readonly cutOff: () => void
}

export class Doorway {
  readonly #options: DoorwayOptions
  readonly #all = new Set<Standing>()
  readonly #byAddress = new Map<string, Set<Standing>>()

  constructor(options: DoorwayOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#all.size
  }

  /** `address`: undefined: that of a proxy, behind which there are many. `cutOff` ends the connection, now. */
  enter(address: string | undefined, cutOff: () => void): Visitor {
    const standing: Standing = {
      addressKey: address === undefined ? undefined : AddressKey.of(address),
      cutOff
    }
    this.#admit(standing)
    return {
      comesFrom: (address) => {
        const addressKey = AddressKey.of(address)
        if (addressKey === standing.addressKey || !this.#remove(standing)) return
        standing.addressKey = addressKey
        this.#admit(standing)
      },
      speaks: () => {
        // At the end of the line.
        if (this.#remove(standing)) this.#add(standing)
      },
      leaves: () => void this.#remove(standing)
    }
  }

  /** Makes room, if there is none, and puts it at the end of the line. */
  #admit(standing: Standing): void {
    const { addressKey } = standing
    const ofAddress = addressKey === undefined ? undefined : this.#byAddress.get(addressKey)
    if (ofAddress !== undefined && ofAddress.size >= this.#options.maxPerAddress) this.#push(ofAddress)
    else if (this.#all.size >= this.#options.max) this.#push(this.#all)
    this.#add(standing)
  }

  #push(line: ReadonlySet<Standing>): void {
    const [first] = line
    if (first === undefined) return
    this.#remove(first)
    first.cutOff()
  }

  #add(standing: Standing): void {
    this.#all.add(standing)
    const { addressKey } = standing
    if (addressKey === undefined) return
    const ofAddress = this.#byAddress.get(addressKey)
    if (ofAddress === undefined) this.#byAddress.set(addressKey, new Set([standing]))
    else ofAddress.add(standing)
  }

  #remove(standing: Standing): boolean {
    if (!this.#all.delete(standing)) return false
    const { addressKey } = standing
    if (addressKey === undefined) return true
    const ofAddress = this.#byAddress.get(addressKey)
    ofAddress?.delete(standing)
    if (ofAddress?.size === 0) this.#byAddress.delete(addressKey)
    return true
  }
}
