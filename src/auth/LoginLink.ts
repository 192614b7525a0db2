/**
 * LoginLink: a code that gives the owner's token once, within ten minutes. It stands in the fragment of an address, which
 * browsers send to nobody, so the token itself is in no address and in no log.
 */
import { createHash, timingSafeEqual } from "node:crypto"
import { Clock, Effect, Option, Redacted } from "effect"
import * as Ids from "../domain/Ids.js"

export interface LoginLink {
  readonly code: Redacted.Redacted
  /** Gives the token for the code; none: it is another one, was used, or is too old. */
  readonly redeem: (code: string) => Effect.Effect<Option.Option<Redacted.Redacted>>
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest()

/** How long a code is good for, in milliseconds. */
const lifetime = 10 * 60 * 1000

export const make = (token: Redacted.Redacted): Effect.Effect<LoginLink> =>
  Effect.gen(function* () {
    // Two of them: 244 random bits.
    const code = `${yield* Ids.uuid}${yield* Ids.uuid}`.replaceAll("-", "")
    const madeAt = yield* Clock.currentTimeMillis
    let isUsed = false
    return {
      code: Redacted.make(code),
      redeem: (presented) =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          // Digests are equally long, and how many of their first bytes agree says nothing of the code.
          const isIt = timingSafeEqual(digest(presented), digest(code))
          if (isUsed || !isIt || now - madeAt > lifetime) return Option.none()
          isUsed = true
          return Option.some(token)
        })
    }
  })
