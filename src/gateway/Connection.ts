/**
 * Connection: one client, from its challenge to its close. It knows no transport: frames come in through `receive` and
 * go out through a `Sink`, so a test can be one.
 *
 * Requests are begun in the order in which they arrived and answered when they are done. What changes something (a send, an
 * abort) is begun at once and waits for no other; what only reads is answered one after another, as fast as the peer takes
 * the replies. A connection that is idle has no fiber.
 */
import { Clock, Context, Deferred, Effect, Either, Exit, FiberId, FiberSet, Layer, Stream } from "effect"
import { TooManyConnections } from "../domain/AuthError.js"
import { Authenticator, type AuthenticatorShape } from "../auth/Authenticator.js"
import type { Peer } from "../domain/Peer.js"
import * as SessionPatterns from "../domain/SessionPatterns.js"
import { AlreadyConnected } from "../domain/RequestError.js"
import * as Ids from "../domain/Ids.js"
import * as Deadlines from "../event/Deadlines.js"
import { FanOut } from "../event/FanOut.js"
import { Outbox, type Sink } from "../event/Outbox.js"
import { GatewayConfig } from "../GatewayConfig.js"
import * as CloseCode from "../protocol/CloseCode.js"
import type { Challenge } from "../protocol/Connect.js"
import * as ErrorMap from "../protocol/ErrorMap.js"
import { encodeEvent, encodeResponse, type Reply, type RequestFrame } from "../protocol/Frame.js"
import * as Method from "../protocol/Method.js"
import * as Principal from "../auth/Principal.js"
import type { Boot } from "./Boot.js"
import { Dispatch } from "./Dispatch.js"
import * as Handshake from "./Handshake.js"
import * as Inbound from "./Inbound.js"
import { type Member, Presence } from "./Presence.js"
import { Quota } from "./Quota.js"
import { ReplyRoom } from "./ReplyRoom.js"

/** What a transport may do with a connection. None of these throws or waits. */
export interface Connection {
  readonly id: Ids.ConnectionId
  /** A message arrived. */
  readonly receive: (inbound: Inbound.Inbound) => void
  /** The sink took what it had. */
  readonly drained: () => void
  /** The socket is gone. */
  readonly closed: () => void
  /** Has its first frame come, and is it being judged? */
  readonly isJudging: boolean
}

export interface ConnectionsShape {
  /** Begins a connection: the challenge goes out at once. */
  readonly open: (sink: Sink, peer: Peer) => Effect.Effect<Connection>
  /** Waits until every request that changes something, and has been begun, is answered. */
  readonly answered: Effect.Effect<void>
}

/** The maker of connections. */
export class Connections extends Context.Tag("colloquy/Connections")<Connections, ConnectionsShape>() {}

/** Frames that may wait for being begun; then the socket is not read from. */
const maxInbox = 64
/** Requests that only read and may wait for those before them. */
const maxReads = 64
/** What frames that wait, and requests that are under way, may hold, in frames of the largest size. */
const maxFramesHeld = 8
/** How long, in milliseconds, a client is not read from, at most, that has asked for too much. */
const longestBrake = 1000
/** What to wait, in milliseconds, before a connection that was one too many is tried again. */
const connectRetryMs = 5000

/** Why a socket is not read from, as bits: there is one set of them for each connection. */
const Brake = { inbox: 1, quota: 2 } as const
type Brake = (typeof Brake)[keyof typeof Brake]

type Services = Authenticator | GatewayConfig | Boot

class Open implements Connection, Member {
  readonly id: Ids.ConnectionId
  readonly #sink: Sink
  readonly #peer: Peer
  readonly #challenge: Challenge
  readonly #env: Environment
  readonly #deadline: Deadlines.Deadline
  readonly #inbox: Array<Inbound.Inbound> = []
  /** UTF-16 code units in the inbox, and of the requests under way. */
  #inboxSize = 0
  #underWaySize = 0
  #phase: "connecting" | "open" | "closed" = "connecting"
  #identity: Handshake.Identity | undefined
  #outbox: Outbox | undefined
  #busy = false
  /** Why the socket is not read from. */
  #brakes = 0
  #inFlight = 0
  /** Requests that only read, waiting for their turn. */
  readonly #reads: Array<{
    readonly request: RequestFrame
    readonly identity: Handshake.Identity
    readonly size: number
  }> = []
  #reading = false
  #onCapacity: (() => void) | undefined

  constructor(id: Ids.ConnectionId, sink: Sink, peer: Peer, challenge: Challenge, env: Environment) {
    this.id = id
    this.#sink = sink
    this.#peer = peer
    this.#challenge = challenge
    this.#env = env
    env.presence.enter(this)
    sink.write(encodeEvent("connect.challenge", JSON.stringify(challenge)))
    this.#deadline = env.handshakeDeadline(() => this.disconnect(CloseCode.handshakeTimeout))
  }

  receive(inbound: Inbound.Inbound): void {
    if (this.#phase === "closed") return
    const { handshakeMaxPayload, maxPayload } = this.#env.config
    if (inbound !== null && isOver(inbound, this.#phase === "open" ? maxPayload : handshakeMaxPayload)) {
      this.disconnect(CloseCode.tooBig)
      return
    }
    if (!this.#busy && this.#phase === "open" && !this.#isFull()) {
      // The usual case, without a fiber: nothing is before it, and it can be begun.
      this.#request(inbound)
      return
    }
    this.#inbox.push(inbound)
    this.#inboxSize += sizeOf(inbound)
    // Before the login, hardly anything: whoever has not come in gets no memory.
    const most = this.#phase === "open" ? maxFramesHeld * maxPayload : handshakeMaxPayload
    if (this.#inbox.length >= maxInbox || this.#inboxSize >= most) this.#brake(Brake.inbox)
    if (this.#busy) return
    this.#busy = true
    this.#env.fork(
      Effect.catchAllCause(this.#work(), (cause) => {
        this.disconnect(CloseCode.internalError)
        return Effect.logError("a connection died", cause)
      })
    )
  }

  get isJudging(): boolean {
    return this.#phase === "connecting" && this.#busy
  }

  drained(): void {
    this.#outbox?.drained()
  }

  closed(): void {
    if (this.#phase === "closed") return
    this.#phase = "closed"
    this.#inbox.length = 0
    this.#inboxSize = 0
    this.#reads.length = 0
    this.#deadline.cancel()
    this.#env.presence.leave(this)
    if (this.#outbox !== undefined) {
      this.#env.fanOut.detach(this.#outbox)
      this.#outbox.abandon()
    }
    this.#onCapacity?.()
  }

  /** Ends the connection from our side, behind what was sent. */
  disconnect(disconnect: CloseCode.Disconnect): void {
    if (this.#phase === "closed") return
    // The peer's goodbye must be read too.
    if (this.#brakes !== 0) this.#sink.resume()
    if (this.#outbox === undefined) this.#sink.close(disconnect)
    else this.#outbox.close(disconnect)
    this.closed()
  }

  /** The same, at once: what waits for the reader is not for it any more. */
  #expel(disconnect: CloseCode.Disconnect): void {
    if (this.#phase === "closed") return
    if (this.#brakes !== 0) this.#sink.resume()
    this.#outbox?.abandon()
    this.#sink.close(disconnect)
    this.closed()
  }

  /** Begins what has arrived, in order, until nothing is left. */
  #work(): Effect.Effect<void, never, Services> {
    return Effect.gen(this, function* () {
      while (true) {
        const inbound = this.#inbox.shift()
        if (inbound === undefined) break
        this.#inboxSize -= sizeOf(inbound)
        if (this.#inbox.length <= maxInbox / 4) this.#release(Brake.inbox)
        if (this.#phase === "connecting") {
          yield* this.#connect(Inbound.read(inbound, this.#env.config.maxJsonDepth))
        } else {
          while (this.#isFull()) yield* this.#capacity()
          this.#request(inbound)
        }
      }
      this.#busy = false
    })
  }

  #isFull(): boolean {
    return (
      this.#phase === "open" &&
      (this.#inFlight >= this.#env.config.maxInFlightRequests ||
        this.#reads.length >= maxReads ||
        this.#underWaySize >= maxFramesHeld * this.#env.config.maxPayload)
    )
  }

  #brake(reason: Brake): void {
    if (this.#brakes === 0) this.#sink.pause()
    this.#brakes |= reason
  }

  #release(reason: Brake): void {
    if ((this.#brakes & reason) === 0) return
    this.#brakes &= ~reason
    if (this.#brakes === 0 && this.#phase !== "closed") this.#sink.resume()
  }

  #capacity(): Effect.Effect<void> {
    return Effect.async((resume) => {
      this.#onCapacity = () => {
        this.#onCapacity = undefined
        resume(Effect.void)
      }
    })
  }

  #drained(outbox: Outbox): Effect.Effect<void> {
    return Effect.async((resume) => outbox.whenDrained(() => resume(Effect.void)))
  }

  #connect(read: Either.Either<RequestFrame, Inbound.Unreadable>): Effect.Effect<void, never, Services> {
    if (Either.isLeft(read)) {
      this.disconnect(CloseCode.badHandshake(`invalid handshake: ${read.left.error.reason}`))
      return Effect.void
    }
    const request = read.right
    if (request.method !== "connect") {
      this.#refuse(request.id, {
        error: ErrorMap.connectFirst,
        disconnect: CloseCode.badHandshake(ErrorMap.connectFirst.message)
      })
      return Effect.void
    }
    const circumstances = { connectionId: this.id, peer: this.#peer, challenge: this.#challenge }
    return Effect.match(Handshake.connect(circumstances, request.params), {
      onFailure: (refusal) => this.#refuse(request.id, refusal),
      onSuccess: (welcome) => this.#welcome(request.id, welcome)
    })
  }

  #refuse(id: string, refusal: Handshake.Refusal): void {
    if (this.#phase !== "connecting") return
    this.#sink.write(encodeResponse(id, { ok: false, error: refusal.error }))
    this.disconnect(refusal.disconnect)
  }

  #welcome(id: string, { hello, identity, resume }: Handshake.Welcome): void {
    if (this.#phase !== "connecting") return
    const { principal } = identity.login
    // It may have been revoked since it was looked at.
    const lost = this.#lost(identity)
    if (lost !== undefined) {
      this.#expel(lost)
      return
    }
    const limit = this.#env.config.maxConnectionsPerPrincipal
    if (this.#env.presence.count(principal.name) >= limit) {
      const error = new TooManyConnections({ limit, retryAfterMs: connectRetryMs })
      this.#refuse(id, {
        error: ErrorMap.toWire(error, identity.view.version),
        disconnect: CloseCode.tooManyConnections
      })
      return
    }
    this.#env.presence.admit(this, {
      connectionId: this.id,
      principal: principal.name,
      client: identity.client,
      address: this.#peer.address,
      connectedAt: hello.snapshot.health.ts
    })
    this.#sink.admitted()
    this.#phase = "open"
    this.#deadline.cancel()
    this.#identity = identity
    const seesEvents = Principal.allows(identity.scopes, "operator.read")
    this.#outbox = new Outbox({
      sink: this.#sink,
      view: identity.view,
      sessions: seesEvents ? principal.sessions : SessionPatterns.none,
      hearsChanges: identity.hearsChanges,
      maxBufferedBytes: this.#env.config.maxBufferedBytes
    })
    const begin = this.#env.fanOut.attach(this.#outbox, resume)
    this.#outbox.response(encodeResponse(id, { ok: true, payload: { ...hello, resume: begin } }))
  }

  /** Ends the connection if what it has logged in with is not what it was. */
  recheck(): void {
    const lost = this.#identity === undefined ? undefined : this.#lost(this.#identity)
    if (lost !== undefined) this.#expel(lost)
  }

  /** Why a login does not hold any more. */
  #lost({ login }: Handshake.Identity): CloseCode.Disconnect | undefined {
    switch (this.#env.authenticator.unsafeState(login)) {
      case "same":
        return undefined
      case "changed":
        return CloseCode.accessChanged
      case "revoked":
        return CloseCode.accessRevoked
    }
  }

  #request(inbound: Inbound.Inbound): void {
    this.recheck()
    const identity = this.#identity
    if (identity === undefined || this.#phase !== "open" || this.#outbox?.isClosed === true) return
    const { version } = identity.view
    const size = sizeOf(inbound)
    const limited = this.#env.quota.unsafeTake(identity.login.principal.name, size)
    if (limited !== undefined) {
      this.#respond(Inbound.idOf(inbound), { ok: false, error: ErrorMap.toWire(limited, version) })
      this.#slowDown(limited.retryAfterMs)
      return
    }
    const read = Inbound.read(inbound, this.#env.config.maxJsonDepth)
    if (Either.isLeft(read)) {
      this.#respond(read.left.id, { ok: false, error: ErrorMap.toWire(read.left.error, version) })
      return
    }
    const request = read.right
    if (request.method === "connect") {
      this.#respond(request.id, { ok: false, error: ErrorMap.toWire(new AlreadyConnected(), version) })
      return
    }
    const isRead =
      !Method.isMethodName(request.method) || Method.methods[request.method].scope === "operator.read"
    if (isRead) {
      this.#underWaySize += size
      this.#reads.push({ request, identity, size })
      if (this.#reading) return
      this.#reading = true
      this.#env.fork(this.#answerReads())
      return
    }
    this.#inFlight += 1
    this.#underWaySize += size
    this.#env.underWay.begin()
    this.#env.fork(
      Effect.map(this.#env.dispatch.dispatch(request.method, request.params, identity), (reply) => {
        this.#inFlight -= 1
        this.#underWaySize -= size
        this.#respond(request.id, reply)
        this.#env.underWay.end()
        this.#onCapacity?.()
      })
    )
  }

  /**
   * Answers what only reads, one after another, and none while the peer has replies to take: a page of history is a
   * thousand times larger than the request for it.
   */
  #answerReads(): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      while (true) {
        const outbox = this.#outbox
        if (outbox?.isBacklogged === true) yield* this.#drained(outbox)
        const next = this.#reads.shift()
        if (next === undefined || outbox === undefined || outbox.isClosed) break
        const { identity, request, size } = next
        const { name } = identity.login.principal
        const { dispatch, replyRoom } = this.#env
        // Nearly always without a wait: then what is asked in one go is answered in one go.
        if (!replyRoom.tryEnter(name)) yield* replyRoom.enter(name)
        // It may have gone while it waited for that.
        const reply = outbox.isClosed
          ? undefined
          : yield* dispatch.dispatch(request.method, request.params, identity)
        const text = reply === undefined ? "" : encodeResponse(request.id, reply)
        if (text !== "") outbox.response(text)
        const waiting = outbox.isBacklogged ? text.length : 0
        replyRoom.leave(name, waiting)
        if (waiting > 0) outbox.whenDrained(() => replyRoom.taken(name, waiting))
        this.#underWaySize -= size
        this.#onCapacity?.()
      }
      this.#reading = false
    })
  }

  /** Each answer that it is too much costs something, too: a client that does not listen is read from more slowly. */
  #slowDown(milliseconds: number): void {
    if ((this.#brakes & Brake.quota) !== 0) return
    this.#brake(Brake.quota)
    this.#env.fork(
      Effect.delay(
        Effect.sync(() => this.#release(Brake.quota)),
        Math.min(milliseconds, longestBrake)
      )
    )
  }

  #respond(id: string, reply: Reply): void {
    this.#outbox?.response(encodeResponse(id, reply))
  }
}

const sizeOf = (inbound: Inbound.Inbound): number => inbound?.length ?? 0

/** Has the text more than so many bytes? A transport with a limit of its own never lets one through. */
const isOver = (text: string, bytes: number): boolean =>
  text.length > bytes || (text.length * 3 > bytes && Buffer.byteLength(text) > bytes)

/** How many requests are under way, and a wait for there being none. */
class UnderWay {
  #count = 0
  #none: Deferred.Deferred<void> | undefined

  begin(): void {
    this.#count += 1
  }

  end(): void {
    this.#count -= 1
    if (this.#count > 0 || this.#none === undefined) return
    Deferred.unsafeDone(this.#none, Exit.void)
    this.#none = undefined
  }

  readonly none: Effect.Effect<void> = Effect.suspend(() => {
    if (this.#count === 0) return Effect.void
    this.#none ??= Deferred.unsafeMake<void>(FiberId.none)
    return Deferred.await(this.#none)
  })
}

interface Environment {
  readonly underWay: UnderWay
  readonly config: GatewayConfig["Type"]
  readonly fanOut: FanOut["Type"]
  readonly dispatch: Dispatch["Type"]
  readonly presence: Presence["Type"]
  readonly authenticator: AuthenticatorShape
  readonly quota: Quota["Type"]
  readonly replyRoom: ReplyRoom
  readonly handshakeDeadline: (fire: () => void) => Deadlines.Deadline
  readonly fork: (effect: Effect.Effect<void, never, Services>) => void
}

export const layer: Layer.Layer<
  Connections,
  never,
  GatewayConfig | FanOut | Dispatch | Presence | Quota | Authenticator | Boot
> = Layer.scoped(
  Connections,
  Effect.gen(function* () {
    const fibers = yield* FiberSet.make<void>()
    const run = yield* FiberSet.runtime(fibers)<Services>()
    const config = yield* GatewayConfig
    const env: Environment = {
      config,
      underWay: new UnderWay(),
      handshakeDeadline: yield* Deadlines.make(config.handshakeTimeout),
      fanOut: yield* FanOut,
      dispatch: yield* Dispatch,
      presence: yield* Presence,
      authenticator: yield* Authenticator,
      quota: yield* Quota,
      replyRoom: new ReplyRoom(),
      fork: (effect) => run(effect)
    }

    yield* Clock.currentTimeMillis.pipe(
      Effect.flatMap((ts) => env.fanOut.broadcast("tick", { ts })),
      Effect.delay(env.config.tickInterval),
      Effect.forever,
      Effect.forkScoped
    )

    yield* env.authenticator.changes.pipe(
      Stream.runForEach(() =>
        Effect.sync(() => {
          for (const member of env.presence.all()) member.recheck()
        })
      ),
      Effect.forkScoped
    )

    return {
      answered: env.underWay.none,
      open: (sink, peer) =>
        Effect.zipWith(
          Ids.makeConnectionId,
          Effect.all({ nonce: Ids.uuid, ts: Clock.currentTimeMillis }),
          (id, challenge) => new Open(id, sink, peer, challenge, env)
        )
    }
  })
)
