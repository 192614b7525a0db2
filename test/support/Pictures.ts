/** Pictures to send: the first bytes of each kind, which is all that anybody here looks at. */
import { createHash } from "node:crypto"

export interface Picture {
  readonly mimeType: string
  readonly bytes: Buffer
  /** Base64. */
  readonly data: string
  readonly sha256: string
  /** Of its file in `attachments`. */
  readonly name: string
  readonly size: number
}

/** A picture of that kind with anything behind its first bytes. */
export const of = (mimeType: keyof typeof heads, rest: Uint8Array = Buffer.of()): Picture => {
  const { extension, head } = heads[mimeType]
  const bytes = Buffer.concat([Buffer.from(head, "hex"), rest])
  const sha256 = createHash("sha256").update(bytes).digest("hex")
  return {
    mimeType,
    bytes,
    data: bytes.toString("base64"),
    sha256,
    name: `${sha256}.${extension}`,
    size: bytes.length
  }
}

const heads = {
  "image/png": {
    extension: "png",
    head: "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
  },
  "image/jpeg": { extension: "jpg", head: "ffd8ffe000104a46494600010100000100010000ffd9" },
  "image/gif": { extension: "gif", head: "47494638396101000100800000000000ffffff2c" },
  "image/webp": { extension: "webp", head: "524946461a000000574542505650384c0d0000002f00000010071011" }
} as const

export const png = of("image/png")
export const jpeg = of("image/jpeg")
export const gif = of("image/gif")
export const webp = of("image/webp")

/** As it is sent to an agent. */
export const content = ({ data, mimeType }: Picture) => ({ type: "image" as const, mimeType, data })

/** As a transcript has it. */
export const reference = ({ mimeType, sha256, size }: Picture) => ({ type: "image", mimeType, size, sha256 })
