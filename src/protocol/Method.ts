/**
 * The methods: name, scope, parameters, result. The one list from which handlers are typed, requests decoded,
 * `hello-ok.features.methods` filled and the reference page written.
 */
import { Schema } from "effect"
import * as Agents from "./Agents.js"
import * as Chat from "./Chat.js"
import { ConnectParams, Health, HelloOk, type Scope } from "./Connect.js"
import * as Permission from "./Permission.js"
import * as Sessions from "./Sessions.js"
import * as System from "./System.js"

/** One method of the wire. */
export interface Contract<Params, ParamsIn, Result, ResultIn> {
  /** The scope that a principal needs. */
  readonly scope: Scope
  readonly summary: string
  readonly params: Schema.Schema<Params, ParamsIn>
  readonly result: Schema.Schema<Result, ResultIn>
}

const contract = <P, PI, R, RI>(options: Contract<P, PI, R, RI>): Contract<P, PI, R, RI> => options

/** An object, whatever is in it. */
const NoParams = Schema.Record({ key: Schema.String, value: Schema.Unknown }).annotations({
  description: "an object"
})

export const methods = {
  "chat.history": contract({
    scope: "operator.read",
    summary: "The newest messages of a session, oldest first.",
    params: Chat.HistoryParams,
    result: Chat.HistoryResult
  }),
  "chat.image": contract({
    scope: "operator.read",
    summary:
      "An image of a session's history, whole. `INVALID_REQUEST` with `details.code` `UNKNOWN_IMAGE`: no message of the session has it.",
    params: Chat.ImageParams,
    result: Chat.ImageResult
  }),
  "chat.send": contract({
    scope: "operator.write",
    summary:
      "Sends a message to a session's agent. Answers as soon as the message is durable; the answer comes as `chat` events.",
    params: Chat.SendParams,
    result: Chat.SendResult
  }),
  "chat.abort": contract({
    scope: "operator.write",
    summary: "Aborts one run, or all runs of a session.",
    params: Chat.AbortParams,
    result: Chat.AbortResult
  }),
  "chat.inject": contract({
    scope: "operator.write",
    summary: "Appends an assistant message to a session and broadcasts it, without calling an agent.",
    params: Chat.InjectParams,
    result: Chat.InjectResult
  }),
  "sessions.list": contract({
    scope: "operator.read",
    summary: "The sessions, the most recently used one first.",
    params: Sessions.ListParams,
    result: Sessions.ListResult
  }),
  "sessions.preview": contract({
    scope: "operator.read",
    summary: "The newest messages of some sessions, shortened.",
    params: Sessions.PreviewParams,
    result: Sessions.PreviewResult
  }),
  "sessions.resolve": contract({
    scope: "operator.read",
    summary: "The key of a session that is named by its key, its id or its label.",
    params: Sessions.ResolveParams,
    result: Sessions.ResolveResult
  }),
  "sessions.patch": contract({
    scope: "operator.write",
    summary: "Sets fields of a session, making it if it is not there. Durable when it is answered.",
    params: Sessions.PatchParams,
    result: Sessions.PatchResult
  }),
  "sessions.reset": contract({
    scope: "operator.write",
    summary:
      "Begins a session anew, with an empty transcript; its runs are aborted first. The old transcript is kept. Durable when it is answered.",
    params: Sessions.ResetParams,
    result: Sessions.ResetResult
  }),
  "sessions.delete": contract({
    scope: "operator.write",
    summary:
      "Deletes a session, but not the main one; its runs are aborted first. The transcript is kept under another name. Durable when it is answered.",
    params: Sessions.DeleteParams,
    result: Sessions.DeleteResult
  }),
  "permission.list": contract({
    scope: "operator.read",
    summary: "The questions of agents that wait for an answer, oldest first.",
    params: Permission.ListParams,
    result: Permission.ListResult
  }),
  "permission.resolve": contract({
    scope: "operator.write",
    summary: "Answers the question of an agent. The first answer counts.",
    params: Permission.ResolveParams,
    result: Permission.ResolveResult
  }),
  "agents.list": contract({
    scope: "operator.read",
    summary: "The agents that there are; the agent id in a session key chooses.",
    params: NoParams,
    result: Agents.AgentsResult
  }),
  "models.list": contract({
    scope: "operator.read",
    summary: "The models of the agents.",
    params: NoParams,
    result: Agents.ModelsResult
  }),
  "runs.list": contract({
    scope: "operator.read",
    summary: "The runs that are not over, of the sessions that the principal may see, or of one.",
    params: System.RunsParams,
    result: System.RunsResult
  }),
  "system-presence": contract({
    scope: "operator.read",
    summary:
      "The connections that have logged in: those of the principal; all of them with `operator.admin` and all sessions.",
    params: NoParams,
    result: System.PresenceResult
  }),
  health: contract({
    scope: "operator.read",
    summary: "Is the gateway well?",
    params: NoParams,
    result: Schema.Struct({
      ...Health.fields,
      defaultAgentId: Schema.NonEmptyString,
      /** Absent when the store can't be read. */
      sessions: Schema.optionalWith(Schema.Struct({ count: Schema.Number }), { exact: true }),
      /** What is wrong, when `ok` is false. */
      problems: Schema.optionalWith(Schema.Array(Schema.String), { exact: true })
    })
  }),
  status: contract({
    scope: "operator.read",
    summary: "What the gateway is and what it is doing.",
    params: NoParams,
    result: Schema.Struct({
      version: Schema.String,
      /** Milliseconds. */
      uptimeMs: Schema.Number,
      connections: Schema.Number,
      runs: Schema.Struct({ active: Schema.Number, queued: Schema.Number, handedOff: Schema.Number }),
      sessions: Schema.Struct({ count: Schema.Number }),
      agents: Schema.Struct({ defaultId: Schema.String, ids: Schema.Array(Schema.String) })
    })
  })
} as const

export type MethodName = keyof typeof methods
export type ParamsOf<M extends MethodName> = Schema.Schema.Type<(typeof methods)[M]["params"]>
export type ResultOf<M extends MethodName> = Schema.Schema.Type<(typeof methods)[M]["result"]>

/** `connect` is no method like the others: it is the handshake, and only the first request. */
export const connect = { params: ConnectParams, result: HelloOk } as const

export const names: ReadonlyArray<MethodName> = Object.keys(methods).filter(isMethodName)

/** Is this one of ours? Safe for names like `__proto__`. */
export function isMethodName(name: string): name is MethodName {
  return Object.hasOwn(methods, name)
}
