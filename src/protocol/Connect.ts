/** The handshake: challenge, `connect`, `hello-ok`. */
import { Schema } from "effect"
import { Count, optional } from "./Field.js"

const Version = Schema.Int.pipe(Schema.greaterThanOrEqualTo(1)).annotations({
  description: "an integer of at least 1"
})

/** What a connection may do. An operator has all of `read`, `write` with `admin`. */
export const Scope = Schema.Literal("operator.read", "operator.write", "operator.admin")
export type Scope = typeof Scope.Type

/** Payload of the event `connect.challenge`, sent when the socket opens. */
export const Challenge = Schema.Struct({ nonce: Schema.NonEmptyString, ts: Count })
export interface Challenge extends Schema.Schema.Type<typeof Challenge> {}

/** Who connects. Any non-empty id and mode is taken, so that newer clients connect. */
export const ClientInfo = Schema.Struct({
  id: Schema.NonEmptyString,
  version: Schema.NonEmptyString,
  platform: Schema.NonEmptyString,
  mode: Schema.NonEmptyString,
  displayName: optional(Schema.String),
  deviceFamily: optional(Schema.String),
  modelIdentifier: optional(Schema.String),
  instanceId: optional(Schema.String)
}).annotations({ identifier: "ClientInfo" })
export interface ClientInfo extends Schema.Schema.Type<typeof ClientInfo> {}

/** Credentials. */
export const ConnectAuth = Schema.Struct({
  token: optional(Schema.String),
  password: optional(Schema.String)
}).annotations({ identifier: "ConnectAuth" })
export interface ConnectAuth extends Schema.Schema.Type<typeof ConnectAuth> {}

/** Parameters of `connect`, the first request. Unknown fields are ignored. */
export const ConnectParams = Schema.Struct({
  minProtocol: Version,
  maxProtocol: Version,
  client: ClientInfo,
  role: optional(Schema.Literal("operator", "node")),
  scopes: optional(Schema.Array(Schema.String)),
  caps: optional(Schema.Array(Schema.String)),
  commands: optional(Schema.Array(Schema.String)),
  permissions: optional(Schema.Record({ key: Schema.String, value: Schema.Boolean })),
  pathEnv: optional(Schema.String),
  auth: optional(ConnectAuth),
  device: optional(
    Schema.Struct({
      id: Schema.NonEmptyString,
      publicKey: Schema.NonEmptyString,
      signature: Schema.NonEmptyString,
      signedAt: Count,
      nonce: optional(Schema.NonEmptyString)
    })
  ),
  locale: optional(Schema.String),
  userAgent: optional(Schema.String),
  /**
   * The client was here before: what came behind this position and it may see is sent after `hello-ok`, before what comes
   * from now on; of an answer that has grown meanwhile, only the newest piece, whole. If some of it is gone, the event
   * `resume.reset` says so first. Goes without the cap `resume`, too.
   */
  resume: optional(
    Schema.Struct({
      /** As the gateway gave it. */
      epoch: Schema.String,
      /** That of the last event that was read. */
      pos: Count
    })
  )
}).annotations({ identifier: "ConnectParams" })
export interface ConnectParams extends Schema.Schema.Type<typeof ConnectParams> {}

/** The health part of the snapshot, and of the method `health`. */
export const Health = Schema.Struct({
  ok: Schema.Boolean,
  ts: Count,
  durationMs: Count
}).annotations({ identifier: "Health" })

/** One line of who is here. */
export const PresenceEntry = Schema.Struct({
  ts: Count,
  host: optional(Schema.NonEmptyString),
  version: optional(Schema.NonEmptyString),
  mode: optional(Schema.NonEmptyString),
  reason: optional(Schema.NonEmptyString)
}).annotations({ identifier: "PresenceEntry" })

/** Payload of the response to `connect`. */
export const HelloOk = Schema.Struct({
  type: Schema.Literal("hello-ok"),
  protocol: Version,
  server: Schema.Struct({
    version: Schema.NonEmptyString,
    connId: Schema.NonEmptyString,
    /** Version 4: which build answers. */
    buildId: optional(Schema.NonEmptyString),
    /** Version 4: changes with every start of the gateway. */
    bootId: optional(Schema.NonEmptyString)
  }),
  features: Schema.Struct({
    methods: Schema.Array(Schema.NonEmptyString),
    events: Schema.Array(Schema.NonEmptyString),
    /** Version 4: what `caps` may ask for. */
    capabilities: optional(Schema.Array(Schema.NonEmptyString))
  }),
  snapshot: Schema.Struct({
    presence: Schema.Array(PresenceEntry),
    health: Health,
    stateVersion: Schema.Struct({ presence: Count, health: Count }),
    /** Milliseconds since the gateway started. */
    uptimeMs: Count,
    sessionDefaults: Schema.Struct({
      defaultAgentId: Schema.NonEmptyString,
      mainKey: Schema.NonEmptyString,
      mainSessionKey: Schema.NonEmptyString,
      scope: Schema.NonEmptyString
    })
  }),
  policy: Schema.Struct({
    /** The largest frame that the server takes, in bytes. */
    maxPayload: Count,
    /** Bytes that may wait for a slow reader. */
    maxBufferedBytes: Count,
    /** Milliseconds between two ticks. */
    tickIntervalMs: Count,
    /** Version 4: limits of `chat.send` attachments. */
    attachments: optional(Schema.Unknown)
  }),
  /**
   * Where the events of this connection begin, if it did not ask to resume. A client's position is the `pos` of the last
   * event that it has read (`resume.reset` changes the epoch, too); until then, the one that it has come with, else this
   * one.
   */
  resume: Schema.Struct({
    /** A life of the gateway: changes with every start. A text to keep and to bring back. */
    epoch: Schema.NonEmptyString,
    /** The newest event's. */
    pos: Count
  }),
  /** Version 4. */
  auth: optional(
    Schema.Struct({
      method: Schema.NonEmptyString,
      role: Schema.NonEmptyString,
      scopes: Schema.Array(Schema.NonEmptyString),
      /** The sessions that the principal may see and use, as patterns (`agent:*:alice:*`). Absent: all; or it may not read. */
      sessions: optional(Schema.Array(Schema.NonEmptyString))
    })
  )
}).annotations({ identifier: "HelloOk" })
export interface HelloOk extends Schema.Schema.Type<typeof HelloOk> {}
