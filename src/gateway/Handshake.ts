/** What `connect` is answered with. No sockets here: a connection carries the verdict out. */
import { Clock, Duration, Effect, Either, Option } from "effect"
import { Authenticator, type Login } from "../auth/Authenticator.js"
import * as DeviceIdentity from "../auth/DeviceIdentity.js"
import * as Principal from "../auth/Principal.js"
import { version as serverVersion } from "../domain/Product.js"
import type { ConnectionId } from "../domain/Ids.js"
import type { Peer } from "../domain/Peer.js"
import * as SessionKey from "../domain/SessionKey.js"
import { GatewayConfig, type GatewayConfigShape } from "../GatewayConfig.js"
import * as CloseCode from "../protocol/CloseCode.js"
import type { Challenge, ClientInfo, ConnectParams, HelloOk, Scope } from "../protocol/Connect.js"
import * as ErrorMap from "../protocol/ErrorMap.js"
import * as Event from "../protocol/Event.js"
import type { View } from "../protocol/EventCodec.js"
import type { WireError } from "../protocol/Frame.js"
import * as Method from "../protocol/Method.js"
import * as Params from "../protocol/Params.js"
import * as Version from "../protocol/Version.js"
import { Boot } from "./Boot.js"

/** A connection that has come in. */
export interface Identity {
  readonly login: Login
  readonly scopes: ReadonlyArray<Scope>
  readonly view: View
  readonly client: ClientInfo
  /** Has it asked to be told what is done to sessions? */
  readonly hearsChanges: boolean
}

/** A connection that may not come in: the answer, and how it is closed. */
export interface Refusal {
  readonly error: WireError
  readonly disconnect: CloseCode.Disconnect
}

export interface Welcome {
  readonly identity: Identity
  /** Where its events begin is known only when it is attached to them. */
  readonly hello: Omit<HelloOk, "resume">
  /** Where it was before. */
  readonly resume: ConnectParams["resume"]
}

/** What is known of a connection before it says anything. */
export interface Circumstances {
  readonly connectionId: ConnectionId
  readonly peer: Peer
  readonly challenge: Challenge
}

const decodeConnect = Params.decoder("connect", Method.connect.params)

/** Judges the parameters of `connect`. */
export const connect = (
  { challenge, connectionId, peer }: Circumstances,
  raw: unknown
): Effect.Effect<Welcome, Refusal, Authenticator | GatewayConfig | Boot> =>
  Effect.gen(function* () {
    const decoded = decodeConnect(raw)
    if (Either.isLeft(decoded)) {
      const error = ErrorMap.toWire(decoded.left, Version.expected)
      return yield* Effect.fail({ error, disconnect: CloseCode.badHandshake(error.message) })
    }
    const params = decoded.right
    const version = Version.negotiate(params.minProtocol, params.maxProtocol)
    if (Option.isNone(version)) {
      return yield* Effect.fail({
        error: ErrorMap.protocolMismatch(Version.expected),
        disconnect: CloseCode.protocolMismatch
      })
    }
    const authenticator = yield* Authenticator
    const login = yield* authenticator.authenticate(params.auth, peer).pipe(
      // Behind the login, so that nobody else can have signatures checked.
      Effect.tap(() => DeviceIdentity.check(params, { peer, challenge })),
      Effect.mapError((error) => ({
        error: ErrorMap.toWire(error, version.value),
        disconnect: CloseCode.unauthorized
      }))
    )
    const identity: Identity = {
      login,
      // Nodes are not served here: they may connect, and do nothing.
      scopes: params.role === "node" ? [] : Principal.grant(login.principal, params.scopes),
      view: {
        version: version.value,
        deltaOnly: params.caps?.includes("delta-only") ?? false,
        positions: params.caps?.includes("resume") ?? false
      },
      client: params.client,
      hearsChanges: params.caps?.includes("sessions") ?? false
    }
    return {
      identity,
      hello: yield* hello(connectionId, params, identity, authenticator.method),
      resume: params.resume
    }
  })

const hello = (
  connectionId: ConnectionId,
  params: ConnectParams,
  identity: Identity,
  method: string
): Effect.Effect<Welcome["hello"], never, GatewayConfig | Boot> =>
  Effect.gen(function* () {
    const config = yield* GatewayConfig
    const boot = yield* Boot
    const now = yield* Clock.currentTimeMillis
    const { version } = identity.view
    const { sessions } = identity.login.principal
    return {
      type: "hello-ok",
      protocol: version,
      server: {
        version: serverVersion,
        connId: connectionId,
        ...(version >= 4 ? { buildId: serverVersion, bootId: boot.id } : {})
      },
      features: {
        methods: Method.names,
        events: Event.names,
        ...(version >= 4 ? { capabilities: Event.capabilities } : {})
      },
      snapshot: {
        // Only the gateway itself: a list of all connections in each hello would cost their square.
        presence: [{ ts: now, version: serverVersion, mode: "gateway", reason: "self" }],
        health: { ok: true, ts: now, durationMs: 0 },
        stateVersion: { presence: 0, health: 0 },
        uptimeMs: Math.max(0, now - boot.startedAt),
        sessionDefaults: sessionDefaults(config)
      },
      policy: {
        maxPayload: config.maxPayload,
        maxBufferedBytes: config.maxBufferedBytes,
        tickIntervalMs: Duration.toMillis(config.tickInterval),
        ...(version >= 4 ? { attachments: attachmentLimits(config) } : {})
      },
      ...(version >= 4
        ? {
            auth: {
              method,
              role: params.role ?? "operator",
              scopes: identity.scopes,
              // A client can't guess in which sessions it may begin.
              ...(sessions.isAll || !Principal.allows(identity.scopes, "operator.read")
                ? {}
                : { sessions: sessions.patterns })
            }
          }
        : {})
    }
  })

/** What of an image fits into a frame, too: base64 makes it a third larger, and the request is around it. */
const attachmentLimits = ({ maxAttachmentBytes, maxPayload }: GatewayConfigShape) => {
  const fits = Math.max(1, Math.floor(((maxPayload - 4096) / 4) * 3))
  const maxBytes = Math.min(maxAttachmentBytes, fits)
  return { maxBytes, maxImageBytes: maxBytes }
}

/** Every sender has the sessions that it names. */
export const sessionScope = "per-sender"

const sessionDefaults = (config: GatewayConfigShape) => ({
  defaultAgentId: config.defaultAgentId,
  mainKey: config.mainKey,
  mainSessionKey: SessionKey.main(config),
  scope: sessionScope
})
