/** ApiServer: the routes of `Api` and what answers them. Loaded behind the start: what it takes to load is not waited for. */
import type * as Http from "node:http"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerError from "@effect/platform/HttpServerError"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as OpenApi from "@effect/platform/OpenApi"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Cause, type Context, Effect, Layer, Option, Redacted, Schema, type Scope } from "effect"
import type { LoginLink } from "../../auth/LoginLink.js"
import type { GatewayConfig } from "../../GatewayConfig.js"
import { Visitors } from "../../gateway/Visitors.js"
import * as Agents from "../../protocol/Agents.js"
import { securityHeaders } from "../SecurityHeaders.js"
import { api, LoginRequest } from "./Api.js"
import * as Bearer from "./Bearer.js"
import * as Body from "./Body.js"
import * as Completions from "./Completions.js"
import * as DocsPage from "./DocsPage.js"
import { HttpFailure, ofWire, respond } from "./HttpFailure.js"
import * as OpenAi from "./OpenAi.js"
import * as SessionEvents from "./SessionEvents.js"

export type Requirements = Visitors | GatewayConfig

export interface ApiOptions extends Context.Tag.Service<typeof Bearer.Origins> {
  readonly loginLink: LoginLink | undefined
}

const json = (value: unknown, status = 200): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.unsafeJson(value, { status, headers: securityHeaders })

const health = HttpApiBuilder.group(api, "health", (handlers) =>
  handlers
    .handleRaw("healthz", () => Effect.succeed(HttpServerResponse.text("ok\n", { headers: securityHeaders })))
    .handleRaw("readyz", () =>
      Effect.flatMap(Visitors, ({ problems }) =>
        Effect.map(problems, (found) =>
          json({ ready: found.length === 0, problems: found }, found.length === 0 ? 200 : 503)
        )
      )
    )
)

const isAgents = Schema.is(Agents.AgentsResult)

/** The agents that the bearer may see, the default one under both of its names. */
const models = (request: HttpServerRequest.HttpServerRequest) =>
  Effect.gen(function* () {
    const visitor = yield* Bearer.enter(request, 0)
    const reply = yield* visitor.request("agents.list", {})
    if (!reply.ok) return yield* ofWire(reply.error)
    const rows = isAgents(reply.payload) ? reply.payload.agents : []
    const defaultId = isAgents(reply.payload) ? reply.payload.defaultId : ""
    const hasDefault = rows.some(({ id }) => id === defaultId)
    return [...(hasDefault ? ["colloquy"] : []), ...rows.map(({ id }) => OpenAi.modelOf(id))].map((id) => ({
      id,
      object: "model",
      created: 0,
      owned_by: "colloquy"
    }))
  })

const answered = <R>(
  effect: Effect.Effect<HttpServerResponse.HttpServerResponse, HttpFailure, R>
): Effect.Effect<HttpServerResponse.HttpServerResponse, never, R> =>
  Effect.catchTag(effect, "HttpFailure", (failure) => Effect.succeed(respond(failure)))

const openai = HttpApiBuilder.group(api, "openai", (handlers) =>
  handlers
    .handleRaw("createChatCompletion", ({ request }) => Completions.handle(request))
    .handleRaw("listModels", ({ request }) =>
      answered(Effect.map(models(request), (data) => json({ object: "list", data })))
    )
    .handleRaw("retrieveModel", ({ path, request }) =>
      answered(
        Effect.flatMap(models(request), (all) => {
          const found = all.find(({ id }) => id === path.model)
          return found === undefined
            ? new HttpFailure({
                status: 404,
                message: "there is no such model",
                code: "model_not_found",
                param: "model"
              })
            : Effect.succeed(json(found))
        })
      )
    )
)

const sessions = HttpApiBuilder.group(api, "sessions", (handlers) =>
  handlers.handleRaw("sessionEvents", ({ path, request }) =>
    answered(SessionEvents.handle(request, path.key))
  )
)

/** Gives the owner's token for the code of a link. */
const login = (link: LoginLink | undefined) =>
  HttpApiBuilder.group(api, "login", (handlers) =>
    handlers.handleRaw("login", ({ request }) =>
      answered(
        Effect.gen(function* () {
          const { code } = yield* Body.read(request, LoginRequest)
          const token = link === undefined ? Option.none() : yield* link.redeem(code)
          if (Option.isNone(token)) {
            return yield* new HttpFailure({
              status: 401,
              message: "the link was used before, or is too old",
              code: "login_code_invalid",
              param: "code"
            })
          }
          return json({ token: Redacted.value(token.value) })
        })
      )
    )
  )

const document = OpenApi.fromApi(api)

const docs = HttpApiBuilder.group(api, "docs", (handlers) =>
  handlers
    .handleRaw("docs", () =>
      Effect.succeed(
        HttpServerResponse.text(DocsPage.render(document), {
          contentType: "text/html; charset=utf-8",
          headers: { ...securityHeaders, "Content-Security-Policy": DocsPage.policy }
        })
      )
    )
    .handleRaw("openapi", () => Effect.succeed(json(document)))
)

/** Answers the requests whose paths are in the document; any other with 404. */
export const listener = (
  options: ApiOptions
): Effect.Effect<Http.RequestListener, never, Requirements | Scope.Scope> =>
  Effect.gen(function* () {
    const services = yield* Layer.build(
      Layer.mergeAll(
        HttpApiBuilder.api(api).pipe(
          Layer.provide([health, openai, sessions, docs, login(options.loginLink)])
        ),
        HttpApiBuilder.Router.Live,
        HttpApiBuilder.Middleware.layer,
        NodeHttpServer.layerContext
      )
    )
    const app = yield* Effect.provide(HttpApiBuilder.httpApp, services)
    // A path that is not there is a failure, whatever the type says.
    const routes = Effect.catchAllCause(app, (cause) => {
      if (Cause.isInterruptedOnly(cause)) return Effect.failCause(cause)
      const error = Cause.squash(cause)
      return error instanceof HttpServerError.RouteNotFound
        ? Effect.succeed(notHere(error.request))
        : Effect.as(Effect.logError("a request's handler died", cause), respond(internal))
    })
    return yield* Effect.provide(NodeHttpServer.makeHandler(routes), services)
  }).pipe(Effect.provideService(Bearer.Origins, options))

/** No path of ours, or not with this method. */
const notHere = ({
  method,
  url
}: HttpServerRequest.HttpServerRequest): HttpServerResponse.HttpServerResponse => {
  const [path = ""] = url.split("?", 1)
  const allowed = methodsAt(path)
  return allowed.length === 0
    ? respond(notFound)
    : HttpServerResponse.setHeader(
        respond(
          new HttpFailure({
            status: 405,
            message: `${method} is not allowed here; expected ${allowed.join(" or ")}`,
            code: "method_not_allowed",
            param: null
          })
        ),
        "Allow",
        allowed.join(", ")
      )
}

/** With which methods the document has a path; a segment in braces is any. */
const methodsAt = (path: string): ReadonlyArray<string> =>
  Object.entries(document.paths).flatMap(([template, item]) => {
    const segments = path.split("/")
    const wanted = template.split("/")
    const isThis =
      segments.length === wanted.length &&
      wanted.every((one, index) => one.startsWith("{") || one === segments[index])
    return isThis ? Object.keys(item).map((method) => method.toUpperCase()) : []
  })

const notFound = new HttpFailure({
  status: 404,
  message: "there is nothing here",
  code: "not_found",
  param: null
})
const internal = new HttpFailure({ status: 500, message: "internal error", code: "internal", param: null })
