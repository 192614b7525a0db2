/**
 * One run that is not over: its state, its answer so far, and what its watchers were shown. Internal to the registry.
 *
 * Everything here is synchronous on purpose: a decision and its consequences happen between two yields of the
 * scheduler, so no other fiber can come in between.
 */
import { Deferred, Exit, FiberId, Option } from "effect"
import type { AgentEvent } from "../domain/AgentEvent.js"
import type { HubEvent, RunRef } from "../domain/HubEvent.js"
import * as ToolView from "../domain/ToolView.js"
import type { Image, Message } from "../domain/Message.js"
import * as Projection from "../domain/Projection.js"
import * as RunState from "../domain/RunState.js"
import type { AcceptedRun } from "../journal/JournalRecord.js"
import type { AcceptError, SendRequest, SendStatus } from "./RunRegistry.js"

/**
 * Who is shown what: the readers of the event `chat` the answer, those of the raw `agent` stream the answer, and what the
 * agent thinks.
 */
export type Audience = "thoughts" | "agent" | "chat"
export const audiences: ReadonlyArray<Audience> = ["thoughts", "agent", "chat"]
/** UTF-16 code units of thoughts that may wait to be shown together. */
const mostThoughts = 16 * 1024

/** A send, its images with their bytes or by reference. */
export interface RunRequest extends Omit<SendRequest, "images"> {
  readonly images: ReadonlyArray<Image>
}

export class Run {
  readonly ref: RunRef
  request: RunRequest
  readonly fingerprint: string
  /** Milliseconds since the Unix epoch. */
  readonly acceptedAt: number
  state: RunState.RunState
  answer: Projection.Answer = Projection.empty
  /** When the agent was last heard of, in milliseconds. */
  newsAt: number
  /** Tokens used so far, as the agent counts them. */
  usage: unknown = undefined
  /** The level of thinking that the session's entry asks for. */
  thinkingLevel: string | undefined = undefined
  /** Which tool events are shown. */
  verboseLevel: ToolView.VerboseLevel = ToolView.defaultLevel
  /** What of the answer the run journal has, and since when. */
  kept = Projection.nothingShown
  /** Is a fiber under way that will show this audience what is pending? */
  readonly paced: { [A in Audience]: boolean } = { thoughts: false, agent: false, chat: false }

  /** The answer to the send: begun, when the user's message is durable; aborted, when it can't be saved any more. */
  readonly saved = Deferred.unsafeMake<SendStatus, AcceptError>(FiberId.none)
  /** The turn has come, or the run was decided while it waited. */
  readonly turn = Deferred.unsafeMake<void>(FiberId.none)
  /** The agent's fiber is done, or the run was decided while it worked. */
  readonly returned = Deferred.unsafeMake<void>(FiberId.none)
  /** The outcome is decided. */
  readonly decided = Deferred.unsafeMake<void>(FiberId.none)
  /** It is over: its end is committed and told, or it was never accepted. */
  readonly over = Deferred.unsafeMake<void>(FiberId.none)

  readonly #publish: (event: HubEvent) => number
  readonly #maxLength: number
  #chatShown = Projection.nothingShown
  #agentShown = Projection.nothingShown
  #chatSeq: number
  #agentSeq = 0
  #started = false
  /** What the agent thought and nobody was shown yet. */
  #thoughts = ""
  #thoughtsShownAt = Number.NEGATIVE_INFINITY

  constructor(options: {
    readonly request: RunRequest
    readonly fingerprint: string
    readonly now: number
    /** The longest answer, in UTF-16 code units. */
    readonly maxLength: number
    readonly publish: (event: HubEvent) => number
    /** Default: it is being accepted. */
    readonly state?: RunState.RunState
    /** The number of its first chat event. Default 0. */
    readonly firstSeq?: number
  }) {
    const { request } = options
    this.request = request
    this.ref = {
      runId: request.runId,
      sessionKey: request.sessionKey,
      requestedKey: request.requestedKey,
      agentId: request.agentId
    }
    this.fingerprint = options.fingerprint
    this.acceptedAt = options.now
    this.newsAt = options.now
    this.#publish = options.publish
    this.#maxLength = options.maxLength
    this.state = options.state ?? RunState.initial
    this.#chatSeq = options.firstSeq ?? 0
  }

  /** The store has its images: thousands of runs may wait, and must not hold all their bytes. */
  keepReferences({ content }: Message): void {
    this.request = { ...this.request, images: content.filter((block) => block.type === "image") }
  }

  /** What the run journal says of it. */
  get accepted(): AcceptedRun {
    const { principal, thinking, timeoutMs } = this.request
    return {
      ...this.ref,
      principal,
      fingerprint: this.fingerprint,
      acceptedAt: this.acceptedAt,
      ...(thinking === undefined ? {} : { thinking }),
      ...(timeoutMs === undefined ? {} : { timeoutMs })
    }
  }

  /** Asks the state machine. `false`: the input lost and nothing was changed. */
  apply(input: RunState.Input): boolean {
    const next = RunState.transition(this.state, input)
    if (Option.isNone(next)) return false
    this.state = next.value
    if (this.state._tag === "Settling" || this.state._tag === "Rejected") {
      Deferred.unsafeDone(this.turn, Exit.void)
      Deferred.unsafeDone(this.returned, Exit.void)
      Deferred.unsafeDone(this.decided, Exit.void)
    }
    return true
  }

  /** Takes in an agent's event; `false` if the run no longer listens. Text is not shown yet: `show` does that. */
  ingest(event: AgentEvent, now: number): boolean {
    if (!RunState.isOpen(this.state)) return false
    this.newsAt = now
    switch (event._tag) {
      case "Start":
        this.start(now)
        return true
      case "TextDelta":
        this.#showThoughts(now)
        return this.#grow(Projection.append(this.answer, event.delta.slice(0, this.#maxLength + 1)))
      case "Text":
        this.#showThoughts(now)
        return this.#grow(Projection.replace(this.answer, event.text.slice(0, this.#maxLength + 1)))
      case "Thinking":
        this.#thoughts += event.delta
        if (this.#thoughts.length > mostThoughts) this.#showThoughts(now)
        return true
      case "UsageSoFar":
        this.usage = event.usage
        return true
      case "Tool": {
        const data = ToolView.make(event, this.verboseLevel)
        if (data === undefined) return true
        this.#showThoughts(now)
        this.#activity("tool", data, now)
        return true
      }
      case "Custom":
        this.#showThoughts(now)
        this.#activity(event.stream, event.data, now)
        return true
      case "End": {
        const { _tag, usage = this.usage, ...end } = event
        this.usage = usage
        return this.apply({
          _tag: "End",
          outcome: { _tag: "Final", ...end, ...(usage === undefined ? {} : { usage }) }
        })
      }
      case "Failed": {
        const { _tag, ...failure } = event
        return this.apply({ _tag: "End", outcome: { _tag: "Error", ...failure } })
      }
    }
  }

  /** An answer without end would fill memory and disk, and each event that carries it would block everybody. */
  #grow(answer: Projection.Answer): boolean {
    if (answer.text.length <= this.#maxLength) {
      this.answer = answer
      return true
    }
    this.answer = { ...answer, text: answer.text.slice(0, this.#maxLength) }
    const message = `the answer is longer than ${this.#maxLength} characters`
    return this.apply({ _tag: "End", outcome: { _tag: "Error", message } })
  }

  /** Tells, once, that the agent began. */
  start(now: number): void {
    if (this.#started) return
    this.#started = true
    this.#activity("lifecycle", { phase: "start", startedAt: now }, now)
  }

  /** Shows an audience the text that is due. Answers in how many milliseconds what it may not see yet will be due. */
  show(audience: Audience, now: number): number | undefined {
    if (!RunState.isOpen(this.state)) return undefined
    if (audience === "thoughts") return this.#thoughtsDue(now)
    const shown = audience === "chat" ? this.#chatShown : this.#agentShown
    if (!Projection.isPending(this.answer, shown)) return undefined
    const interval =
      audience === "chat" ? Projection.chatIntervalFor(this.answer.text.length) : Projection.agentInterval
    const due = Projection.dueIn(shown, interval, now)
    if (due > 0) return due
    if (audience === "chat") this.#showChat(now)
    else this.#showAgent(now)
    return undefined
  }

  #thoughtsDue(now: number): number | undefined {
    if (this.#thoughts === "") return undefined
    const due = this.#thoughtsShownAt + Projection.agentInterval - now
    if (due > 0) return due
    this.#showThoughts(now)
    return undefined
  }

  #showThoughts(now: number): void {
    if (this.#thoughts === "") return
    this.#activity("thinking", { delta: this.#thoughts }, now)
    this.#thoughts = ""
    this.#thoughtsShownAt = now
  }

  /** The number of the next chat event: that of the terminal one, when the outcome is decided. */
  get nextSeq(): number {
    return this.#chatSeq
  }

  /**
   * Tells how the run ended, the terminal event last, and gives its position. Once the run is settled nothing else may be
   * told.
   */
  conclude(outcome: RunState.Outcome, now: number): number {
    if (this.#started) {
      this.#showThoughts(now)
      if (Projection.isPending(this.answer, this.#agentShown)) this.#showAgent(now)
      this.#activity("lifecycle", lifecycleEnd(outcome, now), now)
    }
    return this.#publish({
      _tag: "Terminal",
      run: this.ref,
      seq: this.#chatSeq++,
      outcome,
      text: this.answer.text,
      timestamp: now
    })
  }

  #showChat(now: number): void {
    this.#publish({
      _tag: "Delta",
      run: this.ref,
      seq: this.#chatSeq++,
      text: this.answer.text,
      from: Projection.newFrom(this.answer, this.#chatShown),
      revision: this.answer.revision,
      timestamp: now
    })
    this.#chatShown = Projection.showAll(this.answer, now)
  }

  #showAgent(now: number): void {
    this.#publish({
      _tag: "AgentText",
      run: this.ref,
      seq: this.#agentSeq++,
      text: this.answer.text,
      from: Projection.newFrom(this.answer, this.#agentShown),
      revision: this.answer.revision,
      timestamp: now
    })
    this.#agentShown = Projection.showAll(this.answer, now)
  }

  #activity(stream: string, data: { readonly [field: string]: unknown }, now: number): void {
    this.#publish({
      _tag: "AgentActivity",
      run: this.ref,
      seq: this.#agentSeq++,
      stream,
      data,
      timestamp: now
    })
  }
}

const lifecycleEnd = (outcome: RunState.Outcome, now: number): { readonly [field: string]: unknown } => {
  switch (outcome._tag) {
    case "Final":
      return { phase: "end", endedAt: now }
    case "Aborted":
      return { phase: "end", endedAt: now, aborted: true, stopReason: outcome.stopReason }
    case "Error":
      return { phase: "error", endedAt: now, error: outcome.message }
  }
}
