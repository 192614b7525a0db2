/** What a method's handler is: the typed inside of one entry of `protocol/Method`. */
import type { Effect } from "effect"
import type { Principal } from "../auth/Principal.js"
import type { Scope } from "../protocol/Connect.js"
import type { GatewayError } from "../protocol/ErrorMap.js"
import type { WireError } from "../protocol/Frame.js"
import type { MethodName, ParamsOf, ResultOf } from "../protocol/Method.js"
import type { ProtocolVersion } from "../protocol/Version.js"

/** Who asks. */
export interface Caller {
  readonly principal: Principal
  /** What this connection may do, at most what its principal may. */
  readonly scopes: ReadonlyArray<Scope>
  readonly version: ProtocolVersion
}

/** What a handler answers. Failures that carry a payload are answers too; all others are typed errors. */
export type Answer<M extends MethodName> =
  | { readonly ok: true; readonly payload: ResultOf<M> }
  | { readonly ok: false; readonly error: WireError; readonly payload: unknown }

export type Handler<M extends MethodName> = (
  params: ParamsOf<M>,
  caller: Caller
) => Effect.Effect<Answer<M>, GatewayError>

/** A handler for every method of the contract: one that is missing does not compile. */
export type Handlers = { readonly [M in MethodName]: Handler<M> }

export const ok = <A>(payload: A): { readonly ok: true; readonly payload: A } => ({ ok: true, payload })
