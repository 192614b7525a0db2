/**
 * DeviceIdentity: `connect.device`, a device that proves with its Ed25519 key that it is the one that connects, here and now.
 * A device gives no rights: the token does. What it says is checked when it is there, as clients of the family sign it.
 */
import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto"
import { Clock, Effect, Either, Option } from "effect"
import { DeviceRefused } from "../domain/AuthError.js"
import type { Peer } from "../domain/Peer.js"
import type { Challenge, ConnectParams } from "../protocol/Connect.js"

/** How far from now, in either direction, it may have been signed, in milliseconds. */
export const maxAgeMs = 600_000

/** What a signature is checked against besides the parameters. */
export interface Circumstances {
  readonly peer: Peer
  readonly challenge: Challenge
}

type Device = NonNullable<ConnectParams["device"]>

/** Succeeds when there is no device, or when it is proved. */
export const check = (
  params: ConnectParams,
  circumstances: Circumstances
): Effect.Effect<void, DeviceRefused> =>
  params.device === undefined
    ? Effect.void
    : Effect.flatMap(Clock.currentTimeMillis, (now) => judge(params, params.device, circumstances, now))

const judge = (
  params: ConnectParams,
  device: Device | undefined,
  { challenge, peer }: Circumstances,
  now: number
): Either.Either<void, DeviceRefused> => {
  if (device === undefined) return Either.void
  const refuse = (reason: DeviceRefused["reason"]) => Either.left(new DeviceRefused({ reason }))
  const key = Option.getOrUndefined(keyOf(device.publicKey))
  if (key === undefined) return refuse("device public key invalid")
  if (createHash("sha256").update(key.raw).digest("hex") !== device.id)
    return refuse("device identity mismatch")
  if (Math.abs(now - device.signedAt) > maxAgeMs) return refuse("device signature expired")
  // Clients of January 2026 sign no nonce. What they sign can be used again for minutes, so not over a network.
  if (device.nonce === undefined && !peer.isLocal) return refuse("device nonce required")
  if (device.nonce !== undefined && device.nonce !== challenge.nonce) return refuse("device nonce mismatch")
  const signature = Option.getOrUndefined(bytesOf(device.signature, 64))
  return signature !== undefined &&
    payloads(params, device).some((payload) => verify(null, Buffer.from(payload), key.object, signature))
    ? Either.void
    : refuse("device signature invalid")
}

interface PublicKey {
  readonly object: KeyObject
  /** 32 bytes. */
  readonly raw: Buffer
}

/** Raw bytes in base64url or base64, or a PEM document (SPKI). */
const keyOf = (text: string): Option.Option<PublicKey> => {
  if (text.length > 1024) return Option.none()
  return text.startsWith("-----BEGIN PUBLIC KEY-----")
    ? Option.flatMap(Option.liftThrowable(() => createPublicKey(text))(), (object) =>
        object.asymmetricKeyType === "ed25519"
          ? Option.some({ object, raw: Buffer.from(object.export({ format: "jwk" }).x ?? "", "base64url") })
          : Option.none()
      )
    : Option.flatMap(bytesOf(text, 32), (raw) =>
        Option.map(
          Option.liftThrowable(() =>
            createPublicKey({
              key: { kty: "OKP", crv: "Ed25519", x: raw.toString("base64url") },
              format: "jwk"
            })
          )(),
          (object) => ({ object, raw })
        )
      )
}

/** So many bytes in base64url or base64, in their one spelling: Node reads over what is neither. */
const bytesOf = (text: string, length: number): Option.Option<Buffer> => {
  const spelled = text
    .replace(/={1,2}$/, "")
    .replaceAll("+", "-")
    .replaceAll("/", "_")
  const bytes = Buffer.from(spelled, "base64url")
  return bytes.length === length && bytes.toString("base64url") === spelled
    ? Option.some(bytes)
    : Option.none()
}

/** What may have been signed, newest form first. */
const payloads = ({ auth, client, role, scopes }: ConnectParams, device: Device): ReadonlyArray<string> => {
  const common = [
    device.id,
    client.id,
    client.mode,
    role ?? "operator",
    (scopes ?? []).join(","),
    String(device.signedAt),
    auth?.token ?? ""
  ]
  if (device.nonce === undefined) return [["v1", ...common].join("|")]
  const platform = [normalized(client.platform), normalized(client.deviceFamily)]
  return [["v3", ...common, device.nonce, ...platform].join("|"), ["v2", ...common, device.nonce].join("|")]
}

/** As clients do before they sign: other letters than A to Z stay as they are, whatever the language. */
const normalized = (text: string | undefined): string =>
  (text ?? "").trim().replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase())
