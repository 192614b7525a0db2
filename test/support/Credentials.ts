/** Principals with credentials, made as `colloquy token` makes them, but with a cheap scrypt. */
import { Effect, Redacted } from "effect"
import * as AccessToken from "../../src/auth/AccessToken.js"
import * as PasswordHash from "../../src/auth/PasswordHash.js"
import type { Credential, PrincipalEntry } from "../../src/auth/PrincipalsDocument.js"

const createdAt = "2026-01-01T00:00:00.000Z"

/** A token, and what the file keeps of it. */
export const makeToken = Effect.gen(function* () {
  const token = yield* AccessToken.make
  const credential: Credential = {
    id: token.id,
    kind: "token",
    ...(yield* AccessToken.hash(token)),
    createdAt
  }
  return { text: AccessToken.show(token), credential }
})

/** What the file keeps of a password. */
export const makePassword = (password: string) =>
  Effect.gen(function* () {
    const credential: Credential = {
      id: yield* AccessToken.makeId,
      kind: "password",
      ...(yield* PasswordHash.make(Redacted.make(password), { n: 16, r: 1, p: 1 })),
      createdAt
    }
    return credential
  })

/** An operator of its own sessions. */
export const principal = (
  name: string,
  credentials: ReadonlyArray<Credential>,
  over: Partial<PrincipalEntry> = {}
): PrincipalEntry => ({
  name,
  scopes: ["operator.read", "operator.write"],
  sessions: [`agent:*:${name}`, `agent:*:${name}:*`],
  credentials,
  ...over
})
