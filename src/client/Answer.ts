/** An answer that grows: from `chat` events to pieces of text. */
import type { ChatEvent } from "../protocol/Chat.js"

/** What an event adds to the text so far. */
export interface Piece {
  /** The whole text so far. */
  readonly text: string
  /** What is new in it. */
  readonly added: string
  /** Was the text before this one rewritten? Then `added` is the whole text. */
  readonly rewritten: boolean
}

/** Takes the next event of a run; `text` is what the one before has left, `""` at first. */
export const next = (text: string, event: ChatEvent): Piece => {
  const whole = wholeText(text, event)
  return whole.startsWith(text)
    ? { text: whole, added: whole.slice(text.length), rewritten: false }
    : { text: whole, added: whole, rewritten: true }
}

const wholeText = (text: string, event: ChatEvent): string => {
  const message = event.message?.content.map((part) => part.text).join("")
  if (message !== undefined) return message
  if (event.state !== "delta" || event.deltaText === undefined) return text
  return event.replace === true ? event.deltaText : text + event.deltaText
}

/** No event of a run follows this one. */
export const isTerminal = (event: ChatEvent): boolean => event.state !== "delta"
