/** Authenticator: from credentials to a principal, and whether a login still holds. */
import { createHash, timingSafeEqual } from "node:crypto"
import { Clock, Context, Effect, Layer, Option, Redacted, Stream } from "effect"
import { LoginLimited, Unauthorized } from "../domain/AuthError.js"
import type { Peer } from "../domain/Peer.js"
import type { ConnectAuth } from "../protocol/Connect.js"
import * as AccessToken from "./AccessToken.js"
import * as Claim from "./Claim.js"
import { type Attempt, LoginLimiter } from "./LoginLimiter.js"
import * as PasswordHash from "./PasswordHash.js"
import { owner, type Principal } from "./Principal.js"
import * as PrincipalDirectories from "./PrincipalDirectory.js"
import { PrincipalDirectory, type PrincipalDirectoryShape } from "./PrincipalDirectory.js"
import { type Holding, isSame } from "./Principals.js"

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
  /** Emits whenever a login may not be `same` any more; perhaps once when it begins, too. */
  readonly changes: Stream.Stream<void>
}

export type LoginState = "same" | "changed" | "revoked"

export class Authenticator extends Context.Tag("colloquy/Authenticator")<
  Authenticator,
  AuthenticatorShape
>() {}

/** What an authenticator is told besides the principals. */
export interface Options {
  /** The owner's token: any text. None: nobody is the owner. */
  readonly owner: Option.Option<Redacted.Redacted>
  /** Attempts that may fail until there is a back-off, of an address and for a principal. Default: 10. */
  readonly maxFailedLogins?: number
}

/** Logins that hold for ever. */
const constant: Pick<AuthenticatorShape, "unsafeState" | "changes"> = {
  unsafeState: () => "same",
  changes: Stream.never
}

/** The owner by their token, and the principals of the directory by theirs, or by their passwords. */
export const layer = (options: Options): Layer.Layer<Authenticator, never, PrincipalDirectory> =>
  Layer.effect(Authenticator, Effect.flatMap(PrincipalDirectory, make(options)))

/** One token, whose bearer is the owner. It may come as `auth.token` or `auth.password`. */
export const layerToken = (
  token: Redacted.Redacted,
  options: Omit<Options, "owner"> = {}
): Layer.Layer<Authenticator> =>
  Layer.provide(layer({ ...options, owner: Option.some(token) }), PrincipalDirectories.layerEmpty)

/** Tokens that never change, and whose they are. For embedding and for tests. */
export const layerTokens = (
  entries: ReadonlyArray<{ readonly token: Redacted.Redacted; readonly principal: Principal }>
): Layer.Layer<Authenticator> => {
  const known = entries.map(({ principal, token }) => ({ principal, digest: digest(Redacted.value(token)) }))
  return Layer.succeed(Authenticator, {
    ...constant,
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
  ...constant,
  method: "none",
  authenticate: () => Effect.succeed(ownersLogin)
})

const ownersLogin: Login = { principal: owner, credentialId: "owner" }

const defaultMaxFailedLogins = 10

/** Passwords that may wait for their turn; more are asked to come again. */
const maxWaitingPasswords = 64
const passwordRetryMs = 1000

/** Characters of a generated token. */
const generatedLength = 43

const make = (options: Options) => (directory: PrincipalDirectoryShape) =>
  Effect.gen(function* () {
    const limiter = new LoginLimiter(options.maxFailedLogins ?? defaultMaxFailedLogins)
    const ownersDigest = Option.map(options.owner, (token) => digest(Redacted.value(token)))
    const isOwnersGenerated = Option.exists(
      options.owner,
      (token) => Redacted.value(token).length >= generatedLength
    )
    const passwordTurn = yield* Effect.makeSemaphore(1)
    let waitingPasswords = 0
    /** What a login was made with: a secret that was replaced under the same id is another one. */
    const hashes = new WeakMap<Login, string>()

    const isOwner = ({ text }: Claim.Claim): boolean =>
      Option.match(ownersDigest, {
        onNone: () => false,
        onSome: (expected) => timingSafeEqual(digest(Redacted.value(text)), expected)
      })

    /** Who is named. A name or an id that there is not counts like one that there is. */
    const attemptOf = ({ form }: Claim.Claim, peer: Peer): Attempt => {
      switch (form._tag) {
        case "Token": {
          const holding = directory.unsafeCurrent().byCredential.get(form.token.id)
          return { peer, principal: holding?.principal.name ?? `token ${form.token.id}` }
        }
        case "Password":
          return { peer, principal: form.name }
        case "Other":
          return { peer, principal: owner.name }
      }
    }

    const isKnown = ({ form }: Claim.Claim): boolean =>
      form._tag === "Token" ||
      (form._tag === "Password" && directory.unsafeCurrent().passwords.has(form.name))

    /** The owner's token may have been chosen by somebody; one that is as long as a generated one has not. */
    const isGenerated = ({ form }: Claim.Claim): boolean =>
      form._tag === "Token" || (form._tag === "Other" && isOwnersGenerated)

    /** Judges an attempt that is not limited, and keeps the result. */
    const judge = <R>(
      claim: Claim.Claim,
      peer: Peer,
      look: Effect.Effect<Option.Option<Login>, never, R>
    ): Effect.Effect<Login, Unauthorized | LoginLimited, R> =>
      Effect.gen(function* () {
        const attempt = attemptOf(claim, peer)
        const before = yield* Clock.currentTimeMillis
        const retryAfterMs = limiter.retryAfter(attempt, before)
        // Nobody can guess what was generated. So that strangers can't lock its owner out, a principal's limit does not hold
        // who has it; who has not is told the same as ever.
        const isHeld = isGenerated(claim) ? limiter.addressRetryAfter(peer, before) > 0 : retryAfterMs > 0
        if (isHeld) return yield* new LoginLimited({ retryAfterMs })
        const login = yield* look
        const now = yield* Clock.currentTimeMillis
        if (Option.isSome(login)) {
          limiter.succeeded({ peer, principal: login.value.principal.name }, now)
          return login.value
        }
        if (retryAfterMs > 0) return yield* new LoginLimited({ retryAfterMs })
        limiter.failed(attempt, now)
        yield* Effect.logInfo("a login failed").pipe(
          // What is no principal's name may be a part of a password.
          Effect.annotateLogs({
            address: peer.address,
            ...(isKnown(claim) ? { principal: attempt.principal } : {})
          })
        )
        return yield* new Unauthorized({
          reason: claim.form._tag === "Password" ? "password mismatch" : "token mismatch"
        })
      })

    const loginOf = ({ credential, principal }: Holding): Login => {
      const login: Login = { principal, credentialId: credential.id }
      hashes.set(login, credential.hash)
      return login
    }

    const byToken = (token: AccessToken.AccessToken): Option.Option<Login> => {
      const holding = directory.unsafeCurrent().byCredential.get(token.id)
      const kept = holding?.credential.kind === "token" ? holding : undefined
      return AccessToken.matches(token, kept?.credential) && kept !== undefined
        ? Option.some(loginOf(kept))
        : Option.none()
    }

    const byPassword = (name: string, password: Redacted.Redacted): Effect.Effect<Option.Option<Login>> =>
      Effect.suspend(() => {
        const holding = directory.unsafeCurrent().passwords.get(name)
        return Effect.map(PasswordHash.matches(password, passwordHashOf(holding)), (matches) =>
          matches && holding !== undefined ? Option.some(loginOf(holding)) : Option.none()
        )
      })

    /** One at a time, so that many at once can't be judged before the first has failed. */
    const inTurn = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E | LoginLimited> =>
      Effect.suspend((): Effect.Effect<A, E | LoginLimited> => {
        if (waitingPasswords >= maxWaitingPasswords)
          return Effect.fail(new LoginLimited({ retryAfterMs: passwordRetryMs }))
        waitingPasswords += 1
        return Effect.ensuring(
          passwordTurn.withPermits(1)(Effect.uninterruptible(effect)),
          Effect.sync(() => {
            waitingPasswords -= 1
          })
        )
      })

    return Authenticator.of({
      method: "token",
      changes: directory.changes,
      authenticate: (auth, peer) =>
        Effect.suspend((): Effect.Effect<Login, Unauthorized | LoginLimited> => {
          const read = Claim.read(auth)
          // No guess: it can't succeed. Clients try without a token first and ask for one when that is refused: were it
          // counted, they would have to wait. How often an address may connect at all is the transport's to say.
          if (Option.isNone(read)) return Effect.fail(new Unauthorized({ reason: "token missing" }))
          const claim = read.value
          const { form } = claim
          const isOwners = isOwner(claim)
          if (isOwners || form._tag === "Other")
            return judge(claim, peer, Effect.succeed(isOwners ? Option.some(ownersLogin) : Option.none()))
          return form._tag === "Token"
            ? Effect.zipRight(
                directory.refresh,
                judge(
                  claim,
                  peer,
                  Effect.sync(() => byToken(form.token))
                )
              )
            : Effect.zipRight(
                // Before the queue, too: who is held anyway takes nobody's place in it.
                Effect.flatMap(Clock.currentTimeMillis, (now) => {
                  const retryAfterMs = limiter.retryAfter(attemptOf(claim, peer), now)
                  return retryAfterMs > 0 ? new LoginLimited({ retryAfterMs }) : Effect.void
                }),
                inTurn(
                  Effect.zipRight(directory.refresh, judge(claim, peer, byPassword(form.name, form.password)))
                )
              )
        }),
      unsafeState: (login) => {
        if (login.principal === owner) return "same"
        const holding = directory.unsafeCurrent().byCredential.get(login.credentialId)
        if (
          holding === undefined ||
          holding.principal.name !== login.principal.name ||
          (hashes.get(login) ?? holding.credential.hash) !== holding.credential.hash
        )
          return "revoked"
        return holding.principal === login.principal || isSame(holding.principal, login.principal)
          ? "same"
          : "changed"
      }
    })
  })

const passwordHashOf = (holding: Holding | undefined): PasswordHash.PasswordHash | undefined => {
  if (holding === undefined) return undefined
  const { hash, n, p, r, salt } = holding.credential
  return n === undefined || r === undefined || p === undefined ? undefined : { salt, hash, n, r, p }
}

// Equal lengths whatever was presented: `timingSafeEqual` asks for that.
const digest = (text: string): Buffer => createHash("sha256").update(text).digest()
