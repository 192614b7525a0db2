/** Visible: what of the gateway a principal sees. What it does not see does not exist for it. */
import { Effect } from "effect"
import type { AgentAbout } from "../domain/AgentAbout.js"
import { type AgentId, type SessionKey, withoutAgent } from "../domain/SessionKey.js"
import type { Principal } from "../auth/Principal.js"
import * as EventLoop from "../event/EventLoop.js"

/** The agents that could answer a session of this principal, in their order. */
export const agents = (
  all: ReadonlyMap<AgentId, AgentAbout>,
  defaultAgentId: AgentId,
  { sessions }: Principal
): ReadonlyMap<AgentId, AgentAbout> =>
  sessions.isAll
    ? all
    : new Map(
        [...all].filter(
          ([agentId]) =>
            sessions.reachesAgent(agentId) ||
            (agentId === defaultAgentId && withoutAgent.some((sessionKey) => sessions.matches(sessionKey)))
        )
      )

/** Keys that are looked at in one go: less than a millisecond of work. */
const keysPerTurn = 4096

/** How many of these sessions it sees. There may be a hundred thousand: the event loop gets its turns. */
export const countSessions = (
  all: ReadonlyMap<SessionKey, unknown>,
  { sessions }: Principal
): Effect.Effect<number> =>
  sessions.isAll
    ? Effect.succeed(all.size)
    : Effect.gen(function* () {
        const breathe = EventLoop.turnEvery(keysPerTurn)
        let count = 0
        let looked = 0
        for (const sessionKey of all.keys()) {
          if (sessions.matches(sessionKey)) count += 1
          looked += 1
          if (looked % keysPerTurn === 0) yield* breathe(keysPerTurn)
        }
        return count
      })
