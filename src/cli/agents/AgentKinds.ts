/** AgentKinds: from what is configured to the agents themselves. A kind's code is loaded only when it is used. */
import type { FileSystem } from "@effect/platform"
import { Effect, Layer, type Scope } from "effect"
import * as AgentDemo from "../../agent/AgentDemo.js"
import * as AgentPolicy from "../../agent/AgentPolicy.js"
import { type Agent, type AgentError, type AgentRunner, layerAgents } from "../../agent/AgentRunner.js"
import type { AgentDefinition } from "./AgentDefinition.js"
import type { Agents } from "./AgentSettings.js"

type Services = Scope.Scope | FileSystem.FileSystem

/** The agents by id, ready to be made. What they share (connections to models, programs) lives in the scope. */
export const make = ({
  definitions
}: Agents): Effect.Effect<{ readonly [agentId: string]: Effect.Effect<Agent, never, Services> }> =>
  Effect.gen(function* () {
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
    const kindOf = (definition: AgentDefinition): Effect.Effect<Agent, never, Services> => {
      switch (definition.kind) {
        case "demo":
          return Effect.map(AgentDemo.make, (agent) => ({
            ...agent,
            about: { ...agent.about, ...definition.options }
          }))
        case "openai":
          return Effect.flatMap(
            Effect.promise(() => import("../../agent/AgentOpenAi.js")),
            (kind) =>
              Effect.flatMap(http, (context) => Effect.provide(kind.make(definition.options), context))
          )
        case "anthropic":
          return Effect.flatMap(
            Effect.promise(() => import("../../agent/AgentAnthropic.js")),
            (kind) =>
              Effect.flatMap(http, (context) => Effect.provide(kind.make(definition.options), context))
          )
        case "command":
          return Effect.flatMap(
            Effect.promise(() => import("../../agent/AgentCommand.js")),
            (kind) =>
              Effect.flatMap(processes, (context) => Effect.provide(kind.make(definition.options), context))
          )
        case "acp":
          return Effect.flatMap(
            Effect.promise(() => import("../../agent/AgentAcp.js")),
            (kind) =>
              Effect.flatMap(processes, (context) => Effect.provide(kind.make(definition.options), context))
          )
      }
    }
    return Object.fromEntries(
      [...definitions].map(([id, definition]) => [
        id,
        Effect.map(kindOf(definition), AgentPolicy.apply(definition.policy))
      ])
    )
  })

/** The agents of a gateway. */
export const layer = (agents: Agents): Layer.Layer<AgentRunner, AgentError, FileSystem.FileSystem> =>
  Layer.unwrapEffect(Effect.map(make(agents), layerAgents))
