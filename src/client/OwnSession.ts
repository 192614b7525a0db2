/** OwnSession: keys of sessions that the principal may use, where it may not use all. */
import * as Either from "effect/Either"
import * as SessionKey from "../domain/SessionKey.js"
import * as SessionPatterns from "../domain/SessionPatterns.js"
import type * as Connect from "../protocol/Connect.js"

/** The session to begin in: the main one, or the first that is the principal's own. */
export const home = (hello: Connect.HelloOk): string => {
  const { defaultAgentId, mainSessionKey } = hello.snapshot.sessionDefaults
  return choose(hello, [
    mainSessionKey,
    ...patternsOf(hello).map((pattern) => fill(pattern, defaultAgentId, "main"))
  ])
}

/** A session of that name, as far as the principal's patterns leave it to choose. */
export const named = (hello: Connect.HelloOk, name: string, agentId?: string): string => {
  const agent = agentId ?? hello.snapshot.sessionDefaults.defaultAgentId
  const filled = patternsOf(hello).map((pattern) => fill(pattern, agent, name))
  return choose(hello, [`agent:${agent}:${name}`, ...filled.filter((key) => key.includes(name)), ...filled])
}

const patternsOf = ({ auth }: Connect.HelloOk): ReadonlyArray<string> => auth?.sessions ?? ["*"]

/** A key that the pattern may match: `agent:*:alice:*` is `agent:main:alice:notes`. */
const fill = (pattern: string, agentId: string, name: string): string =>
  pattern
    .split(":")
    .map((part, index) => part.replaceAll("*", index === 1 ? agentId : name))
    .join(":")

/** The first that may be used; the first of all when none may be: then the gateway says what is wrong. */
const choose = (hello: Connect.HelloOk, keys: ReadonlyArray<string>): string => {
  const { defaultAgentId, mainKey, mainSessionKey } = hello.snapshot.sessionDefaults
  const sees = Either.getOrElse(SessionPatterns.parse(patternsOf(hello)), () => SessionPatterns.all)
  const isUsable = (key: string): boolean =>
    Either.match(
      Either.flatMap(SessionKey.parseAgentId(defaultAgentId), (agent) =>
        SessionKey.parse(key, { defaultAgentId: agent, mainKey })
      ),
      { onLeft: () => false, onRight: sees.matches }
    )
  return keys.find(isUsable) ?? keys[0] ?? mainSessionKey
}
