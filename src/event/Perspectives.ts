/** Perspectives: those of all who see only some sessions and are, or were lately, connected. */
import { createHash } from "node:crypto"
import type { SessionKey } from "../domain/SessionKey.js"
import type { SessionPatterns } from "../domain/SessionPatterns.js"
import { Perspective } from "./Perspective.js"

/** Perspectives that nobody is connected with, at most: whoever had one of the others is told to reload. */
const maxIdle = 1024
/** Sessions of which it is kept who sees them. */
const maxSessions = 16_384

export class Perspectives {
  /** By their patterns; those that were asked for last come last. */
  readonly #all = new Map<string, Perspective>()
  readonly #seers = new Map<SessionKey, ReadonlyArray<Perspective>>()
  /** Makes ids that say nothing of how many there are. */
  readonly #salt: string
  #made = 0

  constructor(salt: string) {
    this.#salt = salt
  }

  /** Those that see a session. */
  of(sessionKey: SessionKey): ReadonlyArray<Perspective> {
    if (this.#all.size === 0) return nobody
    const known = this.#seers.get(sessionKey)
    if (known !== undefined) return known
    const seers = [...this.#all.values()].filter((perspective) => perspective.sees(sessionKey))
    if (this.#seers.size >= maxSessions) this.#seers.clear()
    this.#seers.set(sessionKey, seers)
    return seers
  }

  /** That of these sessions. A new one is told, in order, what `begin` gives it. */
  for(sessions: SessionPatterns, begin: (perspective: Perspective) => void): Perspective {
    const known = this.#all.get(sessions.key)
    if (known !== undefined) {
      this.#all.delete(sessions.key)
      this.#all.set(sessions.key, known)
      return known
    }
    this.#made += 1
    const id = createHash("sha256").update(`${this.#salt}:${this.#made}`).digest("hex").slice(0, 12)
    const made = new Perspective(id, sessions)
    begin(made)
    this.#forget()
    this.#all.set(sessions.key, made)
    this.#seers.clear()
    return made
  }

  all(): Iterable<Perspective> {
    return this.#all.values()
  }

  /** The idle ones that were asked for longest ago go first. */
  #forget(): void {
    if (this.#all.size < maxIdle) return
    let idle = 0
    for (const { attached } of this.#all.values()) if (attached === 0) idle += 1
    for (const [key, { attached }] of this.#all) {
      if (idle < maxIdle) return
      if (attached > 0) continue
      this.#all.delete(key)
      idle -= 1
    }
  }
}

const nobody: ReadonlyArray<Perspective> = []
