/** Authenticator: from credentials to a principal, and whether a login still holds. */
import { createHash, timingSafeEqual } from "node:crypto"
import { Context, Effect, Layer, Redacted, Stream } from "effect"
import { type LoginLimited, Unauthorized } from "../domain/AuthError.js"
import type { Peer } from "../domain/Peer.js"
import type { ConnectAuth } from "../protocol/Connect.js"
import { owner, type Principal } from "./Principal.js"

/** Somebody who has come in. */
export interface Login {
  readonly principal: Principal
  /** Which of the principal's credentials was presented. */
  readonly credentialId: string
}

export interface AuthenticatorShape {
  /** How connections log in, for `hello-ok.auth.method`. */
  readonly method: "token" | "none"
  /**
   * Takes the same time whether the credential is nearly right or far off. Whoever has failed too often is refused without a
   * look at the credential.
   */
  readonly authenticate: (
    auth: ConnectAuth | undefined,
    peer: Peer
  ) => Effect.Effect<Login, Unauthorized | LoginLimited>
  /**
   * What holds of a login now: `same`; `changed`: the principal's scopes or sessions are others by now; `revoked`: it would
   * not come in any more. Cheap and synchronous: it is asked before every request.
   */
  readonly unsafeState: (login: Login) => LoginState
  /** Emits whenever a login may not be `same` any more. */
  readonly changes: Stream.Stream<void>
}

export type LoginState = "same" | "changed" | "revoked"

export class Authenticator extends Context.Tag("colloquy/Authenticator")<
  Authenticator,
  AuthenticatorShape
>() {}

const always: Pick<AuthenticatorShape, "unsafeState" | "changes"> = {
  unsafeState: () => "same",
  changes: Stream.never
}

/** One token, whose bearer is the owner. It may come as `auth.token` or `auth.password`. */
export const layerToken = (token: Redacted.Redacted): Layer.Layer<Authenticator> =>
  layerTokens([{ token, principal: owner }])

/** Tokens that never change, and whose they are. For embedding and for tests. */
export const layerTokens = (
  entries: ReadonlyArray<{ readonly token: Redacted.Redacted; readonly principal: Principal }>
): Layer.Layer<Authenticator> => {
  const known = entries.map(({ principal, token }) => ({ principal, digest: digest(Redacted.value(token)) }))
  return Layer.succeed(Authenticator, {
    ...always,
    method: "token",
    authenticate: (auth) =>
      Effect.suspend(() => {
        const presented = [auth?.token, auth?.password].find(
          (secret) => secret !== undefined && secret !== ""
        )
        if (presented === undefined) return Effect.fail(new Unauthorized({ reason: "token missing" }))
        const presentedDigest = digest(presented)
        // All are compared, so that the time says nothing of which it was.
        const found = known.filter((one) => timingSafeEqual(presentedDigest, one.digest))
        return found[0] === undefined
          ? Effect.fail(new Unauthorized({ reason: "token mismatch" }))
          : Effect.succeed({ principal: found[0].principal, credentialId: found[0].principal.name })
      })
  })
}

/** Everybody is the owner. For tests and for embedding behind a door of one's own. */
export const layerNone: Layer.Layer<Authenticator> = Layer.succeed(Authenticator, {
  ...always,
  method: "none",
  authenticate: () => Effect.succeed({ principal: owner, credentialId: "owner" })
})

// Equal lengths whatever was presented: `timingSafeEqual` asks for that.
const digest = (text: string): Buffer => createHash("sha256").update(text).digest()
