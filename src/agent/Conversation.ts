/**
 * Conversation: from what a transcript holds to what a model is given. Pure.
 *
 * A transcript has messages in the order in which they became durable: the messages of runs that wait stand before the
 * answer of the run at work. A model wants turns: each question with its answer behind it.
 */
import { Schema } from "effect"
import {
  type Image,
  ImageContent,
  ImageReference,
  type Role,
  type StoredMessage,
  TextContent
} from "../domain/Message.js"
import type { HistoryBudget } from "./AgentRunner.js"

/** One block of a message that models understand; images of earlier messages may be references. */
export type Block = TextContent | Image

/** A message whose images have not been read yet. */
export interface Told {
  readonly role: Role
  readonly content: ReadonlyArray<Block>
}

/** The message that the run was begun with. */
export interface Own {
  /** Its run's idempotency key: transcripts say that of their messages. */
  readonly key: string
  readonly message: string
  readonly images: ReadonlyArray<ImageContent>
}

/** A question and what was said behind it; the first turn of a transcript may have no question. */
interface Turn {
  readonly question: ReadonlyArray<Block> | undefined
  readonly answers: Array<ReadonlyArray<Block>>
}

const isText = Schema.is(TextContent)
const isImage = Schema.is(Schema.Union(ImageContent, ImageReference))

/**
 * The conversation up to the run's own message, from the transcript's newest messages (oldest first). The newest whole turns
 * that fit the budget; the run's own message always.
 */
export const make = (
  transcript: ReadonlyArray<StoredMessage>,
  own: Own,
  budget: HistoryBudget
): ReadonlyArray<Told> => {
  const question = questionOf([...textBlock(own.message), ...own.images], budget.images)
  const turns = turnsBefore(transcript, own, budget.images)
  const taken: Array<Turn> = []
  let messages = 1
  let bytes = sizeOf(question)
  for (const turn of turns.reverse()) {
    messages += turn.answers.length + (turn.question === undefined ? 0 : 1)
    bytes += turn.answers.reduce((sum, answer) => sum + sizeOf(answer), sizeOf(turn.question ?? []))
    if (messages > budget.messages || bytes > budget.bytes) break
    taken.unshift(turn)
  }
  return alternating([...taken, { question, answers: [] }])
}

/** Everything that was said before the run's own message, and the answers to it that came later. */
const turnsBefore = (transcript: ReadonlyArray<StoredMessage>, own: Own, images: boolean): Array<Turn> => {
  const ownAt = transcript.findLastIndex(
    (message) => message["role"] === "user" && message["runId"] === own.key
  )
  const first: Turn = { question: undefined, answers: [] }
  const turns: Array<Turn> = [first]
  const byRun = new Map<unknown, Turn>()
  transcript.forEach((message, at) => {
    const { role, runId } = message
    if (at === ownAt) return
    if (role === "user") {
      // Behind the own message are those of runs that wait for this one.
      if (ownAt >= 0 && at > ownAt) return
      const turn: Turn = { question: questionOf(blocksOf(message), images), answers: [] }
      turns.push(turn)
      if (runId !== undefined) byRun.set(runId, turn)
      return
    }
    if (role !== "assistant" || runId === own.key) return
    const answer = blocksOf(message).filter(isText)
    // An answer whose question is not here answers nothing that the model could see, unless it was put in without a run.
    const turn =
      runId === undefined ? turns.at(-1) : (byRun.get(runId) ?? (at < ownAt ? turns.at(-1) : undefined))
    if (answer.length > 0) turn?.answers.push(answer)
  })
  return turns.filter((turn) => turn !== first || turn.answers.length > 0)
}

/** Text that says something, and images. Models refuse blocks of white space. */
const blocksOf = (message: StoredMessage): ReadonlyArray<Block> => {
  const { content } = message
  if (typeof content === "string") return textBlock(content)
  const blocks: ReadonlyArray<unknown> = Array.isArray(content) ? content : []
  return blocks.filter((block): block is Block => (isText(block) ? !isBlank(block.text) : isImage(block)))
}

const isBlank = (text: string): boolean => text.trim() === ""
const textBlock = (text: string): ReadonlyArray<TextContent> =>
  isBlank(text) ? [] : [{ type: "text", text }]

/** What of a question a model is given: something in any case, since it was asked. */
const questionOf = (blocks: ReadonlyArray<Block>, images: boolean): ReadonlyArray<Block> => {
  const seen = images ? blocks : blocks.filter(isText)
  if (seen.length > 0) return seen
  return textBlock(blocks.length > 0 ? "(an image)" : "(an empty message)")
}

const encoder = new TextEncoder()
const sizeOf = (blocks: ReadonlyArray<Block>): number =>
  blocks.reduce(
    (sum, block) => sum + (block.type === "text" ? encoder.encode(block.text).length : base64Length(block)),
    0
  )
const base64Length = (image: Image): number =>
  "data" in image ? image.data.length : Math.ceil(image.size / 3) * 4

/** Stands for the question before an answer that has none. */
export const opening: TextContent = { type: "text", text: "(You begin the conversation.)" }

/** Messages with alternating roles, a user's first: many models take nothing else. */
const alternating = (turns: ReadonlyArray<Turn>): ReadonlyArray<Told> => {
  const messages: Array<{ readonly role: Role; content: ReadonlyArray<Block> }> = []
  const add = (role: Role, content: ReadonlyArray<Block>): void => {
    const last = messages.at(-1)
    if (last?.role === role) last.content = [...last.content, ...content]
    else messages.push({ role, content })
  }
  for (const { answers, question } of turns) {
    if (question !== undefined) add("user", question)
    else add("user", [opening])
    for (const answer of answers) add("assistant", answer)
  }
  return messages
}
