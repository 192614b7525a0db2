/**
 * ModelClient: one model's API over HTTP. What it gives back is bound to the scope: when that closes, the connection of a
 * request under way is closed with it, in whatever state it is.
 */
import {
  HttpClient,
  HttpClientRequest,
  type HttpClientResponse,
  type HttpClientError
} from "@effect/platform"
import { Effect, Either, Option, Redacted, type Scope, Stream } from "effect"
import * as Product from "../../domain/Product.js"
import type { AgentError } from "../AgentRunner.js"
import type { Body, Dialect } from "./Dialect.js"
import * as ModelError from "./ModelError.js"
import type { ModelOptions } from "./ModelOptions.js"

export interface ModelClient {
  readonly site: ModelError.Site
  /**
   * Posts what `body` makes of what the server is known to refuse, and again if it refuses more that can be done without; the
   * response is one with status 200 that isn't something else than a stream of events.
   */
  readonly post: (
    path: string,
    body: (refused: ReadonlySet<string>) => Body
  ) => Effect.Effect<HttpClientResponse.HttpClientResponse, AgentError, Scope.Scope>
  /** Status and body, of which not more than some megabytes are read. */
  readonly get: (path: string, query?: string) => Effect.Effect<ModelError.Refusal, AgentError>
}

export const make = (
  dialect: Pick<Dialect, "headers" | "refusal">,
  options: ModelOptions
): Effect.Effect<ModelClient, never, HttpClient.HttpClient> =>
  Effect.map(HttpClient.HttpClient, (anyClient) => {
    // Ids of our traces are nothing to a provider.
    const client = anyClient.pipe(HttpClient.withTracerPropagation(false), HttpClient.withScope)
    const apiKey = Option.filter(options.apiKey, (key) => Redacted.value(key) !== "")
    const base = parseBaseUrl(options.baseUrl)
    const site: ModelError.Site = {
      baseUrl: Option.match(base, { onNone: () => options.baseUrl, onSome: shown }),
      model: options.model,
      apiKey,
      keyName: options.keyName
    }
    const refused = new Set<string>()

    const send = (
      path: string,
      query: string,
      method: (url: URL) => HttpClientRequest.HttpClientRequest
    ): Effect.Effect<HttpClientResponse.HttpClientResponse, AgentError, Scope.Scope> => {
      if (Option.isNone(base)) return Effect.fail(ModelError.badBaseUrl(options.baseUrl))
      // Node throws at such a header, which would be a defect.
      if (Option.exists(apiKey, (key) => !/^[\u0021-\u007e]+$/.test(Redacted.value(key))))
        return Effect.fail(ModelError.badKey(site))
      const request = method(below(base.value, path, query)).pipe(
        HttpClientRequest.setHeaders({
          "user-agent": `colloquy/${Product.version}`,
          ...dialect.headers(apiKey)
        })
      )
      return Effect.mapError(client.execute(request), (error: HttpClientError.HttpClientError) =>
        ModelError.unreachable(site, error)
      )
    }

    const postOnce = (
      path: string,
      body: Body
    ): Effect.Effect<
      Either.Either<HttpClientResponse.HttpClientResponse, ModelError.Refusal>,
      AgentError,
      Scope.Scope
    > =>
      Effect.gen(function* () {
        const response = yield* send(path, "", (url) =>
          HttpClientRequest.post(url).pipe(
            HttpClientRequest.accept("text/event-stream"),
            HttpClientRequest.bodyUnsafeJson(body)
          )
        )
        if (response.status !== 200) return Either.left(yield* refusal(response, refusalLimit))
        const contentType = response.headers["content-type"] ?? ""
        if (!/json|html|xml/i.test(contentType)) return Either.right(response)
        const { body: text } = yield* refusal(response, refusalLimit)
        return yield* ModelError.notAnEventStream(site, contentType, text)
      })

    return {
      site,
      post: (path, body) =>
        Effect.gen(function* () {
          while (true) {
            // What was known when it was sent: another run may have learned more since.
            const known = new Set(refused)
            const answer = yield* postOnce(path, body(known))
            if (Either.isRight(answer)) return answer.right
            const { left } = answer
            const more = left.status === 400 || left.status === 422 ? dialect.refusal(left.body) : undefined
            if (more === undefined || known.has(more))
              return yield* Effect.flip(ModelError.fromStatus(site, left))
            refused.add(more)
          }
        }),
      get: (path, query = "") =>
        send(path, query, (url) => HttpClientRequest.get(url)).pipe(
          Effect.flatMap((response) => refusal(response, listLimit)),
          Effect.scoped
        )
    }
  })

/** So many bytes of a body that isn't an answer are read. */
const refusalLimit = 64 * 1024
const listLimit = 8 * 1024 * 1024

/** What is there of a body, without waiting long for it: status and headers say the most. */
const refusal = (
  response: HttpClientResponse.HttpClientResponse,
  limit: number
): Effect.Effect<ModelError.Refusal> =>
  Effect.suspend(() => {
    const utf8 = new TextDecoder()
    let body = ""
    let size = 0
    return Stream.runForEachWhile(response.stream, (bytes) =>
      Effect.sync(() => {
        body += utf8.decode(bytes, { stream: true })
        size += bytes.length
        return size < limit
      })
    ).pipe(
      Effect.ignore,
      Effect.timeoutOption("5 seconds"),
      Effect.map(() => ({ status: response.status, headers: response.headers, body }))
    )
  })

const parseBaseUrl = (text: string): Option.Option<URL> => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  return url?.protocol === "http:" || url?.protocol === "https:" ? Option.some(url) : Option.none()
}

const pathOf = (base: URL): string => base.pathname.replace(/\/+$/, "")

/** For people: without user, password and query, which may hold secrets. */
const shown = (base: URL): string => `${base.origin}${pathOf(base)}`

const below = (base: URL, path: string, query: string): URL => {
  const url = new URL(base)
  url.pathname = `${pathOf(base)}${path}`
  url.hash = ""
  for (const [name, value] of new URLSearchParams(query)) url.searchParams.set(name, value)
  return url
}
