/** Dispatch: from a request to its reply. Decodes parameters once, checks scopes, and keeps defects in their room. */
import { Cause, Context, Effect, Either, Layer, Option, type Schema } from "effect"
import type { AgentRunner } from "../agent/AgentRunner.js"
import * as Principal from "../auth/Principal.js"
import { MissingScope, UnknownMethod } from "../domain/RequestError.js"
import type { EventHub } from "../event/EventHub.js"
import type { GatewayConfig } from "../GatewayConfig.js"
import type { Scope } from "../protocol/Connect.js"
import * as ErrorMap from "../protocol/ErrorMap.js"
import type { Reply } from "../protocol/Frame.js"
import * as Method from "../protocol/Method.js"
import * as Params from "../protocol/Params.js"
import type { Permissions } from "../run/Permissions.js"
import type { RunRegistry } from "../run/RunRegistry.js"
import type { SessionStore } from "../session/SessionStore.js"
import type { Boot } from "./Boot.js"
import type { Caller, Handlers } from "./Handler.js"
import type { Identity } from "./Handshake.js"
import * as AgentMethods from "./methods/Agents.js"
import * as ChatMethods from "./methods/Chat.js"
import * as SessionMethods from "./methods/Sessions.js"
import * as SessionChangeMethods from "./methods/SessionChanges.js"
import * as SystemMethods from "./methods/System.js"
import type { Presence } from "./Presence.js"

export interface DispatchShape {
  /** Answers a request. Never fails: every error is a reply. */
  readonly dispatch: (method: string, params: unknown, identity: Identity) => Effect.Effect<Reply>
}

export class Dispatch extends Context.Tag("colloquy/Dispatch")<Dispatch, DispatchShape>() {}

/** A method with everything bound but the request. */
interface Bound {
  readonly scope: Scope
  readonly call: (params: unknown, caller: Caller) => Effect.Effect<Reply, ErrorMap.GatewayError>
}

const bind = <P, PI>(
  name: Method.MethodName,
  contract: { readonly scope: Scope; readonly params: Schema.Schema<P, PI> },
  handler: (params: P, caller: Caller) => Effect.Effect<Reply, ErrorMap.GatewayError>
): Bound => {
  const decode = Params.decoder(name, contract.params)
  return {
    scope: contract.scope,
    call: (params, caller) => {
      const decoded = decode(params ?? {})
      return Either.isLeft(decoded) ? Effect.fail(decoded.left) : handler(decoded.right, caller)
    }
  }
}

const bindAll = (handlers: Handlers): { readonly [M in Method.MethodName]: Bound } => ({
  "chat.history": bind("chat.history", Method.methods["chat.history"], handlers["chat.history"]),
  "chat.image": bind("chat.image", Method.methods["chat.image"], handlers["chat.image"]),
  "chat.send": bind("chat.send", Method.methods["chat.send"], handlers["chat.send"]),
  "chat.abort": bind("chat.abort", Method.methods["chat.abort"], handlers["chat.abort"]),
  "chat.inject": bind("chat.inject", Method.methods["chat.inject"], handlers["chat.inject"]),
  "sessions.list": bind("sessions.list", Method.methods["sessions.list"], handlers["sessions.list"]),
  "sessions.preview": bind(
    "sessions.preview",
    Method.methods["sessions.preview"],
    handlers["sessions.preview"]
  ),
  "sessions.resolve": bind(
    "sessions.resolve",
    Method.methods["sessions.resolve"],
    handlers["sessions.resolve"]
  ),
  "sessions.patch": bind("sessions.patch", Method.methods["sessions.patch"], handlers["sessions.patch"]),
  "sessions.reset": bind("sessions.reset", Method.methods["sessions.reset"], handlers["sessions.reset"]),
  "sessions.delete": bind("sessions.delete", Method.methods["sessions.delete"], handlers["sessions.delete"]),
  "permission.list": bind("permission.list", Method.methods["permission.list"], handlers["permission.list"]),
  "permission.resolve": bind(
    "permission.resolve",
    Method.methods["permission.resolve"],
    handlers["permission.resolve"]
  ),
  "agents.list": bind("agents.list", Method.methods["agents.list"], handlers["agents.list"]),
  "models.list": bind("models.list", Method.methods["models.list"], handlers["models.list"]),
  "runs.list": bind("runs.list", Method.methods["runs.list"], handlers["runs.list"]),
  "system-presence": bind("system-presence", Method.methods["system-presence"], handlers["system-presence"]),
  health: bind("health", Method.methods.health, handlers.health),
  status: bind("status", Method.methods.status, handlers.status)
})

const make = Effect.gen(function* () {
  const bound = bindAll({
    ...(yield* ChatMethods.make),
    ...(yield* AgentMethods.make),
    ...(yield* SessionMethods.make),
    ...(yield* SessionChangeMethods.make),
    ...(yield* SystemMethods.make)
  })

  const dispatch = (name: string, params: unknown, identity: Identity): Effect.Effect<Reply> => {
    const { version } = identity.view
    const refuse = (error: ErrorMap.GatewayError): Reply => ({
      ok: false,
      error: ErrorMap.toWire(error, version)
    })
    if (!Method.isMethodName(name)) {
      return Effect.succeed(refuse(new UnknownMethod({ method: name.slice(0, 64) })))
    }
    const method = bound[name]
    if (!Principal.allows(identity.scopes, method.scope)) {
      return Effect.succeed(refuse(new MissingScope({ scope: method.scope })))
    }
    return Effect.suspend(() =>
      method.call(params, { principal: identity.login.principal, scopes: identity.scopes, version })
    ).pipe(
      Effect.catchAllCause((cause) =>
        Option.match(Cause.failureOption(cause), {
          onSome: (error) => Effect.succeed(refuse(error)),
          onNone: () =>
            Effect.as(
              Effect.logError("a request's handler died", cause).pipe(Effect.annotateLogs({ method: name })),
              { ok: false as const, error: ErrorMap.internal }
            )
        })
      )
    )
  }
  return { dispatch }
})

export const layer: Layer.Layer<
  Dispatch,
  never,
  GatewayConfig | SessionStore | RunRegistry | AgentRunner | Permissions | EventHub | Boot | Presence
> = Layer.effect(Dispatch, make)
