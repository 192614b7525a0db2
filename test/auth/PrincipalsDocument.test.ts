/** What the principals file may hold; errors name the place, and nothing that stands there. */
import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import * as Principals from "../../src/auth/Principals.js"
import * as PrincipalsDocument from "../../src/auth/PrincipalsDocument.js"

const hash = "SecretHashSecretHashSecretHashSecretHash-_0"
const token = {
  id: "abcdefghij01",
  kind: "token",
  salt: "S".repeat(22),
  hash,
  createdAt: "2026-01-01T00:00:00Z"
}
const password = { ...token, id: "abcdefghij02", kind: "password", n: 32_768, r: 8, p: 1 }
const alice = {
  name: "alice",
  scopes: ["operator.read"],
  sessions: ["agent:main:alice:*"],
  credentials: [token, password]
}
const parse = (document: unknown) =>
  PrincipalsDocument.parse(typeof document === "string" ? document : JSON.stringify(document))
const messageOf = (document: unknown) => Either.getOrThrow(Either.flip(parse(document))).message

const wrong: ReadonlyArray<readonly [path: string, document: unknown]> = [
  ["the document", "{"],
  ["the document", []],
  ["principals", {}],
  ["principals[0].name", { principals: [{ ...alice, name: "Alice" }] }],
  ["principals[0].name", { principals: [{ ...alice, name: "owner" }] }],
  ["principals[1].name", { principals: [alice, { ...alice, credentials: [] }] }],
  ["principals[0].scopes[0]", { principals: [{ ...alice, scopes: ["read"] }] }],
  ["principals[0].sessions", { principals: [{ ...alice, sessions: "*" }] }],
  ["principals[0].sessions[1]", { principals: [{ ...alice, sessions: ["*", "../x"] }] }],
  ["principals[0].credentials", { principals: [{ ...alice, credentials: {} }] }],
  ["principals[0].credentials[0].id", { principals: [{ ...alice, credentials: [{ ...token, id: hash }] }] }],
  [
    "principals[0].credentials[0].kind",
    { principals: [{ ...alice, credentials: [{ ...token, kind: "key" }] }] }
  ],
  [
    "principals[0].credentials[0].salt",
    { principals: [{ ...alice, credentials: [{ ...token, salt: hash }] }] }
  ],
  [
    "principals[0].credentials[0].hash",
    { principals: [{ ...alice, credentials: [{ ...token, hash: `${hash}!` }] }] }
  ],
  [
    "principals[0].credentials[1].n",
    { principals: [{ ...alice, credentials: [token, { ...password, n: 1e9 }] }] }
  ],
  [
    "principals[0].credentials[1]",
    { principals: [{ ...alice, credentials: [token, { ...password, n: 3 }] }] }
  ],
  [
    "principals[0].credentials[1]",
    { principals: [{ ...alice, credentials: [token, { ...password, r: undefined }] }] }
  ],
  ["principals[0].credentials[1].id", { principals: [{ ...alice, credentials: [token, token] }] }],
  [
    "principals[0].credentials",
    { principals: [{ ...alice, credentials: [password, { ...password, id: "abcdefghij03" }] }] }
  ]
]

describe("PrincipalsDocument", () => {
  it("is read and written; unknown fields stay", () => {
    const document = {
      note: 1,
      principals: [{ ...alice, team: { x: [null] }, credentials: [{ ...token, device: "x" }, password] }]
    }
    const read = Either.getOrThrow(parse(document))
    expect(JSON.parse(PrincipalsDocument.render(read))).toEqual(document)
  })

  for (const [path, document] of wrong)
    it(`wrong: ${path} in ${JSON.stringify(document).slice(0, 200)}`, () => {
      const message = messageOf(document)
      expect(message).toContain(`${path}: expected`)
      expect(message).not.toContain(hash.slice(0, 12))
    })

  it("a principal that did not change stays the same object", () => {
    const first = Principals.make(Either.getOrThrow(parse({ principals: [alice] })))
    const same = Principals.make(
      Either.getOrThrow(parse({ principals: [{ ...alice, credentials: [] }] })),
      first
    )
    expect(same.byName.get("alice")).toBe(first.byName.get("alice"))
    const other = Principals.make(
      Either.getOrThrow(parse({ principals: [{ ...alice, sessions: [] }] })),
      first
    )
    expect(other.byName.get("alice")).not.toBe(first.byName.get("alice"))
  })
})
