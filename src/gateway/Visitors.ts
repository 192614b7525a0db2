/**
 * Visitors: those who come for one request, without a connection: HTTP. They log in with each, under the same limits as
 * connections, and may do what the methods of the protocol do.
 */
import { Context, Effect, Layer, type Scope } from "effect"
import { Authenticator } from "../auth/Authenticator.js"
import * as Principal from "../auth/Principal.js"
import type { LoginLimited, Unauthorized } from "../domain/AuthError.js"
import { runIdOf } from "../domain/Ids.js"
import type { Peer } from "../domain/Peer.js"
import type { RateLimited } from "../domain/RequestError.js"
import type { Reply } from "../protocol/Frame.js"
import type { MethodName, ParamsOf } from "../protocol/Method.js"
import * as Version from "../protocol/Version.js"
import { SessionStore } from "../session/SessionStore.js"
import { Dispatch } from "./Dispatch.js"
import { type Follower, Followers } from "./Followers.js"
import { Quota } from "./Quota.js"

export interface Visitor {
  readonly principal: Principal.Principal
  /** Asks as a connection would. Never fails: every error is a reply. */
  readonly request: <M extends MethodName>(method: M, params: ParamsOf<M>) => Effect.Effect<Reply>
  /** Follows the run of an idempotency key of this principal's, from before its send. */
  readonly follow: (key: string) => Effect.Effect<Follower, never, Scope.Scope>
  /** How many visitors follow it. */
  readonly followers: (key: string) => number
}

export interface VisitorsShape {
  /** Lets somebody in who has this token, for one request of so many bytes. */
  readonly enter: (
    token: string | undefined,
    peer: Peer,
    bytes: number
  ) => Effect.Effect<Visitor, Unauthorized | LoginLimited | RateLimited>
  /** Why messages may not be accepted now, in words that tell strangers nothing of what is here; none: they are. */
  readonly problems: Effect.Effect<ReadonlyArray<string>>
}

export class Visitors extends Context.Tag("colloquy/Visitors")<Visitors, VisitorsShape>() {}

const client = { id: "http", version: "1", platform: "http", mode: "backend" } as const
const view = { version: Version.expected, deltaOnly: true, positions: true } as const

const make = Effect.gen(function* () {
  const authenticator = yield* Authenticator
  const dispatch = yield* Dispatch
  const followers = yield* Followers
  const quota = yield* Quota
  const store = yield* SessionStore

  return Visitors.of({
    problems: Effect.map(store.problems, (failing) =>
      failing.length === 0 ? [] : ["the session store has problems"]
    ),
    enter: (token, peer, bytes) =>
      Effect.flatMap(
        authenticator.authenticate(token === undefined ? undefined : { token }, peer),
        (login): Effect.Effect<Visitor, RateLimited> => {
          const { principal } = login
          const limited = quota.unsafeTake(principal.name, bytes)
          if (limited !== undefined) return Effect.fail(limited)
          const identity = {
            login,
            scopes: Principal.grant(principal, undefined),
            view,
            client,
            hearsChanges: false
          }
          return Effect.succeed({
            principal,
            request: (method, params) => dispatch.dispatch(method, params, identity),
            follow: (key) => followers.follow(runIdOf(principal.name, key)),
            followers: (key) => followers.count(runIdOf(principal.name, key))
          })
        }
      )
  })
})

export const layer: Layer.Layer<
  Visitors,
  never,
  Authenticator | Dispatch | Followers | Quota | SessionStore
> = Layer.effect(Visitors, make)
