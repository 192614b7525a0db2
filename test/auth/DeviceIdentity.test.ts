/** Devices that prove who they are: each thing that is signed counts. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import { generateKeyPairSync } from "node:crypto"
import * as DeviceIdentity from "../../src/auth/DeviceIdentity.js"
import type { ConnectParams } from "../../src/protocol/Connect.js"
import * as Device from "../support/Device.js"

const now = Date.UTC(2026, 10, 1)
const device = Device.make()
const other = Device.make()
const challenge = { nonce: "n0nce", ts: now }
const remote = { address: "203.0.113.1", isLocal: false }
const local = { address: "127.0.0.1", isLocal: true }

const signed: Device.Signed = {
  version: "v3",
  clientId: "cli",
  mode: "ui",
  role: "operator",
  scopes: "operator.read,operator.write",
  signedAt: now,
  token: "t0ken",
  nonce: challenge.nonce,
  platform: "macos",
  deviceFamily: "mac-mini"
}

const plain: ConnectParams = {
  minProtocol: 4,
  maxProtocol: 4,
  client: { id: "cli", version: "1", platform: " MacOS ", mode: "ui", deviceFamily: "Mac-Mini" },
  scopes: ["operator.read", "operator.write"],
  auth: { token: "t0ken" }
}

const proof = (over: Partial<Device.Signed> = {}) => ({
  id: device.id,
  publicKey: device.publicKey,
  signature: device.sign({ ...signed, ...over }),
  signedAt: now,
  nonce: challenge.nonce
})

/** "proved", or why not. */
const verdict = (params: ConnectParams, peer = remote) =>
  Effect.zipRight(
    TestClock.setTime(now),
    Effect.match(DeviceIdentity.check(params, { peer, challenge }), {
      onSuccess: () => "proved",
      onFailure: ({ reason }) => reason
    })
  )

const { nonce: _, ...withoutNonce } = proof({ version: "v1" })

describe("DeviceIdentity", () => {
  it.effect("no device is no device", () =>
    Effect.map(verdict(plain), (found) => expect(found).toBe("proved"))
  )

  const proved: ReadonlyArray<readonly [name: string, params: ConnectParams, peer?: typeof remote]> = [
    ["v3", { ...plain, device: proof() }],
    ["v2", { ...plain, device: proof({ version: "v2" }) }],
    ["v1 without a nonce, from this machine", { ...plain, device: withoutNonce }, local],
    ["a PEM document", { ...plain, device: { ...proof(), publicKey: device.pem } }],
    [
      "padded base64",
      {
        ...plain,
        device: {
          ...proof(),
          publicKey: Buffer.from(device.publicKey, "base64url").toString("base64"),
          signature: Buffer.from(proof().signature, "base64url").toString("base64")
        }
      }
    ],
    ["a role", { ...plain, role: "operator", device: proof() }],
    [
      "a password, no token, no scopes, no family",
      {
        minProtocol: 4,
        maxProtocol: 4,
        client: { id: "cli", version: "1", platform: "macos", mode: "ui" },
        auth: { password: "p" },
        device: proof({ token: "", scopes: "", deviceFamily: "" })
      }
    ],
    ...([600_000, -600_000] as const).map((ms): readonly [string, ConnectParams] => [
      `signed ${ms} ms away`,
      { ...plain, device: { ...proof({ signedAt: now + ms }), signedAt: now + ms } }
    ])
  ]
  for (const [name, params, peer] of proved)
    it.effect(`proved: ${name}`, () =>
      Effect.map(verdict(params, peer), (found) => expect(found).toBe("proved"))
    )

  const { client } = plain
  const invalid = "device signature invalid"
  const flipped = (text: string, at: number) =>
    text.slice(0, at) + (text[at] === "A" ? "B" : "A") + text.slice(at + 1)
  const { signature } = proof()
  const refused: ReadonlyArray<
    readonly [name: string, reason: string, params: ConnectParams, peer?: typeof remote]
  > = [
    ["another client id", invalid, { ...plain, client: { ...client, id: "cli2" }, device: proof() }],
    ["another mode", invalid, { ...plain, client: { ...client, mode: "cli" }, device: proof() }],
    ["another platform", invalid, { ...plain, client: { ...client, platform: "linux" }, device: proof() }],
    ["another family", invalid, { ...plain, client: { ...client, deviceFamily: "x" }, device: proof() }],
    ["another role", invalid, { ...plain, role: "node", device: proof() }],
    ["fewer scopes", invalid, { ...plain, scopes: ["operator.read"], device: proof() }],
    [
      "more scopes",
      invalid,
      { ...plain, scopes: [...(plain.scopes ?? []), "operator.admin"], device: proof() }
    ],
    [
      "scopes in another order",
      invalid,
      { ...plain, scopes: (plain.scopes ?? []).toReversed(), device: proof() }
    ],
    ["another token", invalid, { ...plain, auth: { token: "t0ken2" }, device: proof() }],
    ["another time", invalid, { ...plain, device: { ...proof(), signedAt: now + 1 } }],
    ["another nonce signed", invalid, { ...plain, device: proof({ nonce: "other" }) }],
    ["v1 with a nonce", invalid, { ...plain, device: proof({ version: "v1" }) }],
    ["v3 without its nonce", invalid, { ...plain, device: { ...withoutNonce, signature } }, local],
    ["another's signature", invalid, { ...plain, device: { ...proof(), signature: other.sign(signed) } }],
    ...Array.from({ length: signature.length }, (_, at): readonly [string, string, ConnectParams] => [
      `letter ${at} of the signature`,
      invalid,
      { ...plain, device: { ...proof(), signature: flipped(signature, at) } }
    ]),
    ["a short signature", invalid, { ...plain, device: { ...proof(), signature: signature.slice(1) } }],
    ["a signature and more", invalid, { ...plain, device: { ...proof(), signature: `${signature}!` } }],
    ["another id", "device identity mismatch", { ...plain, device: { ...proof(), id: other.id } }],
    [
      "an id in capitals",
      "device identity mismatch",
      { ...plain, device: { ...proof(), id: device.id.toUpperCase() } }
    ],
    [
      "another key",
      "device identity mismatch",
      { ...plain, device: { ...proof(), publicKey: other.publicKey } }
    ],
    ["no key", "device public key invalid", { ...plain, device: { ...proof(), publicKey: "key" } }],
    [
      "a key and more",
      "device public key invalid",
      { ...plain, device: { ...proof(), publicKey: `${device.publicKey}A` } }
    ],
    [
      "a broken PEM",
      "device public key invalid",
      { ...plain, device: { ...proof(), publicKey: device.pem.slice(0, 60) } }
    ],
    [
      "a PEM of another kind",
      "device public key invalid",
      {
        ...plain,
        device: {
          ...proof(),
          publicKey: generateKeyPairSync("x25519")
            .publicKey.export({ type: "spki", format: "pem" })
            .toString()
        }
      }
    ],
    ...([600_001, -600_001] as const).map((ms): readonly [string, string, ConnectParams] => [
      `signed ${ms} ms away`,
      "device signature expired",
      { ...plain, device: { ...proof({ signedAt: now + ms }), signedAt: now + ms } }
    ]),
    ["no nonce over a network", "device nonce required", { ...plain, device: withoutNonce }],
    [
      "the nonce of another connection",
      "device nonce mismatch",
      { ...plain, device: { ...proof({ nonce: "other" }), nonce: "other" } }
    ]
  ]
  for (const [name, reason, params, peer] of refused)
    it.effect(`refused: ${name}`, () =>
      Effect.map(verdict(params, peer), (found) => expect(found).toBe(reason))
    )
})
