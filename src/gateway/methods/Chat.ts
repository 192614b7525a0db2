/** The handlers of `chat.*`. */
import { Clock, Effect, Either, Option } from "effect"
import { AgentRunner, agentsOf } from "../../agent/AgentRunner.js"
import { MessageId, RunId } from "../../domain/Ids.js"
import * as Message from "../../domain/Message.js"
import { UnknownAgent } from "../../domain/RunError.js"
import { EmptyMessage, UnknownImage } from "../../domain/RequestError.js"
import * as SessionKey from "../../domain/SessionKey.js"
import { EventHub } from "../../event/EventHub.js"
import { GatewayConfig } from "../../GatewayConfig.js"
import type { AbortResult } from "../../protocol/Chat.js"
import * as ErrorMap from "../../protocol/ErrorMap.js"
import { RunRegistry, type SendStatus } from "../../run/RunRegistry.js"
import { SessionStore } from "../../session/SessionStore.js"
import * as Attachments from "../Attachments.js"
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
    "chat.history": Effect.fnUntraced(function* (params) {
      const sessionKey = yield* sessionOf(params, config)
      const page = yield* store.history(sessionKey, {
        limit: params.limit ?? defaultLimit,
        maxBytes: config.historyMaxBytes,
        ...(params.before === undefined ? {} : { before: MessageId(params.before) })
      })
      return ok({
        sessionKey: params.sessionKey,
        ...page,
        // Counting what was not read would cost the whole transcript.
        ...(page.hasMore || params.before !== undefined ? {} : { totalMessages: page.messages.length })
      })
    }),

    "chat.image": Effect.fnUntraced(function* (params) {
      const { sha256 } = params
      const sessionKey = yield* sessionOf(params, config)
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

    "chat.send": Effect.fnUntraced(function* (params, caller) {
      const sessionKey = yield* sessionOf(params, config)
      const attachments = params.attachments ?? []
      const text = params.message.trim()
      if (attachments.length === 0 && stopCommands.has(text.toLowerCase())) {
        return ok(abortResult(yield* registry.abort({ sessionKey, reason: "stop" })))
      }
      if (text === "" && attachments.length === 0) return yield* new EmptyMessage()
      const images = yield* Attachments.decode(attachments)
      const status = yield* registry.accept({
        runId: RunId(params.idempotencyKey),
        sessionKey,
        requestedKey: params.sessionKey,
        agentId: SessionKey.agentIdOf(sessionKey, config),
        principal: caller.principal.name,
        message: params.message,
        images,
        ...(params.thinking === undefined ? {} : { thinking: params.thinking }),
        ...(params.timeoutMs === undefined ? {} : { timeoutMs: params.timeoutMs })
      })
      return sendAnswer(params.idempotencyKey, status)
    }),

    "chat.abort": Effect.fnUntraced(function* (params) {
      const sessionKey = yield* sessionOf(params, config)
      return ok(
        abortResult(
          yield* registry.abort({
            sessionKey,
            reason: "rpc",
            ...(params.runId === undefined ? {} : { runId: RunId(params.runId) })
          })
        )
      )
    }),

    "chat.inject": Effect.fnUntraced(function* (params) {
      const sessionKey = yield* sessionOf(params, config)
      const agentId = SessionKey.agentIdOf(sessionKey, config)
      // What was put in there could never be answered.
      if (!agents.has(agentId)) return yield* new UnknownAgent({ agentId, known: [...agents.keys()] })
      const now = yield* Clock.currentTimeMillis
      const text = params.label === undefined ? params.message : `[${params.label}]\n\n${params.message}`
      const append = store.append(sessionKey, {
        ...Message.text("assistant", text, now),
        stopReason: "injected"
      })
      // Once it is in the transcript it is told, whatever becomes of the caller.
      return yield* append.pipe(
        Effect.tap(({ messageId }) =>
          hub.publish({
            _tag: "Injected",
            sessionKey,
            requestedKey: params.sessionKey,
            agentId,
            messageId,
            text,
            timestamp: now
          })
        ),
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

const abortResult = (runIds: ReadonlyArray<RunId>): AbortResult => ({
  ok: true,
  aborted: runIds.length > 0,
  runIds
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
