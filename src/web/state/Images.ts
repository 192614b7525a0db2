/** Images: which are taken, and how they travel. */
import type { AttachmentParam } from "../../protocol/Chat.js"
import type * as Connect from "../../protocol/Connect.js"
import { bytes } from "./Wording.js"

/** What the gateway takes. */
export interface Limits {
  /** Bytes of one image. */
  readonly maxBytes: number
  /** Bytes of a whole frame. */
  readonly maxPayload: number
}

/** An image that was chosen and not sent. */
export interface Chosen {
  readonly id: number
  readonly name: string
  /** `data:image/png;base64,…` */
  readonly url: string
  /** Bytes. */
  readonly size: number
}

/** The types that gateways take. */
export const types: ReadonlyArray<string> = ["image/png", "image/jpeg", "image/gif", "image/webp"]

const fallback = 5_000_000

export const limitsOf = (hello: Connect.HelloOk | undefined): Limits => {
  const attachments = hello?.policy.attachments
  const given =
    typeof attachments === "object" && attachments !== null && "maxBytes" in attachments
      ? attachments.maxBytes
      : undefined
  return {
    maxBytes: typeof given === "number" ? given : fallback,
    maxPayload: hello?.policy.maxPayload ?? 512 * 1024
  }
}

/** Why a file is not taken; undefined: it is. */
export const refuse = (
  file: { readonly name: string; readonly type: string; readonly size: number },
  chosen: ReadonlyArray<Chosen>,
  limits: Limits
): string | undefined => {
  const name = file.name === "" ? "The image" : file.name
  if (!types.includes(file.type)) return `${name} is not a PNG, JPEG, GIF or WebP image.`
  if (file.size === 0) return `${name} is empty.`
  if (file.size > limits.maxBytes) {
    return `${name} is ${bytes(file.size)}; at most ${bytes(limits.maxBytes)} are taken.`
  }
  const all = chosen.reduce((sum, { size }) => sum + size, file.size)
  // Base64 makes it a third larger, and the message is around it.
  if (Math.ceil(all / 3) * 4 + 64 * 1024 > limits.maxPayload && chosen.length > 0) {
    return `${name} does not fit into the same message; send it in the next one.`
  }
  return undefined
}

export const attachmentsOf = (chosen: ReadonlyArray<Chosen>): ReadonlyArray<AttachmentParam> =>
  chosen.map(({ name, url }) => ({ type: "image", fileName: name, content: url }))
