/**
 * SessionFeed: the events of one session for a reader that has no connection of the protocol (server-sent events). It counts as
 * a connection of its principal, hangs on the fan-out like one, and is read at its reader's pace.
 */
import type { Option } from "effect"
import { Clock, Context, Deferred, Effect, FiberId, Layer, type Scope } from "effect"
import { Authenticator, type Login } from "../auth/Authenticator.js"
import { TooManyConnections } from "../domain/AuthError.js"
import * as Ids from "../domain/Ids.js"
import type { Peer } from "../domain/Peer.js"
import type { Position } from "../domain/Position.js"
import type { SessionKey } from "../domain/SessionKey.js"
import * as SessionPatterns from "../domain/SessionPatterns.js"
import { FanOut } from "../event/FanOut.js"
import { Outbox, type Sink } from "../event/Outbox.js"
import { GatewayConfig } from "../GatewayConfig.js"
import type { ClientInfo } from "../protocol/Connect.js"
import * as Version from "../protocol/Version.js"
import { type Member, Presence } from "./Presence.js"

export interface FeedOptions {
  readonly login: Login
  readonly client: ClientInfo
  readonly peer: Peer
  readonly sessionKey: SessionKey
  /** Where the reader was before. */
  readonly resume: Position | undefined
}

export interface Feed {
  /** Where its events begin, if it did not resume. */
  readonly position: Position
  /** Waits for event frames, as a connection with the caps `resume`, `delta-only` and `sessions` has them; none: it is over. */
  readonly next: Effect.Effect<Option.Option<ReadonlyArray<string>>>
}

export interface SessionFeedsShape {
  /** Begins to listen; ends with the scope. */
  readonly open: (options: FeedOptions) => Effect.Effect<Feed, TooManyConnections, Scope.Scope>
}

export class SessionFeeds extends Context.Tag("colloquy/SessionFeeds")<SessionFeeds, SessionFeedsShape>() {}

/** What to wait, in milliseconds, before a feed that was one too many is tried again. */
const retryMs = 5000

/** What was handed over and not taken yet. */
class Tray implements Sink {
  #frames: Array<string> = []
  #bytes = 0
  #taken = 0
  #isOver = false
  #waiting: Deferred.Deferred<void> | undefined

  readonly write = (frame: string): void => {
    this.#frames.push(frame)
    this.#bytes += Buffer.byteLength(frame)
    this.#wake()
  }
  readonly buffered = (): number => this.#bytes
  readonly taken = (): number => this.#taken
  readonly close = (): void => {
    this.#isOver = true
    this.#wake()
  }
  readonly pause = (): void => undefined
  readonly resume = (): void => undefined
  readonly admitted = (): void => undefined

  /** Takes what there is; waits for it. */
  readonly next: Effect.Effect<Option.Option<ReadonlyArray<string>>> = Effect.suspend(() => {
    if (this.#frames.length > 0) {
      const frames = this.#frames
      this.#taken += this.#bytes
      this.#frames = []
      this.#bytes = 0
      return Effect.succeedSome(frames)
    }
    if (this.#isOver) return Effect.succeedNone
    this.#waiting ??= Deferred.unsafeMake(FiberId.none)
    return Effect.zipRight(Deferred.await(this.#waiting), this.next)
  })

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    if (waiting !== undefined) Deferred.unsafeDone(waiting, Effect.void)
  }
}

const view = { version: Version.expected, deltaOnly: true, positions: true } as const

const make = Effect.gen(function* () {
  const authenticator = yield* Authenticator
  const config = yield* GatewayConfig
  const fanOut = yield* FanOut
  const presence = yield* Presence

  return SessionFeeds.of({
    open: ({ client, login, peer, resume, sessionKey }) =>
      Effect.gen(function* () {
        const limit = config.maxConnectionsPerPrincipal
        const principal = login.principal.name
        if (presence.count(principal) >= limit) {
          return yield* new TooManyConnections({ limit, retryAfterMs: retryMs })
        }
        const connectionId = yield* Ids.makeConnectionId
        const connectedAt = yield* Clock.currentTimeMillis
        return yield* Effect.map(
          Effect.acquireRelease(
            Effect.sync(() => {
              const tray = new Tray()
              const outbox = new Outbox({
                sink: tray,
                view,
                sessions: SessionPatterns.only(sessionKey),
                hearsChanges: true,
                maxBufferedBytes: config.maxBufferedBytes
              })
              const member: Member = {
                disconnect: (reason) => outbox.close(reason),
                recheck: () => {
                  if (authenticator.unsafeState(login) === "same") return
                  outbox.abandon()
                  tray.close()
                }
              }
              presence.enter(member)
              presence.admit(member, {
                connectionId,
                principal,
                client,
                address: peer.address,
                connectedAt
              })
              return { member, outbox, position: fanOut.attach(outbox, resume), tray }
            }),
            ({ member, outbox }) =>
              Effect.sync(() => {
                fanOut.detach(outbox)
                presence.leave(member)
                outbox.abandon()
              })
          ),
          ({ outbox, position, tray }) => ({
            position,
            // What was taken is on its way to the reader before more is asked for.
            next: Effect.zipRight(
              Effect.sync(() => outbox.drained()),
              tray.next
            )
          })
        )
      })
  })
})

export const layer: Layer.Layer<SessionFeeds, never, Authenticator | GatewayConfig | FanOut | Presence> =
  Layer.effect(SessionFeeds, make)
