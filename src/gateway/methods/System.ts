/** The handlers of `health` and `status`. */
import { Clock, Effect, Either } from "effect"
import { AgentRunner, agentsOf } from "../../agent/AgentRunner.js"
import type { Principal } from "../../auth/Principal.js"
import { version } from "../../domain/Product.js"
import type { SessionStoreError } from "../../domain/SessionError.js"
import { GatewayConfig } from "../../GatewayConfig.js"
import { RunRegistry } from "../../run/RunRegistry.js"
import { SessionStore } from "../../session/SessionStore.js"
import { Boot } from "../Boot.js"
import { type Handlers, ok } from "../Handler.js"
import { Presence } from "../Presence.js"
import * as Visible from "../Visible.js"

type SystemHandlers = Pick<Handlers, "health" | "status">

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

/** What fails may be a file of a session that the principal does not see. */
const problemsFor = (
  { sessions }: Principal,
  failing: ReadonlyArray<SessionStoreError>
): ReadonlyArray<string> =>
  sessions.isAll ? Array.from(new Set(failing.map(describe))) : ["the session store has problems"]

const describe = ({ operation, reason, subject }: SessionStoreError): string =>
  `the session store can't ${operation} ${subject}: ${reason}`
