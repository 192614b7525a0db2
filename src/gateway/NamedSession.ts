/** NamedSession: the session that a request of `sessions.*` names by `key` and, for a bare one, `agentId`. */
import { Either } from "effect"
import type { Principal } from "../auth/Principal.js"
import { SessionForbidden } from "../domain/RequestError.js"
import * as SessionKey from "../domain/SessionKey.js"

interface Naming {
  readonly key: string
  readonly agentId?: string
}

export const keyOf = (
  { agentId, key }: Naming,
  config: SessionKey.SessionKeyDefaults
): Either.Either<SessionKey.SessionKey, SessionKey.InvalidSessionKey> =>
  Either.flatMap(
    agentId === undefined
      ? Either.right(config.defaultAgentId)
      : Either.mapLeft(
          SessionKey.parseAgentId(agentId),
          (expected) => new SessionKey.InvalidSessionKey({ key: key.slice(0, 64), expected, path: "agentId" })
        ),
    (defaultAgentId) =>
      Either.mapLeft(
        SessionKey.parse(key, { defaultAgentId, mainKey: config.mainKey }),
        ({ expected, key: cut }) => new SessionKey.InvalidSessionKey({ key: cut, expected, path: "key" })
      )
  )

/** The same, when it is for this principal to use: if not, it is refused whether it exists or not. */
export const usableBy = (
  { sessions }: Principal,
  naming: Naming,
  config: SessionKey.SessionKeyDefaults
): Either.Either<SessionKey.SessionKey, SessionKey.InvalidSessionKey | SessionForbidden> =>
  Either.filterOrLeft(
    keyOf(naming, config),
    (sessionKey) => sessions.matches(sessionKey),
    () => new SessionForbidden({ path: "key" })
  )
