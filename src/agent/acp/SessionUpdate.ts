/** SessionUpdate: from what an ACP agent reports of its turn (`session/update`) to what a run hears. */
import { Option, ParseResult, Schema } from "effect"
import * as AgentEvent from "../../domain/AgentEvent.js"

const optional = <A, I>(schema: Schema.Schema<A, I>) =>
  Schema.optionalWith(Schema.NullishOr(schema), { exact: true })

/** Read with tolerance: agents send fields that no schema knows, and leave out others. */
export const Notification = Schema.Struct({ sessionId: Schema.String, update: Schema.Unknown })
export const decodeNotification = ParseResult.decodeUnknownOption(Notification)

const Text = Schema.Struct({ type: Schema.Literal("text"), text: Schema.String })
const Link = Schema.Struct({
  type: Schema.Literal("resource_link"),
  uri: Schema.String,
  name: optional(Schema.String)
})
const Chunk = Schema.Struct({
  sessionUpdate: Schema.Literal("agent_message_chunk", "agent_thought_chunk"),
  content: Schema.Union(Text, Link),
  messageId: optional(Schema.String)
})
const ToolCall = Schema.Struct({
  sessionUpdate: Schema.Literal("tool_call", "tool_call_update"),
  toolCallId: Schema.String,
  title: optional(Schema.String),
  name: optional(Schema.String),
  kind: optional(Schema.String),
  status: optional(Schema.String),
  rawInput: Schema.optionalWith(Schema.Unknown, { exact: true }),
  rawOutput: Schema.optionalWith(Schema.Unknown, { exact: true }),
  content: Schema.optionalWith(Schema.Unknown, { exact: true })
})
type ToolCall = typeof ToolCall.Type
const Plan = Schema.Struct({
  sessionUpdate: Schema.Literal("plan"),
  entries: Schema.Array(Schema.Unknown)
})
const decode = ParseResult.decodeUnknownOption(Schema.Union(Chunk, ToolCall, Plan))

/** What came up in earlier turns of a session: late reports of it must not be taken for news of the next one. */
export interface Earlier {
  readonly has: (id: string) => boolean
  readonly add: (id: string) => void
}

/** The ids of earlier turns, the newest ones. */
export const makeEarlier = (): Earlier => {
  const ids = new Set<string>()
  return {
    has: (id) => ids.has(id),
    add: (id) => {
      ids.delete(id)
      ids.add(id)
      for (const oldest of ids) {
        if (ids.size <= mostIds) break
        ids.delete(oldest)
      }
    }
  }
}

const mostIds = 1000

export interface Reader {
  /** What a run hears of an update; nothing of those that are not for it. */
  readonly read: (update: unknown) => ReadonlyArray<AgentEvent.AgentEvent>
  /** What a tool call is called, for people. */
  readonly nameOf: (toolCallId: string) => string | undefined
  /** The turn is over: what comes under its ids from now on is late. */
  readonly end: () => void
}

/** Reads the updates of one turn. */
export const reader = (earlier: Earlier): Reader => {
  /** The tool calls that have begun: their names, until their results. */
  const open = new Map<string, string>()
  const done = new Set<string>()
  const messages = new Set<string>()
  let lastMessage: string | undefined
  let saidText = false
  let endsLine = false
  let interrupted = false

  const text = (delta: string, messageId: string | undefined): ReadonlyArray<AgentEvent.AgentEvent> => {
    if (delta === "") return []
    const isOther = interrupted || (messageId !== undefined && messageId !== lastMessage)
    const apart = saidText && isOther && !endsLine && !delta.startsWith("\n")
    saidText = true
    interrupted = false
    endsLine = delta.endsWith("\n")
    lastMessage = messageId
    return [AgentEvent.textDelta(apart ? `\n\n${delta}` : delta)]
  }

  const tool = (call: ToolCall): ReadonlyArray<AgentEvent.AgentEvent> => {
    const { content, sessionUpdate, status, toolCallId } = call
    const known = open.get(toolCallId)
    const isNew = known === undefined
    if (isNew && sessionUpdate === "tool_call_update") {
      if (done.has(toolCallId) || earlier.has(toolCallId)) return []
    }
    interrupted = true
    const name = first(call.title, known, call.name, call.kind) ?? "tool"
    open.set(toolCallId, name)
    forgetOldest(open)
    const result = call.rawOutput ?? content
    const said = {
      name,
      toolCallId,
      ...(call.rawInput === undefined || call.rawInput === null ? {} : { args: call.rawInput })
    }
    const found = result === undefined || result === null ? {} : { result }
    const isOver = status === "completed" || status === "failed"
    const events = isNew ? [AgentEvent.tool({ phase: "start", ...said })] : []
    if (isOver) {
      open.delete(toolCallId)
      done.add(toolCallId)
      forgetOldest(done)
      events.push(
        AgentEvent.tool({ phase: "result", name, toolCallId, ...found, isError: status === "failed" })
      )
    } else if (!isNew) {
      events.push(AgentEvent.tool({ phase: "update", ...said, ...found }))
    }
    return events
  }

  return {
    read: (update) => {
      const decoded = Option.getOrUndefined(decode(update))
      if (decoded === undefined) return []
      switch (decoded.sessionUpdate) {
        case "agent_message_chunk":
        case "agent_thought_chunk": {
          const { content } = decoded
          const messageId = decoded.messageId ?? undefined
          if (messageId !== undefined) {
            if (earlier.has(messageId)) return []
            messages.add(messageId)
            forgetOldest(messages)
          }
          const said =
            content.type === "text" ? content.text : `[${content.name ?? content.uri}](${content.uri})`
          if (decoded.sessionUpdate === "agent_message_chunk") return text(said, messageId)
          return said === "" ? [] : [AgentEvent.thinking(said)]
        }
        case "plan":
          return [{ _tag: "Custom", stream: "plan", data: { entries: decoded.entries } }]
        default:
          return tool(decoded)
      }
    },
    nameOf: (toolCallId) => open.get(toolCallId),
    end: () => {
      for (const ids of [open.keys(), done, messages]) for (const id of ids) earlier.add(id)
    }
  }
}

const first = (...names: ReadonlyArray<string | null | undefined>): string | undefined =>
  names.find((name) => name !== undefined && name !== null && name !== "") ?? undefined

/** An agent that floods with ids must not flood the memory. */
const forgetOldest = (ids: {
  readonly size: number
  readonly keys: () => IterableIterator<string>
  readonly delete: (id: string) => boolean
}): void => {
  for (const oldest of ids.keys()) {
    if (ids.size <= mostIds) return
    ids.delete(oldest)
  }
}
