/** Claim: what a client presents in `connect.auth`, read. One attempt presents one thing. */
import { Option, Redacted } from "effect"
import type { ConnectAuth } from "../protocol/Connect.js"
import * as AccessToken from "./AccessToken.js"
import * as Principal from "./Principal.js"

export interface Claim {
  /** The text as it came: it may be the owner's token, whatever it looks like. */
  readonly text: Redacted.Redacted
  readonly form:
    | { readonly _tag: "Token"; readonly token: AccessToken.AccessToken }
    /** `name:password`: existing clients have one field for passwords and none for names. */
    | { readonly _tag: "Password"; readonly name: string; readonly password: Redacted.Redacted }
    | { readonly _tag: "Other" }
}

/** The token, or the password where there is no token; none: neither. */
export const read = (auth: ConnectAuth | undefined): Option.Option<Claim> => {
  const isPresent = (text: string | undefined): text is string => text !== undefined && text !== ""
  if (isPresent(auth?.token)) return Option.some(claim(auth.token, false))
  return isPresent(auth?.password) ? Option.some(claim(auth.password, true)) : Option.none()
}

const claim = (text: string, isPassword: boolean): Claim => ({
  text: Redacted.make(text),
  form: Option.match(AccessToken.parse(text), {
    onSome: (token): Claim["form"] => ({ _tag: "Token", token }),
    onNone: () => (isPassword ? named(text) : { _tag: "Other" })
  })
})

const named = (text: string): Claim["form"] => {
  const colon = text.indexOf(":")
  const name = text.slice(0, Math.max(0, colon))
  return Principal.namePattern.test(name)
    ? { _tag: "Password", name, password: Redacted.make(text.slice(colon + 1)) }
    : { _tag: "Other" }
}
