/**
 * What an agent says while it works on a run. Plain data, so that an agent that works elsewhere can report back
 * through a queue or a network.
 */
import { Schema } from "effect"
import { ErrorDetails } from "./RunState.js"

/** More of the answer: `delta` is appended to the text so far. */
export const TextDelta = Schema.TaggedStruct("TextDelta", { delta: Schema.String })
/** The whole answer so far; it may rewrite what was said before. */
export const Text = Schema.TaggedStruct("Text", { text: Schema.String })
/**
 * More of what the agent thinks before it answers. It is no part of the answer: shown on the raw `agent` stream (stream
 * `thinking`, data `{delta}`), paced, and not kept.
 */
export const Thinking = Schema.TaggedStruct("Thinking", { delta: Schema.String })
/** Tokens used so far; what was said before is replaced. An `End` with its own `usage` has the last word. */
export const UsageSoFar = Schema.TaggedStruct("UsageSoFar", { usage: Schema.Unknown })
/** A tool call of the agent: begun, under way, or with its result. */
export const Tool = Schema.TaggedStruct("Tool", {
  phase: Schema.Literal("start", "update", "result"),
  name: Schema.String,
  toolCallId: Schema.String,
  args: Schema.optionalWith(Schema.Unknown, { exact: true }),
  result: Schema.optionalWith(Schema.Unknown, { exact: true }),
  isError: Schema.optionalWith(Schema.Boolean, { exact: true })
})
/** Anything else for the raw `agent` stream, under a stream name of the agent's own. */
export const Custom = Schema.TaggedStruct("Custom", {
  stream: Schema.NonEmptyString,
  data: Schema.Record({ key: Schema.String, value: Schema.Unknown })
})
/** The agent began to work. */
export const Start = Schema.TaggedStruct("Start", {})
/** The answer is whole. Ends the run with `final`. */
export const End = Schema.TaggedStruct("End", {
  stopReason: Schema.optionalWith(Schema.String, { exact: true }),
  usage: Schema.optionalWith(Schema.Unknown, { exact: true })
})
/** The agent gives up. Ends the run with `error`; `details` are for programs. */
export const Failed = Schema.TaggedStruct("Failed", {
  message: Schema.String,
  details: Schema.optionalWith(ErrorDetails, { exact: true })
})

export const AgentEvent = Schema.Union(
  TextDelta,
  Text,
  Thinking,
  UsageSoFar,
  Tool,
  Custom,
  Start,
  End,
  Failed
)
export type AgentEvent = typeof AgentEvent.Type

/** More of the answer. */
export const textDelta = (delta: string): AgentEvent => ({ _tag: "TextDelta", delta })
/** The whole answer so far. */
export const text = (whole: string): AgentEvent => ({ _tag: "Text", text: whole })
/** More of what the agent thinks. */
export const thinking = (delta: string): AgentEvent => ({ _tag: "Thinking", delta })
/** A tool call of the agent. */
export const tool = (call: Omit<typeof Tool.Type, "_tag">): AgentEvent => ({ _tag: "Tool", ...call })
/** The agent began to work. */
export const start: AgentEvent = { _tag: "Start" }
/** The answer is whole. */
export const end = (
  options: { readonly stopReason?: string; readonly usage?: unknown } = {}
): AgentEvent => ({
  _tag: "End",
  ...options
})
/** The agent gives up. */
export const failed = (message: string, details?: ErrorDetails): AgentEvent => ({
  _tag: "Failed",
  message,
  ...(details === undefined ? {} : { details })
})
