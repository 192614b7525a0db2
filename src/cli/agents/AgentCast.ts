/**
 * AgentCast: which agents there are and which one is the default, from the settings that say so. Only this much is read by
 * commands that do not need the agents themselves.
 */
import { Either, Option, Predicate } from "effect"
import * as SessionKey from "../../domain/SessionKey.js"
import type { SettingProblem } from "../SettingsError.js"

/** What of the settings says which agents there are. */
export interface Given {
  /** `agents` of the config file; undefined: it has none. */
  readonly agents: unknown
  /** The config file. */
  readonly file: string
  /** `--agent`: an agent's id, or a kind that needs no more than the environment. */
  readonly agent: Option.Option<string>
  /** `--model` */
  readonly model: Option.Option<string>
  readonly defaultAgentId: SessionKey.AgentId
  /** Where it was said which agent is the default one; none: it was not. */
  readonly defaultAgentIdFrom: Option.Option<string>
}

/** Kinds that `--agent` makes an agent of. */
export const quickKinds = ["demo", "openai", "anthropic"] as const
export type QuickKind = (typeof quickKinds)[number]

/** Which agents there are, and of what kind, without a look at the rest. */
export interface Cast {
  readonly written: ReadonlyMap<SessionKey.AgentId, unknown>
  readonly defaultAgentId: SessionKey.AgentId
  /** The one that `--agent` adds. */
  readonly quick: Option.Option<QuickKind>
}

/** The agent that answers session keys that name none; what is wrong with it is told when the agents are loaded. */
export const defaultAgentIdOf = (given: Given): SessionKey.AgentId =>
  Either.match(make(given), { onLeft: () => given.defaultAgentId, onRight: (cast) => cast.defaultAgentId })

export const make = (given: Given): Either.Either<Cast, ReadonlyArray<SettingProblem>> =>
  Either.flatMap(writtenIn(given), (written) => {
    const ids = [...written.keys()]
    const none = Option.none<QuickKind>()
    if (Option.isSome(given.agent)) {
      const name = given.agent.value.toLowerCase()
      const named = ids.find((id) => id === name)
      if (named !== undefined) return Either.right({ written, defaultAgentId: named, quick: none })
      const kind = quickKinds.find((known) => known === name)
      if (kind === undefined) return Either.left([unknownAgent("--agent", given.agent.value, ids)])
      // Beside an agent that has the default id already it needs one of its own.
      const own = Either.getOrElse(SessionKey.parseAgentId(kind), () => given.defaultAgentId)
      const defaultAgentId = written.has(given.defaultAgentId) ? own : given.defaultAgentId
      return Either.right({ written, defaultAgentId, quick: Option.some(kind) })
    }
    const { defaultAgentId } = given
    if (written.has(defaultAgentId)) return Either.right({ written, defaultAgentId, quick: none })
    const [first] = ids
    if (first === undefined) {
      return Either.right({ written, defaultAgentId, quick: Option.some<QuickKind>("demo") })
    }
    return Option.match(given.defaultAgentIdFrom, {
      onNone: () => Either.right({ written, defaultAgentId: first, quick: none }),
      onSome: (where) => Either.left([unknownAgent(where, defaultAgentId, ids)])
    })
  })

const unknownAgent = (where: string, name: string, ids: ReadonlyArray<string>): SettingProblem => ({
  where,
  message: `there is no agent ${JSON.stringify(name.slice(0, 80))}. ${
    ids.length === 0 ? "The config file has none" : `Agents of the config file: ${ids.join(", ")}`
  }; without it there are ${quickKinds.join(", ")}`
})

/** The agents of the config file by their ids, as they are written. */
const writtenIn = ({
  agents,
  file
}: Given): Either.Either<ReadonlyMap<SessionKey.AgentId, unknown>, ReadonlyArray<SettingProblem>> => {
  if (agents === undefined) return Either.right(new Map())
  if (!Predicate.isReadonlyRecord(agents)) {
    return Either.left([
      {
        where: `agents in ${file}`,
        message: 'expected an object of agents by their ids: {"main": {"kind": …}}'
      }
    ])
  }
  const written = new Map<SessionKey.AgentId, unknown>()
  const problems: Array<SettingProblem> = []
  for (const [name, value] of Object.entries(agents)) {
    const where = `agents.${name} in ${file}`
    const id = SessionKey.parseAgentId(name)
    if (Either.isLeft(id))
      problems.push({ where, message: `expected ${id.left}; found ${JSON.stringify(name)}` })
    else if (written.has(id.right))
      problems.push({
        where,
        message: "there are two agents with this id (upper and lower case are the same)"
      })
    else written.set(id.right, value)
  }
  return problems.length > 0 ? Either.left(problems) : Either.right(written)
}
