/** Who is on the other side of a connection, and what they may do and see. */
import type { SessionKey } from "../domain/SessionKey.js"
import type { Scope } from "../protocol/Connect.js"

export interface Principal {
  readonly name: string
  /** What the credential allows, at most. */
  readonly scopes: ReadonlyArray<Scope>
  /** May it see and use this session? */
  readonly maySee: (sessionKey: SessionKey) => boolean
}

/** Everything an operator may do. */
export const allScopes: ReadonlyArray<Scope> = ["operator.read", "operator.write", "operator.admin"]

/** The owner of the gateway: all scopes, all sessions. */
export const owner: Principal = { name: "owner", scopes: allScopes, maySee: () => true }

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
