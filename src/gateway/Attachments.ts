/** Attachments of `chat.send`: from what a client sent to images whose type is known from their bytes. */
import { Either } from "effect"
import { filetypemime } from "magic-bytes.js"
import { type ImageContent, ImageType } from "../domain/Message.js"
import { InvalidAttachment } from "../domain/RequestError.js"
import type { AttachmentParam } from "../protocol/Chat.js"

/** Types that agents can see. SVG is not among them: it is a program, not a picture. */
const accepted: ReadonlySet<string> = new Set(ImageType.literals)

export interface Limits {
  readonly maxAttachments: number
  /** Bytes of one, decoded. */
  readonly maxAttachmentBytes: number
}

/** Decodes all or names the first that can't be taken. Synchronous, so that a send is registered without a wait. */
export const decode = (
  attachments: ReadonlyArray<AttachmentParam>,
  limits: Limits
): Either.Either<ReadonlyArray<ImageContent>, InvalidAttachment> =>
  attachments.length > limits.maxAttachments
    ? Either.left(
        new InvalidAttachment({
          name: `attachments[${limits.maxAttachments}]`,
          reason: `${attachments.length} attachments, at most ${limits.maxAttachments} are taken`
        })
      )
    : Either.all(
        attachments.map((attachment, index) => decodeOne(attachment, `attachments[${index}]`, limits))
      )

const decodeOne = (
  attachment: AttachmentParam,
  place: string,
  { maxAttachmentBytes }: Limits
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
  const size = sizeOf(data)
  if (data.length % 4 !== 0) return refuse("invalid base64 content")
  if (size > maxAttachmentBytes) return refuse(`${size} bytes, at most ${maxAttachmentBytes} are taken`)
  const bytes = Buffer.from(data, "base64")
  if (!isBase64(data, bytes)) return refuse("invalid base64 content")
  const mimeType = filetypemime(bytes.subarray(0, 4096)).find((type) => accepted.has(type))
  if (mimeType === undefined) return refuse("only PNG, JPEG, GIF and WebP images are taken")
  return Either.right({
    type: "image",
    mimeType,
    data,
    ...(attachment.fileName === undefined ? {} : { fileName: attachment.fileName.slice(0, 255) })
  })
}

/**
 * Is the text, whose length is that of base64, nothing else? Node's decoder passes over what it does not know, so the bytes
 * are fewer then; but it takes the alphabet of URLs, and of characters behind U+00FF it reads the low byte alone. It is ten
 * times as quick as a regular expression, and nobody else is served meanwhile.
 */
const isBase64 = (data: string, decoded: Buffer): boolean =>
  decoded.length === sizeOf(data) &&
  !data.includes("-") &&
  !data.includes("_") &&
  // All of it is ASCII.
  Buffer.byteLength(data) === data.length

/** Bytes that base64 of this length holds. */
const sizeOf = (data: string): number => {
  const padding = data.endsWith("==") ? 2 : data.endsWith("=") ? 1 : 0
  return (data.length / 4) * 3 - padding
}
