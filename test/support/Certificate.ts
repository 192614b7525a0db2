/** A certificate for tests, made without a program or a network: self-signed, EC P-256, for names and addresses (X.509, DER). */
import { generateKeyPairSync, randomBytes, sign } from "node:crypto"
import { isIP } from "node:net"

/** PEM texts. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

const der = (tag: number, ...parts: ReadonlyArray<Buffer>): Buffer => {
  const body = Buffer.concat(parts)
  const bytes = body.length.toString(16)
  const length =
    body.length < 128
      ? Buffer.from([body.length])
      : Buffer.from(bytes.padStart(bytes.length + (bytes.length % 2), "0"), "hex")
  return Buffer.concat([Buffer.from([tag]), body.length < 128 ? length : marked(length), body])
}
const marked = (length: Buffer): Buffer => Buffer.concat([Buffer.from([0x80 | length.length]), length])

const sequence = (...parts: ReadonlyArray<Buffer>) => der(0x30, ...parts)
const oid = (hex: string) => der(0x06, Buffer.from(hex, "hex"))
const ecdsaWithSha256 = sequence(oid("2a8648ce3d040302"))
const commonName = (name: string) =>
  sequence(der(0x31, sequence(oid("550403"), der(0x0c, Buffer.from(name)))))
const time = (year: number) => der(0x17, Buffer.from(`${String(year % 100).padStart(2, "0")}0101000000Z`))
const alternative = (name: string): Buffer =>
  isIP(name) === 4 ? der(0x87, Buffer.from(name.split(".").map(Number))) : der(0x82, Buffer.from(name))

const pem = (label: string, bytes: Buffer): string =>
  `-----BEGIN ${label}-----\n${(bytes.toString("base64").match(/.{1,64}/g) ?? []).join("\n")}\n-----END ${label}-----\n`

/** `names`: host names and IPv4 addresses. Valid from 2020 to 2049. */
export const make = (...names: ReadonlyArray<string>): Certificate => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const [first = "localhost"] = names
  const extensions = sequence(
    sequence(oid("551d11"), der(0x04, sequence(...names.map(alternative)))),
    sequence(
      oid("551d13"),
      der(0x01, Buffer.from([0xff])),
      der(0x04, sequence(der(0x01, Buffer.from([0xff]))))
    )
  )
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ecdsaWithSha256,
    commonName(first),
    sequence(time(2020), time(2049)),
    commonName(first),
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, extensions)
  )
  const signature = der(0x03, Buffer.from([0]), sign("sha256", body, privateKey))
  return {
    cert: pem("CERTIFICATE", sequence(body, ecdsaWithSha256, signature)),
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString()
  }
}
