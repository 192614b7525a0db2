/** Preface: what stands before a message in its prompt, because the agent's session does not know it. Pure. */
import type { ContentBlock } from "@agentclientprotocol/sdk"
import type { StoredMessage } from "../../domain/Message.js"
import * as Ids from "../../domain/Ids.js"
import type { AgentRequest } from "../AgentRunner.js"
import * as Conversation from "../Conversation.js"

export interface Unseen {
  /** The transcript's newest messages, without those that the session knows. */
  readonly messages: ReadonlyArray<StoredMessage>
  readonly budget: { readonly messages: number; readonly bytes: number }
  /** The first prompt of a session carries it. */
  readonly system: string | undefined
}

/** The blocks of a prompt: instructions and the conversation so far, where there are any; the message; its images. */
export const prompt = (request: AgentRequest, { budget, messages, system }: Unseen): Array<ContentBlock> => {
  const { images, message, runId } = request
  const told = Conversation.make(
    messages,
    { key: Ids.keyOf(runId), message, images: [] },
    // The own message counts in any case, though it goes beside.
    { messages: budget.messages, bytes: budget.bytes + Buffer.byteLength(message), images: false }
  )
  const before = told.flatMap(({ content, role }, at) => {
    // The last block is the own message; before it may stand what was not answered.
    const blocks = (at === told.length - 1 ? content.slice(0, -1) : content).filter(isSaid)
    const text = blocks.map((block) => (block.type === "text" ? block.text : "(an image)")).join("\n\n")
    return text === "" ? [] : [`<message role="${role}">\n${text}\n</message>`]
  })
  return [
    ...(system === undefined || system.trim() === "" ? [] : [text(`${instructions}\n\n${system}`)]),
    ...(before.length === 0 ? [] : [text(`${soFar}\n\n${before.join("\n")}`)]),
    ...(message === "" ? [] : [text(message)]),
    ...images.map(({ data, mimeType }): ContentBlock => ({ type: "image", data, mimeType }))
  ]
}

/** That roles alternate is of no use here. */
const isSaid = (block: Conversation.Block): boolean => block !== Conversation.opening

const text = (value: string): ContentBlock => ({ type: "text", text: value })

const instructions = "Instructions for the whole conversation:"
const soFar =
  "What was said in this conversation so far and you have not seen yet, for you to know; the message to answer follows behind it."
