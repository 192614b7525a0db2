/**
 * EventReader: from the bytes of an answer to what the agent says. A chunk of bytes is taken in at one go, whatever number of
 * events it holds: a stage or an effect for each token would cost more than all the rest.
 */
import { createParser } from "eventsource-parser"
import type { AgentError } from "../AgentRunner.js"
import type * as AgentEvent from "../../domain/AgentEvent.js"
import type { Usage } from "../../domain/Usage.js"
import * as ModelError from "./ModelError.js"

/** One answer in its provider's words, event by event. */
export interface Answer {
  /** Takes in the data of one event; what the agent says by it is pushed to `said`. An error ends the answer. */
  readonly take: (data: string, said: Array<AgentEvent.AgentEvent>) => AgentError | undefined
  /** Has the provider said that this was all? Nothing more is taken in then. */
  readonly over: () => boolean
  /** How it ends when the provider has said so, or when the connection has ended, `cleanly` or not. */
  readonly end: (cleanly: boolean) => AgentEvent.AgentEvent | AgentError
  /** Tokens used as far as the provider has said; the same object as long as it has said nothing new. */
  readonly usage: () => Usage | undefined
}

/** Where an answer stands after some bytes: what the agent says by them, and how it ended, if it has. */
export interface Reading {
  readonly said: ReadonlyArray<AgentEvent.AgentEvent>
  readonly failed: AgentError | undefined
  readonly over: boolean
}

export interface EventReader {
  readonly feed: (bytes: Iterable<Uint8Array>) => Reading
  /** The connection has ended. `cleanly`: as HTTP has it, not by being cut. */
  readonly close: (cleanly: boolean) => Reading
}

/** An event that isn't complete is held up to this many characters. */
export const eventLimit = 8 * 1024 * 1024

export const make = (site: ModelError.Site, answer: Answer): EventReader => {
  // Takes off the byte order mark, and holds back characters whose bytes are not all there yet.
  const utf8 = new TextDecoder()
  let said: Array<AgentEvent.AgentEvent> = []
  let failed: AgentError | undefined
  let toldUsage: Usage | undefined

  const failedWith = (): string | undefined => failed?.code
  const isDone = (): boolean => failed !== undefined || answer.over()
  const parser = createParser({
    maxBufferSize: eventLimit,
    onEvent: ({ data }) => {
      if (!isDone()) failed = answer.take(data, said)
    },
    onError: ({ type }) => {
      if (type === "max-buffer-size-exceeded") failed = ModelError.tooLong(site, eventLimit)
    }
  })
  const feed = (text: string): void => {
    if (text !== "" && !isDone()) parser.feed(text)
  }

  let isFinished = false
  const finish = (cleanly: boolean): void => {
    if (isFinished || failed !== undefined) return
    isFinished = true
    const end = answer.end(cleanly)
    if (end._tag === "AgentError") failed = end
    else said.push(end)
  }
  const reading = (): Reading => {
    const usage = answer.usage()
    // `End` says it itself.
    if (usage !== toldUsage && (!isFinished || failed !== undefined)) said.push({ _tag: "UsageSoFar", usage })
    toldUsage = usage
    const taken = { said, failed, over: isFinished || failed !== undefined }
    said = []
    return taken
  }

  return {
    feed: (bytes) => {
      for (const some of bytes) feed(utf8.decode(some, { stream: true }))
      if (answer.over()) finish(true)
      return reading()
    },
    close: (cleanly) => {
      feed(utf8.decode())
      // Some servers leave off the empty line behind the last event. What is no whole event by then was cut.
      if (cleanly && failed === undefined) {
        feed("\n\n")
        if (failedWith() === "MALFORMED_STREAM") failed = ModelError.streamCut(site)
      }
      finish(cleanly)
      return reading()
    }
  }
}
