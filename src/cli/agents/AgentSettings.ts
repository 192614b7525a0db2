/**
 * AgentSettings: the agents of a gateway, from the config file (`agents`), `--agent` and `--model`, and from the environment:
 * keys, base URLs, and the variables that programs get.
 */
import type { FileSystem, Path } from "@effect/platform"
import { Effect, Either, Option } from "effect"
import * as AgentPolicy from "../../agent/AgentPolicy.js"
import type * as SessionKey from "../../domain/SessionKey.js"
import * as Settings from "../Settings.js"
import { SettingsError } from "../SettingsError.js"
import type { AgentDefinition } from "./AgentDefinition.js"
import * as AgentCast from "./AgentCast.js"
import type { Problems, Where } from "./AgentProblems.js"

/** The agents by id, in the order in which they are written, and which one answers keys that name none. */
export interface Agents {
  readonly definitions: ReadonlyMap<SessionKey.AgentId, AgentDefinition>
  readonly defaultAgentId: SessionKey.AgentId
}

export interface Loaded extends Settings.Loaded {
  readonly agents: Agents
}

/** All settings, and the agents. Fails with all that is wrong with both at once. */
export const load = (
  flags: Settings.Flags
): Effect.Effect<Loaded, SettingsError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const { given, loaded } = yield* Settings.read(flags)
    // Without the config file nobody knows which agents there are; that it can't be read is said by the settings.
    const agents = Option.isNone(given)
      ? Either.left<Problems>([])
      : yield* Effect.either(agentsOf(given.value))
    if (Either.isRight(loaded) && Either.isRight(agents)) return { ...loaded.right, agents: agents.right }
    return yield* new SettingsError({ problems: [...problemsOf(loaded), ...problemsOf(agents)] })
  })

const problemsOf = (read: Either.Either<unknown, Problems>): Problems =>
  Either.match(read, { onLeft: (problems) => problems, onRight: () => [] })

const agentsOf = (given: AgentCast.Given): Effect.Effect<Agents, Problems, Path.Path> =>
  Effect.gen(function* () {
    const cast = AgentCast.make(given)
    const definitions = new Map<SessionKey.AgentId, AgentDefinition>()
    const problems = [...cast.problems]
    for (const [id, value] of cast.written) {
      const AgentReader = yield* reader
      const read = yield* Effect.either(
        AgentReader.read(value, (path) => `agents.${id}${path} in ${given.file}`)
      )
      if (Either.isLeft(read)) problems.push(...read.left)
      else definitions.set(id, read.right)
    }
    if (Option.isSome(cast.quick)) {
      const read = yield* Effect.either(quickDefinition(cast.quick.value, given))
      if (Either.isLeft(read)) problems.push(...read.left)
      else definitions.set(cast.defaultAgentId, read.right)
    } else if (Option.isSome(given.model) && cast.problems.length === 0) {
      problems.push({
        where: AgentCast.placeOf(given, "model"),
        message: `only for an agent that --agent makes (${AgentCast.quickKinds.slice(1).join(", ")}); other agents have their model in the config file`
      })
    }
    if (problems.length > 0) return yield* Effect.fail(problems)
    return { definitions, defaultAgentId: cast.defaultAgentId }
  })

// The schemas cost some milliseconds at the start, and the demo agent needs none of them.
const reader = Effect.promise(() => import("./AgentReader.js"))

const quickDefinition = (
  kind: AgentCast.QuickKind,
  given: AgentCast.Given
): Effect.Effect<AgentDefinition, Problems, Path.Path> => {
  const place = AgentCast.placeOf(given, "agent")
  const where: Where = () => `${place} (${kind})`
  if (kind === "demo") {
    return Option.isSome(given.model)
      ? Effect.fail([{ where: AgentCast.placeOf(given, "model"), message: "the demo agent has no model" }])
      : Effect.succeed({ kind, policy: AgentPolicy.defaults, options: {} })
  }
  return Option.match(given.model, {
    onNone: () =>
      Effect.fail([{ where: where(""), message: `needs a model, such as --model ${examples[kind]}` }]),
    onSome: (model) => Effect.flatMap(reader, ({ complete }) => complete({ kind, model }, where))
  })
}

const examples = { openai: "gpt-5-mini", anthropic: "claude-sonnet-4-5" } as const
