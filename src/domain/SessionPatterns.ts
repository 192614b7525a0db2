/**
 * Session patterns: which sessions somebody may see and use. A pattern is a canonical session key in which `*` stands for any
 * characters, `:` included: `agent:main:alice:*`, `agent:*:shared`, `*` (all). Only where the agent's id stands, in front of
 * another `:`, it stands for an id: `agent:*:alice` is not bob's session `agent:main:bob:alice`. Matching takes time linear in the key for each
 * piece of a pattern, whatever is in it: no regular expression is built.
 */
import { Either, Schema } from "effect"
import { type AgentId, lowerCase, type SessionKey } from "./SessionKey.js"

/** A text that is no pattern. */
export class InvalidSessionPattern extends Schema.TaggedError<InvalidSessionPattern>()(
  "InvalidSessionPattern",
  { pattern: Schema.String, expected: Schema.String }
) {}

/** The longest pattern, in UTF-16 code units. */
export const maxPatternLength = 512

/** A set of patterns: what matches one of them is in. */
export interface SessionPatterns {
  /** As they were written, in lower case, sorted, each once. */
  readonly patterns: ReadonlyArray<string>
  /** Equal for equal sets, and only for those. */
  readonly key: string
  /** Is every session in? */
  readonly isAll: boolean
  readonly matches: (sessionKey: SessionKey) => boolean
  /** Could a session of this agent be in? */
  readonly reachesAgent: (agentId: AgentId) => boolean
}

// eslint-disable-next-line no-control-regex -- control characters are what is looked for
const unsafe = /[\u0000-\u001f\u007f-\u009f/\\\u2028\u2029\s]|\.\./

/** Reads one pattern: a canonical session key with `*` anywhere, in any case. */
const parseOne = (text: string): Either.Either<string, InvalidSessionPattern> => {
  const refuse = (expected: string) =>
    Either.left(new InvalidSessionPattern({ pattern: text.slice(0, 64), expected }))
  if (text.length > maxPatternLength) return refuse(`at most ${maxPatternLength} characters`)
  const pattern = lowerCase(text)
  if (unsafe.test(pattern)) return refuse('no spaces, no path separators and no ".."')
  if (pattern === "*" || pattern === "global" || pattern === "unknown") return Either.right(pattern)
  return /^agent:(?:[a-z0-9_-]|\*)+(?::.+)?$/.test(pattern) &&
    (pattern.includes(":", 6) || pattern.endsWith("*"))
    ? Either.right(pattern)
    : refuse("a full session key, agent:<agent id>:<name>, with * for any characters, or *")
}

/** Reads patterns; the first that is none is the error. */
export const parse = (texts: ReadonlyArray<string>): Either.Either<SessionPatterns, InvalidSessionPattern> =>
  Either.map(Either.all(texts.map(parseOne)), make)

/** A pattern in pieces, between which anything may stand. */
interface Glob {
  /** Of the agent's id. Absent: `rest` is of the whole key. */
  readonly agent: ReadonlyArray<string> | undefined
  readonly rest: ReadonlyArray<string>
}

const globOf = (pattern: string): Glob => {
  const [, agent, rest] = /^agent:([^:]*):(.+)$/.exec(pattern) ?? []
  return agent === undefined || rest === undefined
    ? { agent: undefined, rest: pattern.split("*") }
    : { agent: agent.split("*"), rest: rest.split("*") }
}

const make = (texts: ReadonlyArray<string>): SessionPatterns => {
  const patterns = Array.from(new Set(texts)).toSorted()
  const globs = patterns.map(globOf)
  return {
    patterns,
    key: patterns.join(" "),
    isAll: patterns.includes("*"),
    matches: (sessionKey) => globs.some((glob) => matches(glob, sessionKey)),
    reachesAgent: (agentId) => {
      const prefix = `agent:${agentId}:`
      return globs.some(({ agent, rest }) =>
        agent === undefined ? reaches(rest, prefix) : matchesGlob(agent, agentId)
      )
    }
  }
}

/** Every session. */
export const all: SessionPatterns = make(["*"])
/** No session. */
export const none: SessionPatterns = make([])

/** One session, whatever is in its key. */
export const only = (sessionKey: SessionKey): SessionPatterns => ({
  patterns: [sessionKey],
  // No pattern begins so.
  key: `=${sessionKey}`,
  isAll: false,
  matches: (other) => other === sessionKey,
  reachesAgent: (agentId) => sessionKey.startsWith(`agent:${agentId}:`)
})

const matches = ({ agent, rest }: Glob, sessionKey: SessionKey): boolean => {
  if (agent === undefined) return matchesGlob(rest, sessionKey)
  const separator = sessionKey.indexOf(":", 6)
  return (
    sessionKey.startsWith("agent:") &&
    matchesGlob(agent, sessionKey.slice(6, separator)) &&
    matchesGlob(rest, sessionKey.slice(separator + 1))
  )
}

/** Leftmost places are the best ones: what is left of the text is longest then. */
const matchesGlob = (pieces: ReadonlyArray<string>, text: string): boolean => {
  const [first = "", ...rest] = pieces
  const last = rest.pop()
  if (last === undefined) return text === first
  if (!text.startsWith(first)) return false
  let at = first.length
  for (const piece of rest) {
    const found = text.indexOf(piece, at)
    if (found < 0) return false
    at = found + piece.length
  }
  return text.length - last.length >= at && text.endsWith(last)
}

/** Could a text that begins with `prefix` match? */
const reaches = (pieces: ReadonlyArray<string>, prefix: string): boolean => {
  const [first = ""] = pieces
  if (pieces.length === 1) return first.startsWith(prefix)
  if (first.length >= prefix.length) return first.startsWith(prefix)
  // Behind the first `*` anything may come, and so may the rest of the prefix.
  return prefix.startsWith(first)
}
