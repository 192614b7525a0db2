/**
 * AccessToken: what a principal's client presents: `cq_<id>_<secret>`. The id (12 characters, `[a-z0-9]`) is no secret: lists
 * and logs may show it, and it says which credential to compare with. The secret is 256 random bits in base64url, so one round
 * of SHA-256 over a salt guards it: a slow hash makes up for secrets that can be guessed, and this one can't be.
 */
import { createHash, timingSafeEqual } from "node:crypto"
import { Effect, Option, Random, Redacted } from "effect"
import * as CryptoRandom from "./CryptoRandom.js"

export interface AccessToken {
  readonly id: string
  readonly secret: Redacted.Redacted
}

/** How a secret is kept: both base64url, 16 and 32 bytes. */
export interface SaltedHash {
  readonly salt: string
  readonly hash: string
}

/** A credential's id. */
export const idPattern = /^[a-z0-9]{12}$/
const pattern = /^cq_([a-z0-9]{12})_([\w-]{43})$/
const letters = "abcdefghijklmnopqrstuvwxyz0123456789"

/** An id for a credential, from Effect's `Random`. */
export const makeId: Effect.Effect<string> = Effect.map(
  Effect.replicateEffect(Random.nextIntBetween(0, letters.length), 12),
  (drawn) => drawn.map((at) => letters.charAt(at)).join("")
)

/** A new token. */
export const make: Effect.Effect<AccessToken> = Effect.zipWith(
  makeId,
  CryptoRandom.makeToken,
  (id, secret) => ({
    id,
    secret: Redacted.make(secret)
  })
)

/** The text that is presented. */
export const show = ({ id, secret }: AccessToken): string => `cq_${id}_${Redacted.value(secret)}`

/** Reads a text, if it is of that form. */
export const parse = (text: string): Option.Option<AccessToken> => {
  const [, id, secret] = pattern.exec(text) ?? []
  return id === undefined || secret === undefined
    ? Option.none()
    : Option.some({ id, secret: Redacted.make(secret) })
}

/** What is kept of a token. */
export const hash = ({ secret }: AccessToken): Effect.Effect<SaltedHash> =>
  Effect.map(CryptoRandom.makeSalt, (salt) => ({ salt, hash: digest(salt, secret).toString("base64url") }))

/** Is it the secret that was kept? `undefined`: there is none, and finding that takes as long. */
export const matches = ({ secret }: AccessToken, kept: SaltedHash | undefined): boolean => {
  const { hash, salt } = kept ?? nobodys
  const expected = Buffer.from(hash, "base64url")
  const found = digest(salt, secret)
  return expected.length === found.length && timingSafeEqual(expected, found) && kept !== undefined
}

const digest = (salt: string, secret: Redacted.Redacted): Buffer =>
  createHash("sha256").update(Buffer.from(salt, "base64url")).update(Redacted.value(secret)).digest()

const nobodys: SaltedHash = { salt: "A".repeat(22), hash: "A".repeat(43) }
