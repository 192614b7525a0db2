/** The handlers of `sessions.*` that change a session. */
import { Effect, Option } from "effect"
import { AgentRunner, agentsOf } from "../../agent/AgentRunner.js"
import * as Principal from "../../auth/Principal.js"
import { SessionId } from "../../domain/Ids.js"
import { InvalidParams, MainSession, MissingScope } from "../../domain/RequestError.js"
import type { ChangeReason } from "../../domain/HubEvent.js"
import { UnknownAgent } from "../../domain/RunError.js"
import * as SessionKey from "../../domain/SessionKey.js"
import { EventHub } from "../../event/EventHub.js"
import { GatewayConfig } from "../../GatewayConfig.js"
import { typeName } from "../../protocol/Params.js"
import * as Wire from "../../protocol/Sessions.js"
import { RunRegistry } from "../../run/RunRegistry.js"
import { SessionStore } from "../../session/SessionStore.js"
import { fileName } from "../../session/StoreIndex.js"
import { type Handlers, ok } from "../Handler.js"
import * as NamedSession from "../NamedSession.js"
import * as SessionRow from "../SessionRow.js"
import * as Visible from "../Visible.js"

type ChangeHandlers = Pick<Handlers, "sessions.patch" | "sessions.reset" | "sessions.delete">

export const make: Effect.Effect<
  ChangeHandlers,
  never,
  GatewayConfig | SessionStore | RunRegistry | AgentRunner | EventHub
> = Effect.gen(function* () {
  const config = yield* GatewayConfig
  const store = yield* SessionStore
  const registry = yield* RunRegistry
  const hub = yield* EventHub
  const agents = agentsOf(yield* AgentRunner, config.defaultAgentId)

  /** A session that is made for an agent that is not there could never be answered. */
  const agentOf = (sessionKey: SessionKey.SessionKey, principal: Principal.Principal) => {
    const agentId = SessionKey.agentIdOf(sessionKey, config)
    const about = agents.get(agentId)
    return about === undefined
      ? Effect.fail(
          new UnknownAgent({
            agentId,
            known: [...Visible.agents(agents, config.defaultAgentId, principal).keys()]
          })
        )
      : Effect.succeed(about)
  }

  /** Does it, and once it is durable tells so, whatever becomes of the caller. */
  const telling = <A, E>(
    sessionKey: SessionKey.SessionKey,
    reason: ChangeReason,
    change: Effect.Effect<A, E>
  ): Effect.Effect<A, E> =>
    Effect.uninterruptible(
      Effect.tap(change, () => hub.publish({ _tag: "SessionChanged", sessionKey, reason }))
    )

  return {
    "sessions.patch": Effect.fnUntraced(function* (params, { principal, scopes }) {
      const sessionKey = yield* NamedSession.usableBy(principal, params, config)
      const { agentId: _, expectedSessionId, key: __, model, ...fields } = params
      for (const name of Object.keys(fields)) {
        if (!Object.hasOwn(Wire.patchFields, name))
          return yield* invalid("sessions.patch", name, "nothing: this gateway does not set it", fields[name])
      }
      // Whoever is kept from sending must not be able to let itself.
      if (fields.sendPolicy !== undefined && !Principal.allows(scopes, "operator.admin"))
        return yield* new MissingScope({ scope: "operator.admin" })
      const about = yield* agentOf(sessionKey, principal)
      const own =
        about.model === undefined ? [] : [about.model.id, `${about.model.provider}/${about.model.id}`]
      if (typeof model === "string" && !own.includes(model))
        return yield* invalid(
          "sessions.patch",
          "model",
          own[1] === undefined
            ? "null: the agent has no model"
            : `${own[1]}, the model of the agent, or null`,
          model
        )
      const update = store.update(
        sessionKey,
        Object.fromEntries(
          Object.entries(fields).map(([name, value]) => [name, value === null ? undefined : value])
        ),
        { expected: expectedSessionId === undefined ? undefined : SessionId(expectedSessionId) }
      )
      const entry = yield* telling(sessionKey, "patch", update)
      return ok({ ok: true as const, path: fileName, key: sessionKey, entry: SessionRow.entryOf(entry) })
    }),

    "sessions.reset": Effect.fnUntraced(function* (params, { principal }) {
      const sessionKey = yield* NamedSession.usableBy(principal, params, config)
      yield* agentOf(sessionKey, principal)
      const entry = yield* registry.alone(sessionKey, telling(sessionKey, "reset", store.reset(sessionKey)))
      return ok({ ok: true as const, path: fileName, key: sessionKey, entry: SessionRow.entryOf(entry) })
    }),

    "sessions.delete": Effect.fnUntraced(function* (params, { principal }) {
      const sessionKey = yield* NamedSession.keyOf(params, config)
      const { agentId: _, deleteTranscript = true, emitLifecycleHooks: __, key: ___, ...rest } = params
      const { expectedSessionId, ...others } = rest
      for (const [name, value] of Object.entries(others))
        return yield* invalid("sessions.delete", name, "nothing: this gateway can't check it", value)
      const answer = (deleted: boolean, archived: ReadonlyArray<string>) =>
        ok({ ok: true as const, key: sessionKey, deleted, archived })
      // Whose session it is not is told what there is of one that does not exist.
      if (!principal.sessions.matches(sessionKey)) return answer(false, [])
      if (sessionKey === SessionKey.main(config)) return yield* new MainSession({ sessionKey })
      if (Option.isNone(yield* store.get(sessionKey))) return answer(false, [])
      const removing = store.remove(sessionKey, {
        transcript: deleteTranscript ? "aside" : "leave",
        expected: expectedSessionId === undefined ? undefined : SessionId(expectedSessionId)
      })
      const { aside, removed } = yield* registry.alone(sessionKey, telling(sessionKey, "delete", removing))
      return answer(removed, aside === undefined ? [] : [aside])
    })
  }
})

const invalid = (method: string, path: string, expected: string, found: unknown) =>
  new InvalidParams({
    method,
    path: path.slice(0, 64),
    expected,
    found: typeof found === "string" ? "another string" : typeName(found)
  })
