/** What can be set on a gateway, as the services see it. Where the values come from is `cli/Settings.ts`. */
import { Context, Duration, Layer } from "effect"
import { maxImageBytes } from "./domain/Message.js"
import type { AgentId, SessionKeyDefaults } from "./domain/SessionKey.js"
import * as SessionKey from "./domain/SessionKey.js"

export interface GatewayConfigShape extends SessionKeyDefaults {
  /** The agent of a session key that names none. */
  readonly defaultAgentId: AgentId
  /** The name of the main session. */
  readonly mainKey: string
  /** How long a connection may take to say `connect`. */
  readonly handshakeTimeout: Duration.Duration
  /** Logins that may fail until an address, or a principal, must wait before the next. */
  readonly maxFailedLogins: number
  /** Between two `tick` events. */
  readonly tickInterval: Duration.Duration
  /** The largest inbound frame, in bytes. */
  readonly maxPayload: number
  /** The largest frame of a connection that has not logged in, in bytes. */
  readonly handshakeMaxPayload: number
  /** How deep the arrays and objects of a frame may be nested. */
  readonly maxJsonDepth: number
  /** Requests of one principal in a second, over all its connections; four seconds' worth may come at once. */
  readonly requestsPerSecond: number
  /** Bytes of one principal's requests in a second, in the same way. */
  readonly bytesPerSecond: number
  /** Connections of one principal at once. */
  readonly maxConnectionsPerPrincipal: number
  /** Attachments of one message. */
  readonly maxAttachments: number
  /** The largest attachment, in bytes, decoded; at most 5,000,000. */
  readonly maxAttachmentBytes: number
  /** Bytes that may wait for one slow reader. */
  readonly maxBufferedBytes: number
  /** A reader that takes nothing for so long is closed. */
  readonly slowConsumerTimeout: Duration.Duration
  /** Events that are kept for clients that come back; of changes of sessions, a quarter as many besides. */
  readonly replayMaxEvents: number
  /** What these events may hold, in bytes of memory, estimated. */
  readonly replayMaxBytes: number
  /** Requests of one connection that may be under way at once; more wait in the socket. */
  readonly maxInFlightRequests: number
  /** The largest `chat.history` page, in bytes of JSON. */
  readonly historyMaxBytes: number
  /** Messages that abort the session's runs instead of beginning one. */
  readonly stopCommands: ReadonlyArray<string>
  /** How long an agent may work on a run that names no timeout; zero: without limit. */
  readonly runTimeout: Duration.Duration
  /** The longest answer, in characters (UTF-16 code units); a longer one ends its run with `error`. */
  readonly maxAnswerLength: number
  /** Runs at work at once, over all sessions. */
  readonly maxConcurrentRuns: number
  /** Of those, runs that one principal has sent. */
  readonly maxConcurrentRunsPerPrincipal: number
  /** Runs that may wait in one session. */
  readonly maxQueuedPerSession: number
  /** Runs that may wait in all. */
  readonly maxQueuedRuns: number
  /** Of those, runs that one principal has sent. */
  readonly maxQueuedRunsPerPrincipal: number
  /** How long an agent may take to stop when it is interrupted; then it is cut off. */
  readonly interruptGrace: Duration.Duration
  /** How long a handed-off run waits for news of its agent; then it ends with the text so far. */
  readonly handOffGrace: Duration.Duration
  /** How long an idempotency key keeps its answer. */
  readonly idempotencyTtl: Duration.Duration
  /** How long a stop lets the runs go on; then it ends them. */
  readonly drainGrace: Duration.Duration
  /** How long a stop may take, once it has ended the runs, until what is left is cut off. */
  readonly shutdownGrace: Duration.Duration
}

const defaultAgentId = SessionKey.defaultAgentId

export const defaults: GatewayConfigShape = {
  defaultAgentId,
  mainKey: "main",
  handshakeTimeout: Duration.seconds(10),
  maxFailedLogins: 10,
  tickInterval: Duration.seconds(30),
  maxPayload: 512 * 1024,
  handshakeMaxPayload: 64 * 1024,
  maxJsonDepth: 64,
  requestsPerSecond: 2500,
  bytesPerSecond: 8 * 1024 * 1024,
  maxConnectionsPerPrincipal: 16_384,
  maxAttachments: 16,
  maxAttachmentBytes: maxImageBytes,
  maxBufferedBytes: 1536 * 1024,
  slowConsumerTimeout: Duration.seconds(15),
  replayMaxEvents: 16_384,
  replayMaxBytes: 16 * 1024 * 1024,
  maxInFlightRequests: 128,
  historyMaxBytes: 6 * 1024 * 1024,
  stopCommands: ["/stop"],
  runTimeout: Duration.minutes(10),
  maxAnswerLength: 4 * 1024 * 1024,
  maxConcurrentRuns: 4096,
  maxConcurrentRunsPerPrincipal: 2048,
  maxQueuedPerSession: 256,
  maxQueuedRuns: 16_384,
  maxQueuedRunsPerPrincipal: 8192,
  interruptGrace: Duration.seconds(5),
  handOffGrace: Duration.minutes(1),
  idempotencyTtl: Duration.hours(24),
  drainGrace: Duration.seconds(5),
  shutdownGrace: Duration.seconds(3)
}

export class GatewayConfig extends Context.Tag("colloquy/GatewayConfig")<
  GatewayConfig,
  GatewayConfigShape
>() {}

/** The defaults, with some values replaced. */
export const layer = (overrides: Partial<GatewayConfigShape> = {}): Layer.Layer<GatewayConfig> =>
  Layer.succeed(GatewayConfig, { ...defaults, ...overrides })
