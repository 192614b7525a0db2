/** ImageFile: the file that holds an image's bytes, and what a message says of it instead. */
import { createHash } from "node:crypto"
import { Either, Option, Schema } from "effect"
import {
  type Content,
  type ImageContent,
  type ImageReference,
  ImageType,
  isImageReference,
  maxImageBytes,
  type Message
} from "../domain/Message.js"
import { ImageUnavailable } from "../domain/SessionError.js"

/** Where the files are, from the state directory. */
export const directory = "attachments"

const extensions: { readonly [T in ImageType]: string } = {
  "image/png": "png",
  "image/jpeg": "jpg",
  "image/gif": "gif",
  "image/webp": "webp"
}

/** The file's name in that directory. */
export const nameOf = ({ mimeType, sha256 }: ImageReference): string => `${sha256}.${extensions[mimeType]}`

/** The name of a file that is being written under that name; `count` tells those apart that are written at once. */
export const stagedName = (name: string, count: number): string => `${name}.${count}.tmp`

/** Is that, from the state directory, the file of an image, or one that was being written? */
export const isName = (path: string): boolean => imagePattern.test(path)
export const isStagedName = (path: string): boolean => stagedPattern.test(path)

const imagePattern = /^attachments[/\\][0-9a-f]{64}\.(?:png|jpg|gif|webp)$/
const stagedPattern = /^attachments[/\\][0-9a-f]{64}\.(?:png|jpg|gif|webp)\.\d+\.tmp$/

export interface ImageFile {
  readonly name: string
  readonly bytes: Uint8Array
}

/** What a message becomes, and the files that it refers to then. */
export interface Split {
  readonly message: Message
  readonly files: ReadonlyArray<ImageFile>
}

/** Puts references in the place of a message's images. What can't be kept in a file stays in the message as it is. */
export const split = (message: Message): Split => {
  if (!message.content.some(isInline)) return { message, files: [] }
  const files: Array<ImageFile> = []
  const content = message.content.map((block): Content => {
    const taken = isInline(block) ? take(block) : Option.none()
    if (Option.isNone(taken)) return block
    const { bytes, reference } = taken.value
    files.push({ name: nameOf(reference), bytes })
    return reference
  })
  return { message: { ...message, content }, files }
}

const isInline = (block: Content): block is ImageContent => block.type === "image" && "data" in block
const isImageType = Schema.is(ImageType)

const take = ({ data, fileName, mimeType }: ImageContent) => {
  const bytes = Buffer.from(data, "base64")
  if (!isImageType(mimeType) || bytes.length === 0 || bytes.length > maxImageBytes) return Option.none()
  const reference: ImageReference = {
    type: "image",
    mimeType,
    size: bytes.length,
    sha256: sha256Of(bytes),
    ...(fileName === undefined ? {} : { fileName })
  }
  return Option.some({ bytes, reference })
}

/** The references in a message's `content`, which may be anything. */
export const referencesIn = (content: unknown): ReadonlyArray<ImageReference> => {
  const blocks: ReadonlyArray<unknown> = Array.isArray(content) ? content : []
  return blocks.filter(isImageReference)
}

/** The image of a reference, from what its file holds. Left: that is something else. */
export const join = (
  reference: ImageReference,
  bytes: Uint8Array
): Either.Either<ImageContent, ImageUnavailable> => {
  const { fileName, mimeType, sha256, size, type } = reference
  if (bytes.length !== size || sha256Of(bytes) !== sha256)
    return Either.left(new ImageUnavailable({ sha256, reason: "damaged" }))
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64")
  return Either.right({ type, mimeType, data, ...(fileName === undefined ? {} : { fileName }) })
}

const sha256Of = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")
