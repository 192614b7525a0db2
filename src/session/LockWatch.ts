/** LockWatch: whether the holder of a lock lives. It changes nothing. */
import { Duration, Effect, Option } from "effect"
import type { SessionStoreError } from "../domain/SessionError.js"
import type { Seen } from "./LockFiles.js"
import type { Identity } from "./LockOwner.js"

/** Between two looks at a lock whose holder can't be seen from here. */
export const lookEvery = Duration.millis(500)
/** How many looks without a change tell that nobody renews a lock: three renewals missed. */
const looks = 12

/**
 * `changed`: it is another lock now, or none. A holder that can't be seen from here is watched for up to `looks` times
 * `pause`; `onWait` says so before.
 */
export const watch = (options: {
  readonly look: Effect.Effect<Option.Option<Seen>, SessionStoreError>
  readonly seen: Seen
  readonly judge: Identity["judge"]
  readonly pause: Effect.Effect<void>
  readonly onWait: Effect.Effect<void>
}): Effect.Effect<"alive" | "dead" | "changed", SessionStoreError> =>
  Effect.gen(function* () {
    const { judge, look, onWait, pause, seen } = options
    const owner = Option.getOrUndefined(seen.owner)
    const verdict = owner === undefined ? "unknown" : yield* judge(owner)
    if (verdict !== "unknown") return verdict
    yield* onWait
    for (let count = 0; count < looks; count++) {
      yield* pause
      const now = yield* look
      if (!isLock(now, seen)) return "changed"
      if (owner !== undefined && now.value.renewedAt !== seen.renewedAt) return "alive"
    }
    return "dead"
  })

export const isLock = (now: Option.Option<Seen>, seen: Seen): now is Option.Some<Seen> =>
  Option.isSome(now) && now.value.token === seen.token
