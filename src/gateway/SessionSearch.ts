/** SessionSearch: finding sessions among those that a principal sees. There may be a hundred thousand: the event loop gets its turns. */
import { Clock, Effect, Either } from "effect"
import type { Principal } from "../auth/Principal.js"
import { InvalidParams } from "../domain/RequestError.js"
import * as SessionKey from "../domain/SessionKey.js"
import * as EventLoop from "../event/EventLoop.js"
import type { SessionStoreError } from "../domain/SessionError.js"
import type { SessionEntry, SessionStoreShape } from "../session/SessionStore.js"

/** Sessions that are looked at in one turn: less than a millisecond of work. */
const sessionsPerTurn = 1024

export type Found = readonly [key: SessionKey.SessionKey, entry: SessionEntry]

export interface Filter {
  readonly includeGlobal?: boolean
  readonly includeUnknown?: boolean
  readonly agentId?: string
  readonly spawnedBy?: string
  readonly label?: string
  /** In any case. */
  readonly search?: string
  readonly sessionId?: string
  readonly activeMinutes?: number
}

export interface Page {
  readonly found: ReadonlyArray<Found>
  /** Are there more behind them? */
  readonly hasMore: boolean
}

/** What a filter says of a session, whoever asks. Left: `agentId` is none. */
const make = (
  filter: Filter,
  defaults: SessionKey.SessionKeyDefaults,
  method: string
): Either.Either<(found: Found) => boolean, InvalidParams> =>
  Either.map(
    filter.agentId === undefined
      ? Either.right(undefined)
      : Either.mapLeft(
          SessionKey.parseAgentId(filter.agentId),
          (expected) => new InvalidParams({ method, path: "agentId", expected, found: "another string" })
        ),
    (agentId) => {
      const { includeGlobal, includeUnknown, label, sessionId, spawnedBy } = filter
      const search = filter.search?.trim().toLowerCase() ?? ""
      return ([key, entry]) =>
        (includeGlobal === true || key !== "global") &&
        (includeUnknown === true || key !== "unknown") &&
        (agentId === undefined || SessionKey.agentIdOf(key, defaults) === agentId) &&
        (spawnedBy === undefined || entry.raw["spawnedBy"] === spawnedBy) &&
        (label === undefined || entry.raw["label"] === label) &&
        (sessionId === undefined || entry.sessionId === sessionId) &&
        (search === "" || mentions(key, entry, search))
    }
  )

const mentions = (key: SessionKey.SessionKey, { raw, sessionId }: SessionEntry, search: string): boolean =>
  [key, sessionId, raw["label"], raw["displayName"], raw["subject"]].some(
    (text) => typeof text === "string" && text.toLowerCase().includes(search)
  )

/** The newest sessions of a principal that pass the filter, without the first `offset` of them. */
export const run = (options: {
  readonly store: SessionStoreShape
  readonly principal: Principal
  readonly defaults: SessionKey.SessionKeyDefaults
  readonly filter: Filter
  readonly method: string
  readonly offset: number
  readonly limit: number
}): Effect.Effect<Page, SessionStoreError | InvalidParams> =>
  Effect.gen(function* () {
    const { defaults, filter, limit, method, offset, principal, store } = options
    const passes = yield* make(filter, defaults, method)
    const now = yield* Clock.currentTimeMillis
    const since = filter.activeMinutes === undefined ? undefined : now - filter.activeMinutes * 60_000
    const found: Array<Found> = []
    let looked = 0
    let passed = 0
    for (const session of yield* store.newest) {
      if (since !== undefined && session[1].updatedAt < since) break
      looked += 1
      if (looked % sessionsPerTurn === 0) yield* EventLoop.turn
      if (!principal.sessions.matches(session[0]) || !passes(session)) continue
      passed += 1
      if (passed <= offset) continue
      if (found.length === limit) return { found, hasMore: true }
      found.push(session)
    }
    return { found, hasMore: false }
  })
