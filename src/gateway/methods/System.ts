/** The handlers of `health`, `status`, `runs.list` and `system-presence`. */
import { Clock, Effect, Either } from "effect"
import { AgentRunner, agentsOf } from "../../agent/AgentRunner.js"
import * as Principal from "../../auth/Principal.js"
import * as Ids from "../../domain/Ids.js"
import { version } from "../../domain/Product.js"
import * as SessionKey from "../../domain/SessionKey.js"
import type { SessionStoreError } from "../../domain/SessionError.js"
import { GatewayConfig } from "../../GatewayConfig.js"
import type { PresenceRow } from "../../protocol/System.js"
import { RunRegistry } from "../../run/RunRegistry.js"
import { SessionStore } from "../../session/SessionStore.js"
import { Boot } from "../Boot.js"
import { type Handlers, ok } from "../Handler.js"
import { type Guest, Presence } from "../Presence.js"
import * as Visible from "../Visible.js"

type SystemHandlers = Pick<Handlers, "health" | "status" | "runs.list" | "system-presence">

export const make: Effect.Effect<
  SystemHandlers,
  never,
  GatewayConfig | SessionStore | RunRegistry | AgentRunner | Boot | Presence
> = Effect.gen(function* () {
  const config = yield* GatewayConfig
  const store = yield* SessionStore
  const registry = yield* RunRegistry
  const boot = yield* Boot
  const presence = yield* Presence
  const agents = agentsOf(yield* AgentRunner, config.defaultAgentId)

  return {
    health: (_params, { principal }) =>
      Effect.gen(function* () {
        const before = yield* Clock.currentTimeMillis
        const sessions = yield* Effect.either(store.list)
        const failing = [...(Either.isLeft(sessions) ? [sessions.left] : []), ...(yield* store.problems)]
        const now = yield* Clock.currentTimeMillis
        return ok({
          ok: failing.length === 0,
          ts: now,
          durationMs: now - before,
          defaultAgentId: config.defaultAgentId,
          ...(failing.length === 0 ? {} : { problems: problemsFor(principal, failing) }),
          ...(Either.isLeft(sessions)
            ? {}
            : { sessions: { count: yield* Visible.countSessions(sessions.right, principal) } })
        })
      }),

    "runs.list": ({ sessionKey }, { principal }) =>
      Effect.gen(function* () {
        const only = sessionKey === undefined ? undefined : yield* SessionKey.parse(sessionKey, config)
        const runs = yield* registry.list
        return ok({
          ts: yield* Clock.currentTimeMillis,
          runs: runs
            .filter((run) => principal.sessions.matches(run.sessionKey))
            .filter((run) => only === undefined || run.sessionKey === only)
            .map(({ text, ...run }) => ({
              ...run,
              runId: Ids.keyOf(run.runId),
              ...(only === undefined ? {} : { text })
            })),
          maxConcurrentRuns: config.maxConcurrentRuns
        })
      }),

    "system-presence": (_params, { principal, scopes }) =>
      Effect.map(Clock.currentTimeMillis, (ts) => {
        const seesAll = principal.sessions.isAll && Principal.allows(scopes, "operator.admin")
        return ok(presence.guests(seesAll ? undefined : principal.name).map((guest) => rowOf(guest, ts)))
      }),

    status: (_params, { principal }) =>
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        const runs = (yield* registry.list).filter((run) => principal.sessions.matches(run.sessionKey))
        const sessions = yield* store.list
        const count = (...phases: ReadonlyArray<string>) =>
          runs.filter((run) => phases.includes(run.phase)).length
        return ok({
          version,
          uptimeMs: Math.max(0, now - boot.startedAt),
          connections: presence.count(principal.sessions.isAll ? undefined : principal.name),
          runs: {
            active: count("running", "settling"),
            queued: count("accepting", "queued"),
            handedOff: count("handed-off")
          },
          sessions: { count: yield* Visible.countSessions(sessions, principal) },
          agents: {
            defaultId: config.defaultAgentId,
            ids: [...Visible.agents(agents, config.defaultAgentId, principal).keys()]
          }
        })
      })
  }
})

/** A client may say of itself what it likes, at any length. */
const cut = (text: string): string => text.slice(0, 64)

const rowOf = ({ address, client, connectedAt, connectionId, principal }: Guest, ts: number): PresenceRow => {
  const { displayName = "", id, mode, platform, version } = client
  const named = displayName === "" ? {} : { displayName: cut(displayName) }
  return {
    ts,
    version: cut(version),
    mode: cut(mode),
    reason: "connect",
    connId: connectionId,
    principal,
    client: { id: cut(id), version: cut(version), platform: cut(platform), mode: cut(mode), ...named },
    connectedAt,
    ...(address === "" ? {} : { host: address, address })
  }
}

/** What fails may be a file of a session that the principal does not see. */
const problemsFor = (
  { sessions }: Principal.Principal,
  failing: ReadonlyArray<SessionStoreError>
): ReadonlyArray<string> =>
  sessions.isAll ? Array.from(new Set(failing.map(describe))) : ["the session store has problems"]

const describe = ({ operation, reason, subject }: SessionStoreError): string =>
  `the session store can't ${operation} ${subject}: ${reason}`
