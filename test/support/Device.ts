/** A device with a key of its own, which signs as clients of the family do. */
import { createHash, generateKeyPairSync, sign } from "node:crypto"

/** What is signed, in the words of the payload. */
export interface Signed {
  readonly version: "v1" | "v2" | "v3"
  readonly clientId: string
  readonly mode: string
  readonly role: string
  readonly scopes: string
  readonly signedAt: number
  readonly token: string
  readonly nonce: string
  readonly platform: string
  readonly deviceFamily: string
}

export const make = () => {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519")
  const pem = publicKey.export({ type: "spki", format: "pem" }).toString()
  const raw = Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url")
  const id = createHash("sha256").update(raw).digest("hex")
  const signText = (text: string): Buffer => sign(null, Buffer.from(text), privateKey)
  return {
    id,
    pem,
    privatePem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    publicKey: raw.toString("base64url"),
    signText,
    sign: (signed: Signed): string => {
      const { clientId, deviceFamily, mode, nonce, platform, role, scopes, signedAt, token, version } = signed
      const common = [version, id, clientId, mode, role, scopes, String(signedAt), token]
      const rest = { v1: [], v2: [nonce], v3: [nonce, platform, deviceFamily] }[version]
      return signText([...common, ...rest].join("|")).toString("base64url")
    }
  }
}
