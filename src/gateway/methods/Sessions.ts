/** The handlers of `sessions.*` that only read. */
import { Clock, Effect, Either, Option } from "effect"
import { AgentRunner, agentsOf } from "../../agent/AgentRunner.js"
import type { Principal } from "../../auth/Principal.js"
import { AmbiguousSession, InvalidParams, UnknownSession } from "../../domain/RequestError.js"
import * as SessionKey from "../../domain/SessionKey.js"
import { GatewayConfig } from "../../GatewayConfig.js"
import * as Wire from "../../protocol/Sessions.js"
import { type Glance, SessionStore } from "../../session/SessionStore.js"
import { fileName } from "../../session/StoreIndex.js"
import * as Excerpt from "../Excerpt.js"
import { type Answer, type Handlers, ok } from "../Handler.js"
import * as NamedSession from "../NamedSession.js"
import * as SessionRow from "../SessionRow.js"
import * as SessionSearch from "../SessionSearch.js"
import * as Visible from "../Visible.js"

type SessionHandlers = Pick<Handlers, "sessions.list" | "sessions.preview" | "sessions.resolve">

/** Transcripts that are looked at at once for one request. */
const glancesAtOnce = 4
/** UTF-16 code units of a title and of a row's preview. */
const titleLength = 60
const lastMessageLength = 120
/** How many of the newest messages are looked at for one that has text. */
const lastMessages = 4
const defaultPreviewItems = 12
const defaultPreviewChars = 240
/** Sessions that are named when it is not clear which one is meant. */
const maxCandidates = 10

export const make: Effect.Effect<SessionHandlers, never, GatewayConfig | SessionStore | AgentRunner> =
  Effect.gen(function* () {
    const config = yield* GatewayConfig
    const store = yield* SessionStore
    const agents = agentsOf(yield* AgentRunner, config.defaultAgentId)

    const defaultsFor = (principal: Principal) => {
      const model = Visible.agents(agents, config.defaultAgentId, principal).get(config.defaultAgentId)?.model
      return {
        model: model?.id ?? null,
        modelProvider: model?.provider ?? null,
        contextTokens: model?.contextWindow ?? null
      }
    }

    const withExcerpts = (params: Wire.ListParams, [key, entry]: SessionSearch.Found) => {
      const row = SessionRow.make(key, entry)
      const first = params.includeDerivedTitles === true
      const last = params.includeLastMessage === true ? lastMessages : 0
      if (!first && last === 0) return Effect.succeed(row)
      // That one transcript can't be read is no reason not to list the others.
      const seen = Effect.orElseSucceed(store.glance(key, { first, last }), Option.none)
      return Effect.map(seen, (glance) => ({ ...row, ...excerptsOf(Option.getOrUndefined(glance)) }))
    }

    const preview = (key: string, { sessions }: Principal, limit: number, maxChars: number) => {
      const sessionKey = Option.getOrUndefined(Either.getRight(SessionKey.parse(key, config)))
      const nothing = (status: "empty" | "missing" | "error") => ({ key, status, items: [] })
      if (sessionKey === undefined || !sessions.matches(sessionKey)) return Effect.succeed(nothing("missing"))
      return Effect.match(store.glance(sessionKey, { first: false, last: limit }), {
        onFailure: () => nothing("error"),
        onSuccess: (glance) => {
          if (Option.isNone(glance)) return nothing("missing")
          const items = glance.value.last.flatMap((message) => {
            const text = Excerpt.make(message, maxChars)
            return text === undefined ? [] : [{ role: Excerpt.roleOf(message), text }]
          })
          return items.length === 0 ? nothing("empty") : { key, status: "ok" as const, items }
        }
      })
    }

    const resolvedOf = ([key, { raw }]: SessionSearch.Found) => ({
      key,
      agentId: SessionKey.agentIdOf(key, config),
      ...(typeof raw["displayName"] === "string" ? { displayName: raw["displayName"] } : {})
    })

    return {
      "sessions.list": Effect.fnUntraced(function* (params, { principal }) {
        const { found, hasMore } = yield* SessionSearch.run({
          store,
          principal,
          defaults: config,
          filter: params,
          method: "sessions.list",
          offset: params.offset ?? 0,
          limit: Math.min(params.limit ?? Wire.defaultRows, Wire.maxRows)
        })
        const sessions = yield* Effect.forEach(found, (session) => withExcerpts(params, session), {
          concurrency: glancesAtOnce
        })
        return ok({
          ts: yield* Clock.currentTimeMillis,
          path: fileName,
          count: sessions.length,
          hasMore,
          defaults: defaultsFor(principal),
          sessions
        })
      }),

      "sessions.preview": Effect.fnUntraced(function* (params, { principal }) {
        const limit = Math.min(params.limit ?? defaultPreviewItems, Wire.maxPreviewItems)
        const maxChars = Math.min(params.maxChars ?? defaultPreviewChars, Wire.maxPreviewChars)
        const previews = yield* Effect.forEach(
          params.keys.slice(0, Wire.maxPreviewKeys),
          (key) => preview(key, principal, limit, maxChars),
          { concurrency: glancesAtOnce }
        )
        return ok({ ts: yield* Clock.currentTimeMillis, previews })
      }),

      "sessions.resolve": Effect.fnUntraced(function* (params, { principal }) {
        const { allowMissing, key, label, sessionId, ...filter } = params
        const path =
          key !== undefined
            ? "key"
            : sessionId !== undefined
              ? "sessionId"
              : label !== undefined
                ? "label"
                : ""
        if (path === "")
          return yield* new InvalidParams({
            method: "sessions.resolve",
            path: "key",
            expected: "one of key, sessionId and label",
            found: "nothing"
          })
        const missing = (): Answer<"sessions.resolve"> => ok({ ok: false })
        const search = (wanted: SessionSearch.Filter, limit: number) =>
          SessionSearch.run({
            store,
            principal,
            defaults: config,
            filter: { ...filter, ...wanted },
            method: "sessions.resolve",
            offset: 0,
            limit
          })
        if (key !== undefined) {
          const sessionKey = yield* NamedSession.keyOf({ ...params, key }, config)
          const entry = principal.sessions.matches(sessionKey)
            ? Option.getOrUndefined(yield* store.get(sessionKey))
            : undefined
          const isOne =
            entry !== undefined &&
            (params.spawnedBy === undefined || entry.raw["spawnedBy"] === params.spawnedBy)
          if (isOne) return ok({ ok: true as const, ...resolvedOf([sessionKey, entry]) })
          return allowMissing === true ? missing() : yield* new UnknownSession({ path })
        }
        const wanted = sessionId === undefined ? { label: label ?? "" } : { sessionId }
        const { found } = yield* search(wanted, maxCandidates)
        const [only, ...others] = found
        if (only === undefined) return allowMissing === true ? missing() : yield* new UnknownSession({ path })
        if (others.length === 0) return ok({ ok: true as const, ...resolvedOf(only) })
        return allowMissing === true
          ? ok({ ok: false as const, candidates: found.map(resolvedOf) })
          : yield* new AmbiguousSession({ path, keys: found.map(([found]) => found) })
      })
    }
  })

const excerptsOf = (glance: Glance | undefined) => {
  const title = glance?.first === undefined ? undefined : Excerpt.make(glance.first, titleLength)
  const last = glance?.last
    .map((message) => Excerpt.make(message, lastMessageLength))
    .findLast((text) => text !== undefined)
  return {
    ...(title === undefined ? {} : { derivedTitle: title }),
    ...(last === undefined ? {} : { lastMessagePreview: last })
  }
}
