/** The handlers of `agents.list`, `models.list` and `permission.*`. */
import { Effect } from "effect"
import { AgentRunner, agentsOf } from "../../agent/AgentRunner.js"
import type { AgentAbout, ModelAbout } from "../../domain/AgentAbout.js"
import * as SessionKey from "../../domain/SessionKey.js"
import { GatewayConfig } from "../../GatewayConfig.js"
import * as EventCodec from "../../protocol/EventCodec.js"
import { Permissions } from "../../run/Permissions.js"
import { type Handlers, ok } from "../Handler.js"
import { sessionScope } from "../Handshake.js"
import * as Visible from "../Visible.js"

/** An agent as it is listed. */
const rowOf = ({ images, kind, model, name }: AgentAbout) => ({
  ...(name === undefined ? {} : { name }),
  kind,
  ...(model === undefined ? {} : { model: model.id }),
  images
})

type AgentHandlers = Pick<Handlers, "agents.list" | "models.list" | "permission.list" | "permission.resolve">

export const make: Effect.Effect<AgentHandlers, never, GatewayConfig | AgentRunner | Permissions> =
  Effect.gen(function* () {
    const config = yield* GatewayConfig
    const permissions = yield* Permissions
    const agents = agentsOf(yield* AgentRunner, config.defaultAgentId)

    return {
      "agents.list": (_params, { principal }) =>
        Effect.succeed(
          ok({
            defaultId: config.defaultAgentId,
            mainKey: config.mainKey,
            scope: sessionScope,
            agents: [...Visible.agents(agents, config.defaultAgentId, principal)].map(([id, about]) => ({
              id,
              ...rowOf(about)
            }))
          })
        ),

      "models.list": (_params, { principal }) => {
        const models = new Map<string, ModelAbout>()
        for (const { model } of Visible.agents(agents, config.defaultAgentId, principal).values()) {
          if (model === undefined) continue
          const key = JSON.stringify([model.provider, model.id])
          models.set(key, models.get(key) ?? model)
        }
        return Effect.succeed(
          ok({ models: [...models.values()].map((model) => ({ ...model, name: model.name ?? model.id })) })
        )
      },

      "permission.list": Effect.fnUntraced(function* (params, { principal }) {
        const { sessionKey } = params
        const wanted = sessionKey === undefined ? undefined : yield* SessionKey.parse(sessionKey, config)
        const all = yield* permissions.list
        return ok({
          permissions: all
            .filter(
              ({ run }) =>
                principal.sessions.matches(run.sessionKey) &&
                (wanted === undefined || run.sessionKey === wanted)
            )
            .map(({ question, run }) => ({
              ...EventCodec.permission(run, question),
              ...(question.args === undefined ? {} : { args: question.args })
            }))
        })
      }),

      "permission.resolve": Effect.fnUntraced(function* ({ id, optionId }, { principal }) {
        const option = yield* permissions.answer(id, optionId, principal.sessions.matches)
        return ok({ ok: true as const, id, optionId: option.id })
      })
    }
  })
