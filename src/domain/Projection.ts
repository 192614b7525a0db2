/**
 * What an agent's text means for those who watch: the text so far, how much of it each audience was shown, and when
 * the next piece is due. Pure; the run's fiber and `AgentEvents.emit` feed it.
 *
 * There are two audiences: the event `chat` gets a delta at least `chatInterval` after the one before (protocol.md:
 * deltas of a run are at least 150 ms apart), and the raw `agent` stream repeats the whole text, so it is paced slower:
 * otherwise one answer would cost its square in bytes. The first text is shown to both at once; what comes too early
 * waits and is shown together with what follows.
 */

/** Milliseconds between two `chat` deltas of one run, at least. */
export const chatInterval = 150
/** Milliseconds between two `chat` deltas of a long answer, at most, as long as it grows. */
export const longestChatInterval = 500
/** UTF-16 code units from which on an answer counts as long. */
const longAnswer = 2048

/**
 * Milliseconds until the next `chat` delta, for a text of this length. Most clients read the whole text in each delta, and
 * many render all of it again: the longer it is, the rarer.
 */
export const chatIntervalFor = (length: number): number =>
  Math.min(longestChatInterval, Math.max(chatInterval, Math.round((length / longAnswer) * chatInterval)))
/** Milliseconds between two `assistant` events of one run on the `agent` stream, at least. */
export const agentInterval = 1000

/** A text that grows and may be rewritten. */
export interface Answer {
  readonly text: string
  /** How often the text was rewritten instead of appended to. */
  readonly revision: number
}

/** How much of an answer an audience was shown. */
export interface Shown {
  /** UTF-16 code units of the text of `revision`. */
  readonly length: number
  readonly revision: number
  /** When, in milliseconds since the epoch. */
  readonly at: number
}

export const empty: Answer = { text: "", revision: 0 }
export const nothingShown: Shown = { length: 0, revision: 0, at: Number.NEGATIVE_INFINITY }

/** Appends to the text. */
export const append = (answer: Answer, delta: string): Answer =>
  delta === "" ? answer : { text: answer.text + delta, revision: answer.revision }

/** Sets the whole text: what only appends stays an append. */
export const replace = (answer: Answer, text: string): Answer =>
  text.startsWith(answer.text)
    ? append(answer, text.slice(answer.text.length))
    : { text, revision: answer.revision + 1 }

/** Is there something that the audience was not shown? */
export const isPending = (answer: Answer, shown: Shown): boolean =>
  answer.text.length !== shown.length || answer.revision !== shown.revision

/** Milliseconds until the next piece may be shown; 0 or less: now. */
export const dueIn = (shown: Shown, interval: number, now: number): number => shown.at + interval - now

/** Where the part begins that the audience was not shown: 0 after a rewrite. */
export const newFrom = (answer: Answer, shown: Shown): number =>
  answer.revision === shown.revision ? shown.length : 0

/** The audience was shown everything. */
export const showAll = (answer: Answer, now: number): Shown => ({
  length: answer.text.length,
  revision: answer.revision,
  at: now
})
