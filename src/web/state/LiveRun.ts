/** LiveRun: a message and the answer to it, from the outbox to its end, while the page watches. */
import { type ReadonlySignal, type Signal, signal } from "@preact/signals"
import * as Answer from "../../client/Answer.js"
import type { RunState } from "../../client/RunState.js"
import type { ChatEvent } from "../../protocol/Chat.js"
import type { Outgoing, SentRun } from "../connection/Gateway.js"
import type { ToolPart } from "../../client/Transcript.js"

/** Where it stands. */
export type Phase =
  /** In the outbox. `problem`: why it is tried again. */
  | { readonly _tag: "Sending"; readonly problem?: string }
  /** The gateway has it; there is no word of an answer yet, or there is. */
  | { readonly _tag: "Accepted" }
  | { readonly _tag: "Final" }
  | { readonly _tag: "Aborted"; readonly reason?: string }
  | { readonly _tag: "Failed"; readonly message: string }
  /** It was not taken, and no run began. */
  | { readonly _tag: "Rejected"; readonly message: string }

export class LiveRun {
  readonly id: string
  /** The message, when it was sent from here. */
  readonly sent: Outgoing | undefined
  /** The client's own, which knows how to take it back. */
  readonly handle: SentRun | undefined
  /** Milliseconds since the Unix epoch: since when the page knows it. */
  readonly since: number
  readonly #phase: Signal<Phase>
  readonly #text = signal("")
  readonly #thinking = signal("")
  readonly #tools = signal<ReadonlyArray<ToolPart>>([])

  constructor(id: string, since: number, handle?: SentRun) {
    this.id = id
    this.since = since
    this.handle = handle
    this.sent = handle?.message
    this.#phase = signal<Phase>(handle === undefined ? { _tag: "Accepted" } : { _tag: "Sending" })
  }

  get phase(): ReadonlySignal<Phase> {
    return this.#phase
  }
  /** The answer so far. */
  get text(): ReadonlySignal<string> {
    return this.#text
  }
  /** What the agent thinks before it answers. */
  get thinking(): ReadonlySignal<string> {
    return this.#thinking
  }
  get tools(): ReadonlySignal<ReadonlyArray<ToolPart>> {
    return this.#tools
  }
  get isOver(): boolean {
    const { _tag } = this.#phase.value
    return _tag !== "Sending" && _tag !== "Accepted"
  }

  /** What there was of the answer before the page came. */
  onJoined(text: string): void {
    if (this.#text.value === "" && !this.isOver) this.#text.value = text
  }

  /** What the client says of a message that was sent from here. */
  onState(state: RunState): void {
    if ("text" in state) this.#text.value = state.text
    this.#phase.value = phaseOf(state)
  }

  /** What the gateway says of a run of anybody. */
  onChat(event: ChatEvent): void {
    if (this.isOver) return
    this.#text.value = Answer.next(this.#text.value, event).text
    switch (event.state) {
      case "delta":
        break
      case "final":
        this.#phase.value = { _tag: "Final" }
        break
      case "aborted":
        this.#phase.value = { _tag: "Aborted", reason: event.stopReason }
        break
      case "error":
        this.#phase.value = { _tag: "Failed", message: event.errorMessage }
    }
  }

  /** The raw stream: tool calls and thoughts. */
  onAgent(stream: string, data: Readonly<Record<string, unknown>>): void {
    if (stream === "thinking" && typeof data["delta"] === "string") this.#thinking.value += data["delta"]
    if (stream === "tool") this.#tools.value = withTool(this.#tools.value, data)
  }
}

const phaseOf = (state: RunState): Phase => {
  switch (state._tag) {
    case "Sending":
      return state.problem === undefined
        ? { _tag: "Sending" }
        : { _tag: "Sending", problem: state.problem.message }
    case "Accepted":
      return { _tag: "Accepted" }
    case "Final":
    case "Stopped":
      return { _tag: "Final" }
    case "Aborted":
      return state.reason === undefined ? { _tag: "Aborted" } : { _tag: "Aborted", reason: state.reason }
    case "Failed":
      return { _tag: "Failed", message: state.errorMessage }
    case "Rejected":
      return { _tag: "Rejected", message: state.error.message }
  }
}

/** The tool calls of a run with what was told of one of them. */
export const withTool = (
  tools: ReadonlyArray<ToolPart>,
  data: Readonly<Record<string, unknown>>
): ReadonlyArray<ToolPart> => {
  const id = typeof data["toolCallId"] === "string" ? data["toolCallId"] : undefined
  if (id === undefined) return tools
  const before = tools.find((tool) => tool.id === id)
  const name = typeof data["name"] === "string" ? data["name"] : (before?.name ?? "tool")
  const tool: ToolPart = {
    kind: "tool",
    id,
    name,
    args: data["args"] ?? before?.args,
    result: data["result"] ?? data["partialResult"] ?? before?.result,
    isError: data["isError"] === true || before?.isError === true,
    isDone: data["phase"] === "result" || before?.isDone === true
  }
  return before === undefined ? [...tools, tool] : tools.map((one) => (one.id === id ? tool : one))
}
