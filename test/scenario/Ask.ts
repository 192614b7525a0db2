/** What scenarios ask of a client, in short. */
import { Effect, Schema } from "effect"
import type { ChatEvent } from "../../src/protocol/Chat.js"
import * as Method from "../../src/protocol/Method.js"
import type { ResponseFrame } from "../../src/protocol/Frame.js"
import { ScriptedAgent } from "../../src/testing/ScriptedAgent.js"
import type { ContractViolation, TestClient } from "../../src/testing/TestClient.js"
import { Harness } from "./Harness.js"

export interface SendOptions {
  readonly sessionKey?: string
  readonly [param: string]: unknown
}

/** Parameters of a send to `main`. */
export const sendParams = (key: string, message: string, options: SendOptions = {}) => ({
  sessionKey: "main",
  message,
  idempotencyKey: key,
  ...options
})

export const send = (client: TestClient, key: string, message = `message ${key}`, options?: SendOptions) =>
  client.request("chat.send", sendParams(key, message, options))

/** What most scenarios begin with: the gateway, its agent, and a client that has shaken hands. */
export const stage = Effect.gen(function* () {
  const harness = yield* Harness
  const agent = yield* ScriptedAgent
  return { agent, client: yield* harness.connect(), harness }
})

/** Sends, and waits until the agent was called. */
export const begin = (client: TestClient, key: string, message?: string, options?: SendOptions) =>
  Effect.zipRight(
    send(client, key, message, options),
    Effect.flatMap(ScriptedAgent, (agent) => agent.next)
  )

/** Sends without waiting for the answer. */
export const postSend = (
  client: TestClient,
  key: string,
  message = `message ${key}`,
  options?: SendOptions
) => client.post("chat.send", sendParams(key, message, options))

export const abort = (client: TestClient, runId?: string, sessionKey = "main") =>
  client.request("chat.abort", { sessionKey, ...(runId === undefined ? {} : { runId }) })

/** A message of the history, as far as scenarios look at it. */
const HistoryMessage = Schema.Struct({
  id: Schema.String,
  role: Schema.String,
  content: Schema.Array(Schema.Struct({ type: Schema.String, text: Schema.optional(Schema.String) })),
  timestamp: Schema.Number,
  runId: Schema.optional(Schema.String),
  stopReason: Schema.optional(Schema.String),
  errorMessage: Schema.optional(Schema.String)
})
type HistoryMessage = typeof HistoryMessage.Type
const decodeMessages = Schema.decodeUnknown(Schema.Array(HistoryMessage))
const decodePage = Schema.decodeUnknown(Method.methods["chat.history"].result)

/** The reply of `chat.history`, decoded. */
export const page = (client: TestClient, params: SendOptions = {}) =>
  Effect.flatMap(client.request("chat.history", { sessionKey: "main", ...params }), ({ payload }) =>
    decodePage(payload)
  )

/** The messages of a session. */
export const history = (client: TestClient, sessionKey = "main") =>
  Effect.flatMap(page(client, { sessionKey, limit: 1000 }), ({ messages }) => decodeMessages(messages))

export const textOf = (message: HistoryMessage): string =>
  message.content.map(({ text }) => text ?? "").join("")

/** The messages of a session as `role: text`. */
export const conversation = (client: TestClient, sessionKey = "main") =>
  Effect.map(history(client, sessionKey), (messages) =>
    messages.map((message) => `${message.role}: ${textOf(message)}`)
  )

/** The cumulative text of a chat event. */
export const eventText = (event: ChatEvent): string | undefined => event.message?.content[0]?.text

/** Waits until the client was shown so much of an answer. */
export const shown = (client: TestClient, runId: string, text: string) =>
  client.awaitChat((event) => event.runId === runId && eventText(event) === text)

/**
 * All chat events of a run that the gateway has sent. What it sent before it answered this request has arrived, so
 * that an event that must not come can't still be under way.
 */
export const settledChat = (
  client: TestClient,
  runId: string
): Effect.Effect<ReadonlyArray<ChatEvent>, ContractViolation> =>
  Effect.zipRight(client.request("health"), client.chat(runId))

/** What a refusal says beside its text. */
export const detailOf = (response: ResponseFrame, field: string): unknown => {
  const details = response.error?.details
  return typeof details === "object" && details !== null
    ? new Map(Object.entries(details)).get(field)
    : undefined
}
