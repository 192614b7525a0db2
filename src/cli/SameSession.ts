/** SameSession: do two keys name one session? Events bear a key as their run's sender wrote it. */
import { Either } from "effect"
import * as SessionKey from "../domain/SessionKey.js"
import type * as Connect from "../protocol/Connect.js"

/** A test for keys that name the same session as `key`, by the defaults that the gateway has told. */
export const as = (key: string, { snapshot }: Connect.HelloOk): ((other: string) => boolean) => {
  const defaults = snapshot.sessionDefaults
  const agentId = SessionKey.parseAgentId(defaults?.defaultAgentId ?? "main")
  if (Either.isLeft(agentId)) return (other) => other === key
  const canonical = (raw: string): string =>
    Either.getOrElse(
      SessionKey.parse(raw, { defaultAgentId: agentId.right, mainKey: defaults?.mainKey ?? "main" }),
      () => raw
    )
  const own = canonical(key)
  return (other) => canonical(other) === own
}
