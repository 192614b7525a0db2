/**
 * PrincipalsDocument: what is in the principals file, as JSON. Fields that are not known here stay as they are when it is
 * written again. Errors name a place in it and never what stands there: it may be a secret's hash.
 */
import { Either, Option, ParseResult, Schema } from "effect"
import * as SessionPatterns from "../domain/SessionPatterns.js"
import { Scope } from "../protocol/Connect.js"
import * as Params from "../protocol/Params.js"
import * as AccessToken from "./AccessToken.js"
import * as Principal from "./Principal.js"

/** The text holds no principals. `path` (`principals[0].name`) is empty for the document itself. */
export class InvalidPrincipals extends Schema.TaggedError<InvalidPrincipals>()("InvalidPrincipals", {
  path: Schema.String,
  expected: Schema.String,
  found: Schema.String
}) {
  override get message(): string {
    return `${this.path === "" ? "the document" : this.path}: expected ${this.expected}; found ${this.found}`
  }
}

const described = (description: string, pattern: RegExp) =>
  Schema.String.pipe(Schema.pattern(pattern)).annotations({ description })

const CostNumber = (description: string, min: number, max: number) =>
  Schema.optional(Schema.Int.pipe(Schema.between(min, max)).annotations({ description }))

const isPowerOfTwo = (value: number): boolean => (value & (value - 1)) === 0

/** A token's or a password's salted hash, and what it is. */
export const Credential = Schema.Struct({
  /** Names it in lists and logs. */
  id: described("an id: 12 lower-case letters and digits", AccessToken.idPattern),
  kind: Schema.Literal("token", "password").annotations({ description: '"token" or "password"' }),
  /** base64url, 16 bytes. */
  salt: described("a salt: 16 bytes in base64url", /^[\w-]{22}$/),
  /** base64url, 32 bytes: SHA-256 of a token's salt and secret, scrypt of a password. */
  hash: described("a hash: 32 bytes in base64url", /^[\w-]{43}$/),
  /** When it was made, ISO 8601. */
  createdAt: Schema.String,
  /** What it is for, in its owner's words. */
  label: Schema.optional(Schema.String),
  /** Of a password: scrypt's cost. */
  n: CostNumber("a power of two from 2 to 1048576", 2, 2 ** 20),
  /** Of a password: scrypt's block size. */
  r: CostNumber("a whole number from 1 to 32", 1, 32),
  /** Of a password: scrypt's parallelization. */
  p: CostNumber("a whole number from 1 to 16", 1, 16)
}).pipe(
  Schema.filter(
    ({ kind, n, p, r }) =>
      kind === "token" || (n !== undefined && r !== undefined && p !== undefined && isPowerOfTwo(n)),
    { description: "a password's credential with scrypt's n (a power of two), r and p" }
  )
)
export interface Credential extends Schema.Schema.Type<typeof Credential> {}

const PrincipalEntry = Schema.Struct({
  name: described(
    "a name: lower-case letters, digits, - and _, at most 64 characters, a letter or digit first",
    Principal.namePattern
  ),
  scopes: Schema.Array(Scope.annotations({ description: Principal.allScopes.join(", or ") })),
  /** Patterns over canonical session keys. */
  sessions: Schema.Array(Schema.String),
  credentials: Schema.Array(Credential)
})
export interface PrincipalEntry extends Schema.Schema.Type<typeof PrincipalEntry> {}

const Document = Schema.Struct({ principals: Schema.Array(PrincipalEntry) })
export interface PrincipalsDocument extends Schema.Schema.Type<typeof Document> {}

/** No principals. */
export const empty: PrincipalsDocument = { principals: [] }

const decode = ParseResult.decodeUnknownEither(Document, { errors: "first", onExcessProperty: "preserve" })

/** Reads a document, whole or not at all. */
export const parse = (text: string): Either.Either<PrincipalsDocument, InvalidPrincipals> =>
  Either.try({
    try: (): unknown => JSON.parse(text.replace(/^\uFEFF/, "")),
    // What the parser says quotes the text.
    catch: () => new InvalidPrincipals({ path: "", expected: "JSON", found: "something else" })
  }).pipe(
    Either.flatMap((value) =>
      Either.mapLeft(decode(value), (issue) => new InvalidPrincipals(Params.describe(issue)))
    ),
    Either.flatMap((document) =>
      Option.match(contradiction(document), {
        onNone: () => Either.right(document),
        onSome: (invalid) => Either.left(invalid)
      })
    )
  )

/** What the Schema can't say: the first thing that does not go together. */
const contradiction = ({ principals }: PrincipalsDocument): Option.Option<InvalidPrincipals> => {
  const refuse = (path: string, expected: string, found: string) =>
    Option.some(new InvalidPrincipals({ path, expected, found }))
  const names = new Set([Principal.owner.name])
  const ids = new Set<string>()
  for (const [at, { credentials, name, sessions }] of principals.entries()) {
    const path = `principals[${at}]`
    if (names.has(name))
      return refuse(`${path}.name`, `a name that is not taken ("owner" always is)`, `"${name}" once more`)
    names.add(name)
    const patterns = SessionPatterns.parse(sessions)
    if (Either.isLeft(patterns)) {
      const place = sessions.findIndex((text) => Either.isLeft(SessionPatterns.parse([text])))
      return refuse(`${path}.sessions[${place}]`, patterns.left.expected, "something else")
    }
    for (const [place, { id }] of credentials.entries()) {
      if (ids.has(id))
        return refuse(`${path}.credentials[${place}].id`, "an id that is not taken", "one that is")
      ids.add(id)
    }
    if (credentials.filter(({ kind }) => kind === "password").length > 1)
      return refuse(`${path}.credentials`, "at most one password", "more")
  }
  return Option.none()
}

/** The text of a document. */
export const render = (document: PrincipalsDocument): string => `${JSON.stringify(document, undefined, 2)}\n`
