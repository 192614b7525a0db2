/** CommandInput: the JSON document that a program gets on its stdin. */
import { Effect } from "effect"
import type { ImageContent } from "../../domain/Message.js"
import type { AgentError, AgentRequest, ConversationMessage, HistoryBudget } from "../AgentRunner.js"

/** One document, then a line end and the end of the input. Fields may be added; what has no value is left out. */
export interface CommandInput {
  readonly runId: string
  readonly sessionKey: string
  readonly sessionId: string
  readonly agentId: string
  /** The user's text; empty when only images were sent. */
  readonly message: string
  /** The message's own images; they are in `history` as well. */
  readonly images?: ReadonlyArray<ImageContent>
  /** The level of thinking that was asked for. */
  readonly thinking?: string
  readonly model?: string
  readonly system?: string
  /**
   * The conversation as a model is given it: roles alternate, and the last message is the user's: this one, behind those
   * that were not answered.
   */
  readonly history: ReadonlyArray<ConversationMessage>
}

interface Options {
  readonly model?: string
  readonly system?: string
  readonly images?: boolean
  readonly history: Omit<HistoryBudget, "images">
}

export const make = (
  { history, images: canSee = true, model, system }: Options,
  request: AgentRequest
): Effect.Effect<string, AgentError> =>
  Effect.map(request.conversation({ ...history, images: canSee }), (conversation) => {
    const { agentId, images, message, runId, sessionId, sessionKey, thinking } = request
    const document: CommandInput = {
      runId,
      sessionKey,
      sessionId,
      agentId,
      message,
      ...(images.length === 0 ? {} : { images }),
      ...(thinking === undefined ? {} : { thinking }),
      ...(model === undefined ? {} : { model }),
      ...(system === undefined ? {} : { system }),
      history: conversation
    }
    return `${JSON.stringify(document)}\n`
  })
