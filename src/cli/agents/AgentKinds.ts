/** AgentKinds: from what is configured to the agents themselves. A kind's code is loaded only when it is used. */
import type { FileSystem } from "@effect/platform"
import { Effect, Layer, type Scope } from "effect"
import * as AgentDemo from "../../agent/AgentDemo.js"
import * as AgentPolicy from "../../agent/AgentPolicy.js"
import { type Agent, type AgentError, type AgentRunner, layerAgents } from "../../agent/AgentRunner.js"
import type { AgentDefinition } from "./AgentDefinition.js"
import type { Agents } from "./AgentSettings.js"

/** Makes an agent. */
export type Make = (
  definition: AgentDefinition
) => Effect.Effect<Agent, never, Scope.Scope | FileSystem.FileSystem>

/** What makes agents. What they share (connections to models, programs) lives in the scope, once it is needed. */
export const make: Effect.Effect<Make> = Effect.gen(function* () {
  const http = yield* Effect.cached(
    Effect.flatMap(
      Effect.promise(() => import("../../transport/HttpClientNode.js")),
      ({ layer }) => Layer.build(layer)
    )
  )
  const processes = yield* Effect.cached(
    Effect.flatMap(
      Effect.promise(() => import("../../agent/ProcessGroupNode.js")),
      ({ layer }) => Layer.build(layer)
    )
  )
  const kindOf: Make = (definition) => {
    switch (definition.kind) {
      case "demo":
        return Effect.map(AgentDemo.make, (agent) => ({
          ...agent,
          about: { ...agent.about, ...definition.options }
        }))
      case "openai":
        return Effect.gen(function* () {
          const kind = yield* Effect.promise(() => import("../../agent/AgentOpenAi.js"))
          return yield* Effect.provide(kind.make(definition.options), yield* http)
        })
      case "anthropic":
        return Effect.gen(function* () {
          const kind = yield* Effect.promise(() => import("../../agent/AgentAnthropic.js"))
          return yield* Effect.provide(kind.make(definition.options), yield* http)
        })
      case "command":
        return Effect.gen(function* () {
          const kind = yield* Effect.promise(() => import("../../agent/AgentCommand.js"))
          return yield* Effect.provide(kind.make(definition.options), yield* processes)
        })
      case "acp":
        return Effect.gen(function* () {
          const kind = yield* Effect.promise(() => import("../../agent/AgentAcp.js"))
          return yield* Effect.provide(kind.make(definition.options), yield* processes)
        })
    }
  }
  return (definition) => Effect.map(kindOf(definition), AgentPolicy.apply(definition.policy))
})

/** The agents of a gateway. */
export const layer = ({ definitions }: Agents): Layer.Layer<AgentRunner, AgentError, FileSystem.FileSystem> =>
  Layer.unwrapEffect(
    Effect.map(make, (agentOf) =>
      layerAgents(Object.fromEntries([...definitions].map(([id, definition]) => [id, agentOf(definition)])))
    )
  )
