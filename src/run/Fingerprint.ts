/** What makes two sends "the same": session and content. */
import { createHash } from "node:crypto"
import type { SendRequest } from "./RunRegistry.js"

/**
 * A SHA-256 over session and content, in base64. How the run is carried out (timeout, thinking, delivery) is not part of it:
 * a client may repeat a send with other settings, but not with another message.
 */
export const make = (request: SendRequest): string => {
  const hash = createHash("sha256")
  const part = (text: string) => {
    // Length first, so that two parts can't be told apart differently and give the same bytes.
    hash.update(`${text.length}:`)
    hash.update(text)
  }
  part(request.sessionKey)
  part(request.message)
  for (const image of request.images) {
    part(image.mimeType)
    part(image.data)
  }
  return hash.digest("base64")
}
