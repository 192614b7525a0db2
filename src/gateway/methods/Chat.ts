/** The handlers of `chat.*`. */
import { Clock, Effect, Either, Option } from "effect"
import { AgentRunner, agentsOf } from "../../agent/AgentRunner.js"
import type { Principal } from "../../auth/Principal.js"
import { MessageId, type RunId } from "../../domain/Ids.js"
import * as Ids from "../../domain/Ids.js"
import * as Message from "../../domain/Message.js"
import { UnknownAgent } from "../../domain/RunError.js"
import { EmptyMessage, SessionForbidden, UnknownImage } from "../../domain/RequestError.js"
import * as SessionKey from "../../domain/SessionKey.js"
import { EventHub } from "../../event/EventHub.js"
import { GatewayConfig } from "../../GatewayConfig.js"
import type { AbortResult } from "../../protocol/Chat.js"
import * as ErrorMap from "../../protocol/ErrorMap.js"
import { RunRegistry, type SendStatus } from "../../run/RunRegistry.js"
import { SessionStore } from "../../session/SessionStore.js"
import * as Attachments from "../Attachments.js"
import * as Visible from "../Visible.js"
import { type Answer, type Handlers, ok } from "../Handler.js"

type ChatHandlers = Pick<Handlers, "chat.history" | "chat.image" | "chat.send" | "chat.abort" | "chat.inject">

const defaultLimit = 200

export const make: Effect.Effect<
  ChatHandlers,
  never,
  GatewayConfig | SessionStore | RunRegistry | AgentRunner | EventHub
> = Effect.gen(function* () {
  const config = yield* GatewayConfig
  const store = yield* SessionStore
  const registry = yield* RunRegistry
  const hub = yield* EventHub
  const agents = agentsOf(yield* AgentRunner, config.defaultAgentId)
  const stopCommands: ReadonlySet<string> = new Set(
    config.stopCommands.map((command) => command.toLowerCase())
  )

  return {
    "chat.history": Effect.fnUntraced(function* (params, { principal }) {
      const sessionKey = yield* sessionOf(params, config)
      // Whose session it is not is told what there is of one that does not exist.
      if (!principal.sessions.matches(sessionKey)) {
        return ok({ sessionKey: params.sessionKey, messages: [], hasMore: false, ...total(params, []) })
      }
      const page = yield* store.history(sessionKey, {
        limit: params.limit ?? defaultLimit,
        maxBytes: config.historyMaxBytes,
        ...(params.before === undefined ? {} : { before: MessageId(params.before) })
      })
      return ok({
        sessionKey: params.sessionKey,
        ...page,
        // Counting what was not read would cost the whole transcript.
        ...(page.hasMore ? {} : total(params, page.messages))
      })
    }),

    "chat.image": Effect.fnUntraced(function* (params, { principal }) {
      const { sha256 } = params
      const sessionKey = yield* sessionOf(params, config)
      if (!principal.sessions.matches(sessionKey)) return yield* new UnknownImage({ sha256 })
      // The file is shared by all sessions: that one of them has it says nothing of this one.
      const reference = Option.getOrUndefined(yield* store.findImage(sessionKey, sha256))
      if (reference === undefined) return yield* new UnknownImage({ sha256 })
      const { data, fileName, mimeType } = yield* store.image(reference)
      return ok({
        mimeType,
        data,
        size: reference.size,
        ...(fileName === undefined ? {} : { fileName })
      })
    }),

    "chat.send": Effect.fnUntraced(function* (params, { principal }) {
      const sessionKey = yield* usableSessionOf(params, config, principal)
      const attachments = params.attachments ?? []
      const text = params.message.trim()
      if (attachments.length === 0 && stopCommands.has(text.toLowerCase())) {
        return ok(abortResult(yield* registry.abort({ sessionKey, reason: "stop", by: principal })))
      }
      if (text === "" && attachments.length === 0) return yield* new EmptyMessage()
      const images = yield* Attachments.decode(attachments, config)
      const accepting = registry.accept({
        runId: Ids.runIdOf(principal.name, params.idempotencyKey),
        sessionKey,
        requestedKey: params.sessionKey,
        agentId: SessionKey.agentIdOf(sessionKey, config),
        principal: principal.name,
        message: params.message,
        images,
        ...(params.thinking === undefined ? {} : { thinking: params.thinking }),
        ...(params.timeoutMs === undefined ? {} : { timeoutMs: params.timeoutMs })
      })
      const status = yield* Effect.catchTag(
        accepting,
        "UnknownAgent",
        ({ agentId }) =>
          new UnknownAgent({
            agentId,
            known: [...Visible.agents(agents, config.defaultAgentId, principal).keys()]
          })
      )
      return sendAnswer(params.idempotencyKey, status)
    }),

    "chat.abort": Effect.fnUntraced(function* (params, { principal }) {
      const sessionKey = yield* sessionOf(params, config)
      return ok(
        abortResult(
          yield* registry.abort({
            sessionKey,
            reason: "rpc",
            by: principal,
            ...(params.runId === undefined ? {} : { key: params.runId })
          })
        )
      )
    }),

    "chat.inject": Effect.fnUntraced(function* (params, { principal }) {
      const sessionKey = yield* usableSessionOf(params, config, principal)
      const agentId = SessionKey.agentIdOf(sessionKey, config)
      // What was put in there could never be answered.
      if (!agents.has(agentId))
        return yield* new UnknownAgent({
          agentId,
          known: [...Visible.agents(agents, config.defaultAgentId, principal).keys()]
        })
      const now = yield* Clock.currentTimeMillis
      const text = params.label === undefined ? params.message : `[${params.label}]\n\n${params.message}`
      const append = store.append(sessionKey, {
        ...Message.text("assistant", text, now),
        stopReason: "injected"
      })
      // Once it is in the transcript it is told, whatever becomes of the caller.
      return yield* append.pipe(
        Effect.tap(({ messageId }) => {
          hub.unsafePublish({ _tag: "SessionChanged", sessionKey, reason: "inject" })
          return hub.publish({
            _tag: "Injected",
            sessionKey,
            requestedKey: params.sessionKey,
            agentId,
            messageId,
            text,
            timestamp: now
          })
        }),
        Effect.map(({ messageId }) => ok({ ok: true as const, messageId })),
        Effect.uninterruptible
      )
    })
  }
})

/** The session that a request names. */
const sessionOf = (
  params: { readonly sessionKey: string; readonly agentId?: string },
  config: SessionKey.SessionKeyDefaults
): Either.Either<SessionKey.SessionKey, SessionKey.InvalidSessionKey> =>
  params.agentId === undefined
    ? SessionKey.parse(params.sessionKey, config)
    : Either.flatMap(
        Either.mapLeft(
          SessionKey.parseAgentId(params.agentId),
          (expected) => new SessionKey.InvalidSessionKey({ key: params.sessionKey, expected })
        ),
        (defaultAgentId) => SessionKey.parse(params.sessionKey, { defaultAgentId, mainKey: config.mainKey })
      )

/** The same, when it is for this principal to use: if not, it is refused whether it exists or not. */
const usableSessionOf = (
  params: { readonly sessionKey: string; readonly agentId?: string },
  config: SessionKey.SessionKeyDefaults,
  { sessions }: Principal
): Either.Either<SessionKey.SessionKey, SessionKey.InvalidSessionKey | SessionForbidden> =>
  Either.filterOrLeft(
    sessionOf(params, config),
    (sessionKey) => sessions.matches(sessionKey),
    () => new SessionForbidden()
  )

/** The whole session has been read when it was from its end and nothing is left. */
const total = (params: { readonly before?: string }, messages: ReadonlyArray<unknown>) =>
  params.before === undefined ? { totalMessages: messages.length } : {}

const abortResult = (runIds: ReadonlyArray<RunId>): AbortResult => ({
  ok: true,
  aborted: runIds.length > 0,
  runIds: runIds.map(Ids.keyOf)
})

const sendAnswer = (runId: string, status: SendStatus): Answer<"chat.send"> => {
  switch (status._tag) {
    case "Started":
      return ok({ runId, status: "started" })
    case "InFlight":
      return ok({ runId, status: "in_flight" })
    case "Ok":
      return ok({ runId, status: "ok" })
    case "Aborted":
      return ok({ runId, status: "aborted" })
    case "Failed":
      return {
        ok: false,
        payload: { runId, status: "error", summary: status.summary },
        // An agent may fail without a word; an error has one.
        error: ErrorMap.runFailed(
          runId,
          status.summary === "" ? "the agent failed" : status.summary,
          status.details
        )
      }
  }
}
