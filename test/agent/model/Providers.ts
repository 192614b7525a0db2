/** What the tests of both kinds of model need: their agents, how their servers say something, and what came of it. */
import type { HttpClient } from "@effect/platform"
import { Effect, Exit, Fiber, Option, Redacted, Stream } from "effect"
import * as AgentAnthropic from "../../../src/agent/AgentAnthropic.js"
import * as AgentOpenAi from "../../../src/agent/AgentOpenAi.js"
import type { Agent, AgentError, AgentRequest } from "../../../src/agent/AgentRunner.js"
import type { ModelOptions } from "../../../src/agent/model/ModelOptions.js"
import type { AgentEvent } from "../../../src/domain/AgentEvent.js"
import { agentRequest } from "../../support/Request.js"
import * as HostileServer from "./HostileServer.js"

export const key = "orchid.0123456789abcdef"

export const options = (baseUrl: string, more: Partial<ModelOptions> = {}): ModelOptions => ({
  model: "model-1",
  baseUrl,
  apiKey: Option.some(Redacted.make(key)),
  keyName: "THE_KEY",
  history: { messages: 100, bytes: 1_000_000 },
  ...more
})

/** One provider's agent, and its server's words. */
export interface Provider {
  readonly name: "openai" | "anthropic"
  readonly make: (options: ModelOptions) => Effect.Effect<Agent, never, HttpClient.HttpClient>
  readonly text: (delta: string) => string
  /** The events that end an answer well, but for the last one. */
  readonly stop: string
  /** The last one. */
  readonly over: string
  /** An error in the middle of a stream that stands for one with status 529. */
  readonly overloaded: string
}

export const event = (data: unknown, name?: string): string =>
  `${name === undefined ? "" : `event: ${name}\n`}data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`

/** An event of Anthropic's, whose name stands twice. */
export const typed = (data: { readonly type: string; readonly [field: string]: unknown }): string =>
  event(data, data.type)

const choice = (delta: object, finish_reason: string | null = null) =>
  event({
    object: "chat.completion.chunk",
    choices: [{ index: 0, delta, finish_reason }]
  })

export const openai: Provider = {
  name: "openai",
  make: AgentOpenAi.make,
  text: (content) => choice({ content }),
  stop: choice({}, "stop"),
  over: event("[DONE]"),
  overloaded: event({ error: { message: "We are full", type: "server_error", code: null } })
}

export const anthropic: Provider = {
  name: "anthropic",
  make: AgentAnthropic.make,
  text: (text) => typed({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text } }),
  stop: typed({ type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 7 } }),
  over: typed({ type: "message_stop" }),
  overloaded: typed({ type: "error", error: { type: "overloaded_error", message: "We are full" } })
}

export const providers = [openai, anthropic] as const

/** What an agent has said, and how it ended. */
export interface Heard {
  readonly events: ReadonlyArray<AgentEvent>
  /** All deltas of the answer together. */
  readonly text: string
  readonly exit: Exit.Exit<void, AgentError>
}

/** Runs an agent to its end. */
export const hear = (agent: Agent, request: AgentRequest = agentRequest("hi")): Effect.Effect<Heard> =>
  Effect.suspend(() => {
    const events: Array<AgentEvent> = []
    return Effect.map(
      Effect.exit(Stream.runForEach(agent.run(request), (event) => Effect.sync(() => events.push(event)))),
      (exit) => ({ events, text: textOf(events), exit })
    )
  })

export const textOf = (events: Iterable<AgentEvent>): string =>
  [...events].map((event) => (event._tag === "TextDelta" ? event.delta : "")).join("")

/** Why it failed. */
export const failure = ({ exit }: Heard): AgentError =>
  Exit.match(exit, {
    onFailure: (cause) => {
      if (cause._tag !== "Fail") throw new Error(`not a typed failure: ${String(cause)}`)
      return cause.error
    },
    onSuccess: () => {
      throw new Error("it did not fail")
    }
  })

/** Asks the provider's agent once; the server answers as told. */
export const ask = (
  provider: Provider,
  answer: (exchange: HostileServer.Exchange) => void,
  more: Partial<ModelOptions> = {},
  request: AgentRequest = agentRequest("hi")
) =>
  Effect.gen(function* () {
    const server = yield* HostileServer.make
    const agent = yield* provider.make(options(server.url, more))
    const fiber = yield* Effect.fork(hear(agent, request))
    const exchange = yield* server.next
    answer(exchange)
    return { ...(yield* Fiber.join(fiber)), exchange, server }
  })

/** Begins a stream of events, writes these and ends it. */
export const streamed =
  (...events: ReadonlyArray<string>) =>
  (exchange: HostileServer.Exchange): void => {
    exchange.begin()
    exchange.end(events.join(""))
  }
