/** Attachments of `chat.send`: from what a client sent to images whose type is known from their bytes. */
import { Either } from "effect"
import { filetypemime } from "magic-bytes.js"
import { type ImageContent, ImageType, maxImageBytes } from "../domain/Message.js"
import { InvalidAttachment } from "../domain/RequestError.js"
import type { AttachmentParam } from "../protocol/Chat.js"

/** Types that agents can see. SVG is not among them: it is a program, not a picture. */
const accepted: ReadonlySet<string> = new Set(ImageType.literals)

const base64 = /^[A-Za-z0-9+/]*={0,2}$/

/** Decodes all or names the first that can't be taken. Synchronous, so that a send is registered without a wait. */
export const decode = (
  attachments: ReadonlyArray<AttachmentParam>
): Either.Either<ReadonlyArray<ImageContent>, InvalidAttachment> =>
  Either.all(attachments.map((attachment, index) => decodeOne(attachment, `attachments[${index}]`)))

const decodeOne = (
  attachment: AttachmentParam,
  place: string
): Either.Either<ImageContent, InvalidAttachment> => {
  const name = attachment.fileName === undefined ? place : `${place} (${attachment.fileName.slice(0, 64)})`
  const refuse = (reason: string) => Either.left(new InvalidAttachment({ name, reason }))
  const content = attachment.content.trim()
  const comma = content.startsWith("data:") ? content.indexOf(",") : -1
  if (content.startsWith("data:") && !content.slice(0, comma).endsWith(";base64")) {
    return refuse("expected a data: URL with base64 content")
  }
  const data = content.slice(comma + 1)
  if (data === "") return refuse("expected base64 content, found nothing")
  if (data.length % 4 !== 0 || !base64.test(data)) return refuse("invalid base64 content")
  const padding = data.endsWith("==") ? 2 : data.endsWith("=") ? 1 : 0
  const size = (data.length / 4) * 3 - padding
  if (size > maxImageBytes) return refuse(`${size} bytes, at most ${maxImageBytes} are taken`)
  // The type is in the first bytes; the rest need not be decoded here.
  const head = Buffer.from(data.slice(0, 4096), "base64")
  const mimeType = filetypemime(head).find((type) => accepted.has(type))
  if (mimeType === undefined) return refuse("only PNG, JPEG, GIF and WebP images are taken")
  return Either.right({
    type: "image",
    mimeType,
    data,
    ...(attachment.fileName === undefined ? {} : { fileName: attachment.fileName.slice(0, 255) })
  })
}
