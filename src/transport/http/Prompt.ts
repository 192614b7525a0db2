/** Prompt: what a request in OpenAI's shape says to an agent. A session remembers; such a request brings everything along. */
import { createHash } from "node:crypto"
import { Either } from "effect"
import { lowerCase } from "../../domain/SessionKey.js"
import type { AttachmentParam } from "../../protocol/Chat.js"
import { type HttpFailure, invalid } from "./HttpFailure.js"
import type { ChatMessage } from "./OpenAi.js"

export interface Prompt {
  readonly message: string
  readonly attachments: ReadonlyArray<AttachmentParam>
}

/**
 * The last message of a user. `withEarlier`: the session knows nothing yet, so what was said before, and the instructions,
 * are put before it, as text.
 */
export const make = (
  messages: ReadonlyArray<ChatMessage>,
  withEarlier: boolean
): Either.Either<Prompt, HttpFailure> => {
  const at = messages.findLastIndex(({ role }) => role === "user")
  const last = messages[at]
  if (last === undefined)
    return Either.left(invalid("messages: expected at least one of the role user", "messages"))
  const attachments: Array<AttachmentParam> = []
  for (const [index, { url }] of imagesOf(last).entries()) {
    if (!url.startsWith("data:")) {
      return Either.left(
        invalid(
          `messages[${at}]: image ${index + 1}: expected a data: URL; nothing is fetched`,
          `messages[${at}].content`
        )
      )
    }
    attachments.push({ content: url })
  }
  const text = textOf(last)
  const earlier = withEarlier
    ? messages
        .slice(0, at)
        .map(lineOf)
        .filter((line) => line !== "")
    : []
  return Either.right({
    message: earlier.length === 0 ? text : `${earlier.join("\n\n")}\n\nUser: ${text}`,
    attachments
  })
}

const names = {
  system: "Instructions",
  developer: "Instructions",
  user: "User",
  assistant: "Assistant",
  tool: "Tool",
  function: "Tool"
} as const satisfies Record<ChatMessage["role"], string>

const lineOf = (message: ChatMessage): string => {
  const text = textOf(message)
  return text === "" ? "" : `${names[message.role]}: ${text}`
}

const textOf = ({ content }: ChatMessage): string =>
  typeof content === "string"
    ? content
    : (content ?? []).flatMap((part) => (part.type === "text" ? [part.text] : [])).join("\n")

const imagesOf = ({ content }: ChatMessage): ReadonlyArray<{ readonly url: string }> =>
  typeof content === "string" || content === null || content === undefined
    ? []
    : content.flatMap((part) => (part.type === "image_url" ? [part.image_url] : []))

/** The session of OpenAI's `user`: readable where that makes a key, else by its digest, so that no two users share one. */
export const sessionOfUser = (user: string): string =>
  /^[\p{L}\p{N}@._-]{1,128}$/u.test(user) && lowerCase(user) === user && !user.includes("..")
    ? `user:${user}`
    : `user:${createHash("sha256").update(user).digest("hex").slice(0, 32)}`
