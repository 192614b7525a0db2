/** Grants: what a principal may do and see, as flags say it. */
import { Either } from "effect"
import { allScopes } from "../../auth/Principal.js"
import * as SessionPatterns from "../../domain/SessionPatterns.js"
import type { Scope } from "../../protocol/Connect.js"
import { Flag } from "./TokenFlags.js"
import type { SettingProblem } from "../SettingsError.js"

const itemsOf = (text: string): ReadonlyArray<string> =>
  text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "")

/** `read,write` or `operator.read,operator.write`, in the order of the scopes. */
export const scopes = (text: string): Either.Either<ReadonlyArray<Scope>, SettingProblem> => {
  const names = itemsOf(text).map((name) => (name.includes(".") ? name : `operator.${name}`))
  const unknown = names.find((name) => !allScopes.some((scope) => scope === name))
  return unknown === undefined && names.length > 0
    ? Either.right(allScopes.filter((scope) => names.includes(scope)))
    : Either.left({
        where: Flag.scopes.flag,
        message: `expected ${Flag.scopes.expects}; found ${JSON.stringify(text.slice(0, 80))}`
      })
}

/** Patterns, separated by commas. */
export const sessions = (text: string): Either.Either<ReadonlyArray<string>, SettingProblem> => {
  const items = itemsOf(text)
  const parsed = SessionPatterns.parse(items)
  if (Either.isRight(parsed) && items.length > 0) return Either.right(parsed.right.patterns)
  const found = Either.isLeft(parsed) ? parsed.left.pattern : text.slice(0, 80)
  const expected = Either.isLeft(parsed) ? parsed.left.expected : Flag.sessions.expects
  return Either.left({
    where: Flag.sessions.flag,
    message: `expected ${expected}; found ${JSON.stringify(found)}`
  })
}

/** What a new principal gets when nothing is said: reading and writing, in the sessions that bear its name. */
export const defaultScopes: ReadonlyArray<Scope> = ["operator.read", "operator.write"]
export const defaultSessions = (name: string): ReadonlyArray<string> => [
  `agent:*:${name}`,
  `agent:*:${name}:*`
]
