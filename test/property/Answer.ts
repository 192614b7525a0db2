/** An answer that grows, what was published of it, and what a reader puts together from that. */
import type { AgentText, Delta, RunRef, Terminal } from "../../src/domain/HubEvent.js"
import * as Projection from "../../src/domain/Projection.js"
import * as FakeSink from "../support/FakeSink.js"

export type Tag = (Delta | AgentText)["_tag"]

export class Answer {
  readonly run: RunRef
  over = false
  #answer = Projection.empty
  readonly #shown = { Delta: Projection.nothingShown, AgentText: Projection.nothingShown }
  #seq = 0
  /** The texts that were shown, by tag and seq. */
  readonly texts = new Map<string, string>()

  constructor(run: RunRef) {
    this.run = run
  }

  get text() {
    return this.#answer.text
  }

  append(text: string) {
    this.#answer = Projection.append(this.#answer, text)
  }

  replace(text: string) {
    this.#answer = Projection.replace(this.#answer, text)
  }

  nextSeq() {
    return this.#seq++
  }

  /** A piece with what was not shown yet. */
  show(_tag: Tag): Delta | AgentText | undefined {
    const shown = this.#shown[_tag]
    if (!Projection.isPending(this.#answer, shown)) return undefined
    const seq = this.nextSeq()
    const { revision, text } = this.#answer
    this.texts.set(`${_tag}${seq}`, text)
    const from = Projection.newFrom(this.#answer, shown)
    this.#shown[_tag] = Projection.showAll(this.#answer, 0)
    return { ...FakeSink.piece(_tag, this.run.runId, text, { seq, from, revision }), run: this.run }
  }

  end(): Terminal {
    this.over = true
    return { ...FakeSink.terminal(this.run.runId, this.text), run: this.run, seq: this.nextSeq() }
  }
}

type Payload = FakeSink.Frame["payload"]

export const read = (payload: Payload, ...path: ReadonlyArray<string>): unknown =>
  path.reduce<unknown>(
    (value, field) =>
      typeof value === "object" && value !== null ? new Map(Object.entries(value)).get(field) : undefined,
    payload
  )
export const textAt = (payload: Payload, ...path: ReadonlyArray<string>): string | undefined => {
  const value = read(payload, ...path)
  return typeof value === "string" ? value : undefined
}

/** The whole text so far, where the frame has it. */
export const cumulative = (frame: FakeSink.Frame): string | undefined =>
  frame.event === "chat"
    ? textAt(frame.payload, "message", "content", "0", "text")
    : textAt(frame.payload, "data", "text")

/** What a reader of what is new alone has of an answer after one more frame. */
export const put = (frame: FakeSink.Frame, before: string): string => {
  if (frame.event === "chat") {
    const text = textAt(frame.payload, "deltaText") ?? ""
    return read(frame.payload, "replace") === true ? text : before + text
  }
  const delta = textAt(frame.payload, "data", "delta")
  return delta === undefined ? (textAt(frame.payload, "data", "text") ?? "") : before + delta
}
