/** An agent's request without a gateway around it. */
import { Effect, Either } from "effect"
import type { AgentRequest } from "../../src/agent/AgentRunner.js"
import { RunId, SessionId } from "../../src/domain/Ids.js"
import * as SessionKey from "../../src/domain/SessionKey.js"

const defaults = { defaultAgentId: SessionKey.defaultAgentId, mainKey: "main" }

export const agentRequest = (message: string, more: Partial<AgentRequest> = {}): AgentRequest => ({
  runId: RunId("r1"),
  sessionKey: Either.getOrThrow(SessionKey.parse("main", defaults)),
  sessionId: SessionId("s1"),
  agentId: SessionKey.defaultAgentId,
  message,
  images: [],
  history: () => Effect.succeed([]),
  conversation: () =>
    Effect.succeed([{ role: "user", content: [{ type: "text", text: message }, ...(more.images ?? [])] }]),
  ask: () => Effect.succeedNone,
  ...more
})
