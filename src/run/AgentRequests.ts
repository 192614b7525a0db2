/** AgentRequests: what an agent is given of its run, and what it may ask the gateway for. */
import { Effect } from "effect"
import { AgentError, type AgentRequest } from "../agent/AgentRunner.js"
import * as Conversation from "../agent/Conversation.js"
import type { SessionId } from "../domain/Ids.js"
import * as Ids from "../domain/Ids.js"
import type { ImageContent, TextContent } from "../domain/Message.js"
import { GatewayConfig } from "../GatewayConfig.js"
import { SessionStore } from "../session/SessionStore.js"
import { Permissions } from "./Permissions.js"
import type { Run } from "./Run.js"

const lost: TextContent = { type: "text", text: "(an image that is gone)" }

/** The most messages that can be read at once. */
const mostMessages = 1000

export const make: Effect.Effect<
  (run: Run, sessionId: SessionId, images: ReadonlyArray<ImageContent>) => AgentRequest,
  never,
  GatewayConfig | SessionStore | Permissions
> = Effect.gen(function* () {
  const config = yield* GatewayConfig
  const store = yield* SessionStore
  const permissions = yield* Permissions

  /** An image of an earlier message that can't be read any more is no reason not to answer this one. */
  const withBytes = (block: Conversation.Block): Effect.Effect<TextContent | ImageContent> =>
    block.type === "text" || "data" in block
      ? Effect.succeed(block)
      : Effect.catchAll(store.image(block), (error) =>
          Effect.as(Effect.logWarning("an image of an earlier message can't be read", error), lost)
        )

  return (run, sessionId, images) => {
    const { message, thinking = run.thinkingLevel } = run.request
    const history = (limit: number) =>
      store.history(run.ref.sessionKey, { limit, maxBytes: config.historyMaxBytes }).pipe(
        Effect.map((page) => page.messages),
        Effect.mapError(
          (error) => new AgentError({ message: "the conversation could not be read", cause: error })
        )
      )
    return {
      runId: run.ref.runId,
      sessionKey: run.ref.sessionKey,
      sessionId,
      agentId: run.ref.agentId,
      message,
      images,
      ...(thinking === undefined ? {} : { thinking }),
      history,
      conversation: (budget) =>
        // Messages of runs that wait stand behind the own one.
        history(Math.min(mostMessages, budget.messages + config.maxQueuedPerSession)).pipe(
          Effect.map((messages) =>
            Conversation.make(messages, { key: Ids.keyOf(run.ref.runId), message, images }, budget)
          ),
          Effect.flatMap((told) =>
            Effect.forEach(told, ({ content, role }) =>
              Effect.map(Effect.forEach(content, withBytes), (content) => ({ role, content }))
            )
          )
        ),
      ask: (request) => permissions.ask(run.ref, request)
    }
  }
})
