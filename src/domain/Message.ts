/** Messages as a transcript holds them and as `chat.history` gives them back. */
import { Schema } from "effect"

/** A block of text. */
export const TextContent = Schema.Struct({ type: Schema.Literal("text"), text: Schema.String })
export type TextContent = typeof TextContent.Type

/** The largest image that is taken, in bytes. */
export const maxImageBytes = 5_000_000

/** An image with its bytes in base64: as clients send it and agents get it. Transcripts of other programs hold such, too. */
export const ImageContent = Schema.Struct({
  type: Schema.Literal("image"),
  mimeType: Schema.String,
  data: Schema.String,
  fileName: Schema.optionalWith(Schema.String, { exact: true })
})
export type ImageContent = typeof ImageContent.Type

/** The types of images that are kept in files. */
export const ImageType = Schema.Literal("image/png", "image/jpeg", "image/gif", "image/webp")
export type ImageType = typeof ImageType.Type

/**
 * An image whose bytes the session store keeps in a file, named by what is in it: as transcript and run journal hold it.
 * `SessionStore.image` gives the bytes.
 */
export const ImageReference = Schema.Struct({
  type: Schema.Literal("image"),
  mimeType: ImageType,
  /** Bytes. */
  size: Schema.Int.pipe(Schema.between(1, maxImageBytes)),
  /** SHA-256 of the bytes, 64 lower case hexadecimal digits. */
  sha256: Schema.String.pipe(Schema.pattern(/^[0-9a-f]{64}$/)),
  fileName: Schema.optionalWith(Schema.String, { exact: true })
})
export type ImageReference = typeof ImageReference.Type

/** An image, in either form. */
export type Image = ImageContent | ImageReference

/** One block of a message that the gateway itself writes. */
export const Content = Schema.Union(TextContent, ImageContent, ImageReference)
export type Content = typeof Content.Type

/** Transcripts may hold anything; what has its bytes is no reference, whatever else it has. */
export const isImageContent = Schema.is(ImageContent)
export const isImageReference = (value: unknown): value is ImageReference =>
  isReference(value) && !isImageContent(value)
const isReference = Schema.is(ImageReference)

/** Who speaks. Transcripts of other programs hold further roles (`toolResult`, …); they are passed on as they are. */
export const Role = Schema.Literal("user", "assistant")
export type Role = typeof Role.Type

/** How an answer ended that did not end well; absent on whole answers without a named reason. */
export const Message = Schema.Struct({
  role: Role,
  content: Schema.Array(Content),
  /** Milliseconds since the Unix epoch. */
  timestamp: Schema.Number,
  stopReason: Schema.optionalWith(Schema.String, { exact: true }),
  errorMessage: Schema.optionalWith(Schema.String, { exact: true }),
  /** The run that this message began or answers. */
  runId: Schema.optionalWith(Schema.String, { exact: true }),
  /** Tokens used, as the agent counts them. */
  usage: Schema.optionalWith(Schema.Unknown, { exact: true })
})
export interface Message extends Schema.Schema.Type<typeof Message> {}

/**
 * A message as it was read back: whatever JSON object the transcript holds, with the line's `id`. Foreign fields
 * survive, so this is not `Message`.
 */
export interface StoredMessage {
  readonly [field: string]: unknown
  readonly id?: string
}

/** A message of one block of text. */
export const text = (role: Role, value: string, timestamp: number): Message => ({
  role,
  content: [{ type: "text", text: value }],
  timestamp
})
