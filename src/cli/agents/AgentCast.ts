/**
 * AgentCast: which agents there are and which one is the default, from the settings that say so. Only this much is read by
 * commands that do not need the agents themselves.
 */
import { Either, Option, Predicate } from "effect"
import * as SessionKey from "../../domain/SessionKey.js"
import * as Setting from "../Setting.js"
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
  /** Where one of these was said, in words; none: it was not. */
  readonly origin: (key: "agent" | "model" | "defaultAgentId") => Option.Option<string>
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
  /** What is wrong with the ids. The rest is then as good as it can be told. */
  readonly problems: ReadonlyArray<SettingProblem>
}

/** Where a setting was said; what was not said anywhere goes by the name of its flag. */
export const placeOf = (given: Given, key: "agent" | "model" | "defaultAgentId"): string =>
  Option.getOrElse(given.origin(key), () => `--${key}`)

export const make = (given: Given): Cast => {
  const { problems, written } = writtenIn(given)
  const fallback = { written, defaultAgentId: given.defaultAgentId, quick: Option.none<QuickKind>() }
  return Either.match(choose(given, written), {
    onRight: (chosen) => ({ ...fallback, ...chosen, problems }),
    // An id that is wrong could be the one that is missed.
    onLeft: (problem) => ({ ...fallback, problems: problems.length > 0 ? problems : [problem] })
  })
}

/** The default agent, and the one that has to be made for it. */
const choose = (given: Given, written: Cast["written"]): Either.Either<Partial<Cast>, SettingProblem> => {
  const { agent, defaultAgentId } = given
  const ids = [...written.keys()]
  if (Option.isSome(agent)) {
    const name = agent.value.toLowerCase()
    const named = ids.find((id) => id === name)
    if (named !== undefined) return Either.right({ defaultAgentId: named })
    const kind = quickKinds.find((known) => known === name)
    if (kind === undefined) {
      return Either.left(unknownAgent(placeOf(given, "agent"), agent.value, ids, quickKinds))
    }
    // Beside an agent that has the default id already it needs one of its own.
    const own = Either.getOrElse(SessionKey.parseAgentId(kind), () => defaultAgentId)
    return Either.right({
      defaultAgentId: written.has(defaultAgentId) ? own : defaultAgentId,
      quick: Option.some(kind)
    })
  }
  const [first] = ids
  if (first === undefined) return Either.right({ quick: Option.some("demo") })
  if (written.has(defaultAgentId)) return Either.right({})
  return Option.match(given.origin("defaultAgentId"), {
    onNone: () => Either.right({ defaultAgentId: first }),
    onSome: (where) => Either.left(unknownAgent(where, defaultAgentId, ids, []))
  })
}

const unknownAgent = (
  where: string,
  name: string,
  ids: ReadonlyArray<string>,
  kinds: ReadonlyArray<string>
): SettingProblem => {
  const known = ids.length === 0 ? "The config file has none" : `The config file has ${ids.join(", ")}`
  const without = kinds.length === 0 ? "" : `; ${kinds.join(", ")} can be used without one`
  return {
    where,
    message: `there is no agent ${JSON.stringify(name.slice(0, 80))}. ${known}${without}`
  }
}

/** The agents of the config file by their ids, as they are written. */
const writtenIn = ({ agents, file }: Given): Pick<Cast, "problems" | "written"> => {
  const written = new Map<SessionKey.AgentId, unknown>()
  const problems: Array<SettingProblem> = []
  if (agents === undefined) return { problems, written }
  if (!Predicate.isReadonlyRecord(agents)) {
    const message = 'expected an object of agents by their ids: {"main": {"kind": …}}'
    return { problems: [{ where: `agents in ${file}`, message }], written }
  }
  for (const [name, value] of Object.entries(agents)) {
    const where = `agents.${name} in ${file}`
    const id = Setting.agentId.decode(name)
    if (Option.isNone(id))
      problems.push({
        where,
        message: `expected ${Setting.agentId.expects}; found ${JSON.stringify(name.slice(0, 80))}`
      })
    else if (written.has(id.value))
      problems.push({
        where,
        message: "there are two agents with this id (upper and lower case are the same)"
      })
    else written.set(id.value, value)
  }
  return { problems, written }
}
