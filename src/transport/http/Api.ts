/** Api: what there is over HTTP, as `HttpApi` describes it: from it the routes are made, and the OpenAPI document. */
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as OpenApi from "@effect/platform/OpenApi"
import { Schema } from "effect"
import { version } from "../../domain/Product.js"
import * as OpenAi from "./OpenAi.js"

const PlainText = HttpApiSchema.Text({ contentType: "text/plain" })

const Readiness = Schema.Struct({ ready: Schema.Boolean, problems: Schema.Array(Schema.String) })

/** Whether it lives, and whether it can serve. No login. */
const health = HttpApiGroup.make("health", { topLevel: true })
  .add(
    HttpApiEndpoint.get("healthz")`/healthz`
      .addSuccess(PlainText)
      .annotate(OpenApi.Description, "The process answers.")
  )
  .add(
    HttpApiEndpoint.get("readyz")`/readyz`
      .addSuccess(Readiness)
      .addError(Readiness, { status: 503 })
      .annotate(
        OpenApi.Description,
        "Messages can be accepted: the disk takes them, and the gateway is not stopping."
      )
  )

const openai = HttpApiGroup.make("openai", { topLevel: true })
  .add(
    HttpApiEndpoint.post("createChatCompletion")`/v1/chat/completions`
      .setHeaders(
        Schema.Struct({
          /** Which conversation: a session's key. */
          "x-session-key": Schema.optional(Schema.String),
          /** The same key again is the same run, and gets the same answer. */
          "idempotency-key": Schema.optional(Schema.String)
        })
      )
      .setPayload(OpenAi.CompletionRequest)
      .addSuccess(OpenAi.Completion)
      .addError(OpenAi.ErrorBody, { status: 400 })
      .addError(OpenAi.ErrorBody, { status: 401 })
      .addError(OpenAi.ErrorBody, { status: 403 })
      .addError(OpenAi.ErrorBody, { status: 404 })
      .addError(OpenAi.ErrorBody, { status: 409 })
      .addError(OpenAi.ErrorBody, { status: 429 })
      .addError(OpenAi.ErrorBody, { status: 503 })
      .annotate(
        OpenApi.Description,
        "A message to an agent, and its answer; with `stream`, as server-sent events that end with `[DONE]`. Closing the connection aborts the run."
      )
  )
  .add(
    HttpApiEndpoint.get("listModels")`/v1/models`
      .addSuccess(OpenAi.ModelList)
      .addError(OpenAi.ErrorBody, { status: 401 })
      .annotate(OpenApi.Description, "The agents, as models.")
  )
  .add(
    HttpApiEndpoint.get("retrieveModel")`/v1/models/${HttpApiSchema.param("model", Schema.String)}`
      .addSuccess(OpenAi.Model)
      .addError(OpenAi.ErrorBody, { status: 404 })
  )

/** What the link of `colloquy serve` brings. */
export const LoginRequest = Schema.Struct({
  code: Schema.String.annotations({ description: "the code of the link" })
})

const login = HttpApiGroup.make("login", { topLevel: true }).add(
  HttpApiEndpoint.post("login")`/login`
    .setPayload(LoginRequest)
    .addSuccess(Schema.Struct({ token: Schema.String }))
    .addError(OpenAi.ErrorBody, { status: 401 })
    .annotate(
      OpenApi.Description,
      "Gives the owner's token for the one-time code of the link that the gateway has shown."
    )
)

const docs = HttpApiGroup.make("docs", { topLevel: true })
  .add(HttpApiEndpoint.get("docs")`/docs`.addSuccess(HttpApiSchema.Text({ contentType: "text/html" })))
  .add(HttpApiEndpoint.get("openapi")`/docs/openapi.json`.addSuccess(Schema.Unknown))

/** The whole of it. */
export const api = HttpApi.make("colloquy")
  .add(health)
  .add(openai)
  .add(login)
  .add(docs)
  .annotate(OpenApi.Title, "Colloquy")
  .annotate(OpenApi.Version, version)
  .annotate(
    OpenApi.Description,
    "A gateway between chat clients and AI agents. What is under /v1 asks for a bearer token."
  )
