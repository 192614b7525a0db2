/**
 * PasswordHash: scrypt over passwords, which people choose and others guess. One takes about 0.1 s and 32 MiB. It runs on
 * Node's thread pool, which the disk's fsync uses too: callers let one run at a time.
 */
import { scrypt, timingSafeEqual } from "node:crypto"
import { Effect, Redacted } from "effect"
import type { SaltedHash } from "./AccessToken.js"
import * as CryptoRandom from "./CryptoRandom.js"

/** scrypt's cost, block size and parallelization. */
export interface Cost {
  readonly n: number
  readonly r: number
  readonly p: number
}

export interface PasswordHash extends SaltedHash, Cost {}

/** What new passwords are hashed with. */
export const defaultCost: Cost = { n: 2 ** 15, r: 8, p: 1 }

/** The shortest password that may be set, in characters (UTF-16 code units). */
export const minLength = 12
/** The longest. */
export const maxLength = 1024

const hashBytes = 32

/** What is kept of a password. */
export const make = (password: Redacted.Redacted, cost: Cost = defaultCost): Effect.Effect<PasswordHash> =>
  Effect.flatMap(CryptoRandom.makeSalt, (salt) =>
    Effect.map(derive(password, salt, cost), (hash) => ({ salt, hash: hash.toString("base64url"), ...cost }))
  )

/** Is it the password that was kept? `undefined`: there is none, and finding that takes as long. */
export const matches = (
  password: Redacted.Redacted,
  kept: PasswordHash | undefined
): Effect.Effect<boolean> => {
  const { hash, salt, ...cost } = kept ?? nobodys
  const expected = Buffer.from(hash, "base64url")
  return Effect.map(
    derive(password, salt, cost),
    (found) => expected.length === found.length && timingSafeEqual(expected, found) && kept !== undefined
  )
}

// The same characters, however a keyboard composes them. Costs that can't be computed are refused when a file is read.
const derive = (password: Redacted.Redacted, salt: string, { n, p, r }: Cost): Effect.Effect<Buffer> =>
  Effect.async((resume) => {
    scrypt(
      Redacted.value(password).normalize("NFKC"),
      Buffer.from(salt, "base64url"),
      hashBytes,
      { N: n, r, p, maxmem: 128 * r * (n + p + 2) * 2 },
      (error, key) => resume(error === null ? Effect.succeed(key) : Effect.die(error))
    )
  })

const nobodys: PasswordHash = { salt: "A".repeat(22), hash: "A".repeat(43), ...defaultCost }
