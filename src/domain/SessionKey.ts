/**
 * Session keys: how clients name a conversation, and the one canonical form in which keys are compared.
 *
 * Canonical form: `agent:<agentId>:<rest>`, lower case; `global` and `unknown` stay as they are
 * (protocol.md, "Session keys").
 */
import { Brand, Either, Schema } from "effect"

/** A canonical session key. Two keys name the same session if and only if their canonical forms are equal. */
export type SessionKey = string & Brand.Brand<"SessionKey">
const brand = Brand.nominal<SessionKey>()

/** An agent's id: `[a-z0-9][a-z0-9_-]{0,63}`. */
export type AgentId = string & Brand.Brand<"AgentId">
const brandAgentId = Brand.nominal<AgentId>()

/** The longest key that is accepted, also in its canonical form, in UTF-16 code units. */
export const maxLength = 512

const agentIdPattern = /^[a-z0-9][a-z0-9_-]{0,63}$/
// A key may end up in a log line or in a file name of another program: nothing in it may name a path.
// eslint-disable-next-line no-control-regex -- control characters are what is looked for
const unsafePattern = /[\u0000-\u001f\u007f-\u009f/\\\u2028\u2029]|\.\./

/** What a bare key is completed with. */
export interface SessionKeyDefaults {
  /** The agent of a key that names none. */
  readonly defaultAgentId: AgentId
  /** The name of the main session; `main` always means it too. */
  readonly mainKey: string
}

/** A key that can't name a session. `key` is cut to 64 characters; `expected` says what would do. */
export class InvalidSessionKey extends Schema.TaggedError<InvalidSessionKey>()("InvalidSessionKey", {
  key: Schema.String,
  expected: Schema.String,
  /** The parameter that it is. Default `sessionKey`. */
  path: Schema.optionalWith(Schema.String, { exact: true })
}) {}

/** Parses an agent id; ids are compared in lower case. */
export const parseAgentId = (raw: string): Either.Either<AgentId, string> => {
  const id = raw.toLowerCase()
  return agentIdPattern.test(id)
    ? Either.right(brandAgentId(id))
    : Either.left("an agent id like [a-z0-9][a-z0-9_-]{0,63}")
}

/**
 * Each letter for itself: by the rules of languages the small form of some letters depends on those around them, and a key would
 * mean another session with what completes it than without.
 */
export const lowerCase = (text: string): string =>
  // eslint-disable-next-line no-control-regex -- ASCII
  /^[\u0000-\u007f]*$/.test(text)
    ? text.toLowerCase()
    : Array.from(text, (letter) => letter.toLowerCase()).join("")

const refuse = (key: string, expected: string) =>
  Either.left(new InvalidSessionKey({ key: key.slice(0, 64), expected }))

/**
 * Turns a key as a client wrote it into its canonical form. Idempotent: the canonical form of a canonical key is
 * itself.
 */
export const parse = (
  raw: string,
  defaults: SessionKeyDefaults
): Either.Either<SessionKey, InvalidSessionKey> => {
  if (raw.length > maxLength) return refuse(raw, `at most ${maxLength} characters`)
  const key = lowerCase(raw.trim())
  if (key === "") return refuse(raw, "a non-empty session key")
  if (unsafePattern.test(key)) return refuse(raw, 'no path separators, no ".." and no control characters')
  if (key === "global" || key === "unknown") return Either.right(brand(key))
  if (!key.startsWith("agent:")) return bounded(raw, compose(defaults.defaultAgentId, key, defaults))
  const separator = key.indexOf(":", 6)
  const agentId = parseAgentId(separator < 0 ? key.slice(6) : key.slice(6, separator))
  if (Either.isLeft(agentId)) return refuse(raw, agentId.left)
  const rest = separator < 0 ? "" : key.slice(separator + 1)
  if (rest === "") return refuse(raw, "agent:<agentId>:<rest>")
  return bounded(raw, compose(agentId.right, rest, defaults))
}

/** What completes a key makes it longer, and so does the lower case of some letters. */
const bounded = (raw: string, key: SessionKey): Either.Either<SessionKey, InvalidSessionKey> =>
  key.length > maxLength ? refuse(raw, `at most ${maxLength} characters in its full form`) : Either.right(key)

const compose = (agentId: AgentId, rest: string, defaults: SessionKeyDefaults): SessionKey =>
  brand(`agent:${agentId}:${rest === "main" ? lowerCase(defaults.mainKey) : rest}`)

/** The agent that answers a session; `global` and `unknown` belong to the default agent. */
export const agentIdOf = (key: SessionKey, defaults: SessionKeyDefaults): AgentId => {
  if (!key.startsWith("agent:")) return defaults.defaultAgentId
  return brandAgentId(key.slice(6, key.indexOf(":", 6)))
}

/** The sessions whose keys name no agent: the default one answers them. */
export const withoutAgent: ReadonlyArray<SessionKey> = [brand("global"), brand("unknown")]

/** The key of the main session. */
export const main = (defaults: SessionKeyDefaults): SessionKey =>
  brand(`agent:${defaults.defaultAgentId}:${lowerCase(defaults.mainKey)}`)

/** The agent there is when nothing else was configured. */
export const defaultAgentId: AgentId = brandAgentId("main")
