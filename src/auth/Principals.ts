/** Principals: who there is at one moment, as a login looks it up. Never changed: a new moment is a new value. */
import { Either } from "effect"
import * as SessionPatterns from "../domain/SessionPatterns.js"
import type { Principal } from "./Principal.js"
import type { Credential, PrincipalsDocument } from "./PrincipalsDocument.js"

/** A credential and whose it is. */
export interface Holding {
  readonly principal: Principal
  readonly credential: Credential
}

export interface Principals {
  readonly byName: ReadonlyMap<string, Principal>
  readonly byCredential: ReadonlyMap<string, Holding>
  /** Passwords by their principals' names: each has one at most. */
  readonly passwords: ReadonlyMap<string, Holding>
}

/** Nobody. */
export const none: Principals = { byName: new Map(), byCredential: new Map(), passwords: new Map() }

/** Of a document that was read. Principals that are the same as before stay the same object, so that telling so is quick. */
export const make = (document: PrincipalsDocument, before: Principals = none): Principals => {
  const byName = new Map<string, Principal>()
  const byCredential = new Map<string, Holding>()
  const passwords = new Map<string, Holding>()
  for (const { credentials, name, scopes, sessions } of document.principals) {
    const read: Principal = {
      name,
      scopes,
      // A document with a pattern that is none was not read.
      sessions: Either.getOrElse(SessionPatterns.parse(sessions), () => SessionPatterns.none)
    }
    const known = before.byName.get(name)
    const principal = known !== undefined && isSame(known, read) ? known : read
    byName.set(name, principal)
    for (const credential of credentials) {
      byCredential.set(credential.id, { principal, credential })
      if (credential.kind === "password") passwords.set(name, { principal, credential })
    }
  }
  return { byName, byCredential, passwords }
}

/** May they do and see the same? */
export const isSame = (a: Principal, b: Principal): boolean =>
  a.name === b.name && a.sessions.key === b.sessions.key && scopeKey(a) === scopeKey(b)

const scopeKey = ({ scopes }: Principal): string => Array.from(new Set(scopes)).toSorted().join()
