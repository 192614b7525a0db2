/** Principals: who is on the other side of a connection, and what they may do and see. */
import { Either } from "effect"
import * as Ids from "../domain/Ids.js"
import * as SessionPatterns from "../domain/SessionPatterns.js"
import type { Scope } from "../protocol/Connect.js"

export interface Principal {
  /** `[a-z0-9][a-z0-9_-]{0,63}`. Runs and idempotency keys belong to it. */
  readonly name: string
  /** What the credential allows, at most. */
  readonly scopes: ReadonlyArray<Scope>
  /** The sessions that it may see and use. */
  readonly sessions: SessionPatterns.SessionPatterns
}

/** Everything an operator may do. */
export const allScopes: ReadonlyArray<Scope> = ["operator.read", "operator.write", "operator.admin"]

/** The owner of the gateway: all scopes, all sessions. */
export const owner: Principal = { name: Ids.owner, scopes: allScopes, sessions: SessionPatterns.all }

/** A principal that sees the sessions of these patterns, and by default may do all but what asks for `operator.admin`. */
export const make = (
  name: string,
  sessions: ReadonlyArray<string>,
  scopes: ReadonlyArray<Scope> = ["operator.read", "operator.write"]
): Either.Either<Principal, SessionPatterns.InvalidSessionPattern> =>
  Either.map(SessionPatterns.parse(sessions), (sessions) => ({ name, scopes, sessions }))

/** A principal's name. */
export const namePattern = /^[a-z0-9][a-z0-9_-]{0,63}$/

/**
 * The scopes that a connection gets: those it names, as far as its principal has them; all of them if it names none.
 * A name that this server doesn't know is no scope and gives nothing.
 */
export const grant = (
  principal: Principal,
  requested: ReadonlyArray<string> | undefined
): ReadonlyArray<Scope> =>
  requested === undefined || requested.length === 0
    ? principal.scopes
    : principal.scopes.filter((scope) => requested.includes(scope))

/** Do these scopes allow what asks for `scope`? */
export const allows = (granted: ReadonlyArray<Scope>, scope: Scope): boolean =>
  granted.includes(scope) || granted.includes("operator.admin")
