/** ModelAgent: an agent that asks a model's API, whichever it is. What differs between providers is a `Dialect`. */
import type { HttpClient } from "@effect/platform"
import { Effect, Layer, Option, Scope, Stream } from "effect"
import type { AgentAbout } from "../../domain/AgentAbout.js"
import type { AgentEvent } from "../../domain/AgentEvent.js"
import { type Agent, type AgentError, type AgentRequest, AgentRunner } from "../AgentRunner.js"
import type { Dialect } from "./Dialect.js"
import * as ModelAnswer from "./ModelAnswer.js"
import * as ModelCheck from "./ModelCheck.js"
import * as ModelClient from "./ModelClient.js"
import type { ModelOptions } from "./ModelOptions.js"

export const make = (
  dialect: Dialect,
  options: ModelOptions
): Effect.Effect<Agent, never, HttpClient.HttpClient> =>
  Effect.map(ModelClient.make(dialect, options), (client) => ({
    about: aboutOf(dialect, options),
    run: (request) => answering(open(dialect, options, client, request)),
    check: ModelCheck.make(dialect, options, client)
  }))

export const layer = (
  dialect: Dialect,
  options: ModelOptions
): Layer.Layer<AgentRunner, never, HttpClient.HttpClient> =>
  Layer.effect(
    AgentRunner,
    Effect.map(make(dialect, options), ({ about, run }) => ({ run, agents: about }))
  )

const aboutOf = (dialect: Dialect, options: ModelOptions): AgentAbout => ({
  kind: dialect.kind,
  images: options.images ?? true,
  model: {
    id: options.model,
    provider: options.provider ?? dialect.kind,
    ...(options.contextWindow === undefined ? {} : { contextWindow: options.contextWindow }),
    ...(options.reasoning === undefined ? {} : { reasoning: options.reasoning })
  },
  ...(options.name === undefined ? {} : { name: options.name }),
  ...(options.runTimeout === undefined ? {} : { runTimeout: options.runTimeout }),
  ...(options.maxConcurrentRuns === undefined ? {} : { maxConcurrentRuns: options.maxConcurrentRuns })
})

/** The answer as a stream that is opened when it is first pulled, by an effect that can be interrupted. */
const answering = (
  open: Effect.Effect<ModelAnswer.Pull, AgentError, Scope.Scope>
): Stream.Stream<AgentEvent, AgentError> =>
  Stream.fromPull(
    Effect.map(Effect.scope, (scope) => {
      let opened: ModelAnswer.Pull | undefined
      const first = open.pipe(
        Scope.extend(scope),
        Effect.mapError(Option.some),
        Effect.flatMap((pull) => {
          opened = pull
          return pull
        })
      )
      return Effect.suspend(() => opened ?? first)
    })
  )

const open = (
  dialect: Dialect,
  options: ModelOptions,
  client: ModelClient.ModelClient,
  request: AgentRequest
): Effect.Effect<ModelAnswer.Pull, AgentError, Scope.Scope> =>
  Effect.gen(function* () {
    const thinking = request.thinking ?? options.thinking
    if (thinking !== undefined && thinking !== "off" && dialect.levels?.has(thinking) === false)
      yield* Effect.logDebug(`this kind of agent knows no level of thinking "${thinking}": none is asked for`)
    const messages = yield* request.conversation({ ...options.history, images: options.images ?? true })
    return yield* ModelAnswer.open(dialect, client, options, { messages, thinking })
  })
