/** Authenticator: from credentials to a principal. */
import { createHash, timingSafeEqual } from "node:crypto"
import { Context, Effect, Layer, Redacted } from "effect"
import { Unauthorized } from "../domain/AuthError.js"
import type { ConnectAuth } from "../protocol/Connect.js"
import { owner, type Principal } from "./Principal.js"

export interface AuthenticatorShape {
  /** How connections log in, for `hello-ok.auth.method`. */
  readonly method: "token" | "none"
  /** Takes the same time whether the credential is nearly right or far off. */
  readonly authenticate: (auth: ConnectAuth | undefined) => Effect.Effect<Principal, Unauthorized>
}

export class Authenticator extends Context.Tag("colloquy/Authenticator")<
  Authenticator,
  AuthenticatorShape
>() {}

/** One token, whose bearer is the owner. It may come as `auth.token` or `auth.password`. */
export const layerToken = (token: Redacted.Redacted): Layer.Layer<Authenticator> => {
  const expected = digest(Redacted.value(token))
  return Layer.succeed(Authenticator, {
    method: "token",
    authenticate: (auth) =>
      Effect.suspend(() => {
        const presented = [auth?.token, auth?.password].find(
          (secret) => secret !== undefined && secret !== ""
        )
        if (presented === undefined) return Effect.fail(new Unauthorized({ reason: "token missing" }))
        return timingSafeEqual(digest(presented), expected)
          ? Effect.succeed(owner)
          : Effect.fail(new Unauthorized({ reason: "token mismatch" }))
      })
  })
}

/** Everybody is the owner. For tests and for embedding behind a door of one's own. */
export const layerNone: Layer.Layer<Authenticator> = Layer.succeed(Authenticator, {
  method: "none",
  authenticate: () => Effect.succeed(owner)
})

// Equal lengths whatever was presented: `timingSafeEqual` asks for that.
const digest = (text: string): Buffer => createHash("sha256").update(text).digest()
