/** HttpFront: what a plain HTTP request meets: the page, the API, or a refusal. */
import type * as Http from "node:http"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import { Deferred, Effect, Runtime, type Scope } from "effect"
import type { LoginLink } from "../../auth/LoginLink.js"
import type { GatewayConfig } from "../../GatewayConfig.js"
import type { Visitors } from "../../gateway/Visitors.js"
import * as HttpServer from "../HttpServer.js"
import * as SameOrigin from "../SameOrigin.js"
import * as StaticFiles from "./StaticFiles.js"
import type { Peer } from "../../domain/Peer.js"

export interface FrontOptions {
  readonly rules: SameOrigin.OriginRules
  readonly isForwardedTls: (request: Http.IncomingMessage) => boolean
  readonly peerOf: (request: Http.IncomingMessage) => Peer
  /** Whoever it is has logged in. */
  readonly onEntered: (request: Http.IncomingMessage) => void
  /** Where the files of the page are. */
  readonly page: string | undefined
  readonly loginLink: LoginLink | undefined
}

/** What is not the page's. */
const isApi = (path: string): boolean =>
  /^\/(healthz|readyz|login|docs)$/.test(path) || path.startsWith("/v1/") || path.startsWith("/docs/")

const allowedMethods = "GET, POST, OPTIONS"
const allowedHeaders = "Authorization, Content-Type, Idempotency-Key, X-Session-Key, Last-Event-ID"

/** Answers requests at once; what takes time to load is loaded behind the start. */
export const make = (
  options: FrontOptions
): Effect.Effect<
  Http.RequestListener,
  never,
  Visitors | GatewayConfig | FileSystem.FileSystem | Path.Path | Scope.Scope
> =>
  Effect.gen(function* () {
    const runtime = yield* Effect.runtime<FileSystem.FileSystem | Path.Path>()
    const { isForwardedTls, loginLink, onEntered, page, peerOf, rules } = options
    const files = yield* Deferred.make<StaticFiles.StaticFiles>()
    const api = yield* Deferred.make<Http.RequestListener>()
    yield* Effect.forkScoped(
      Effect.intoDeferred(
        page === undefined ? Effect.succeed(StaticFiles.none) : StaticFiles.load(page),
        files
      )
    )
    yield* Effect.forkScoped(
      Effect.promise(() => import("./ApiServer.js")).pipe(
        Effect.flatMap(({ listener }) => listener({ peerOf, onEntered, loginLink })),
        // It ends with this scope and not with the fiber that has made it.
        Effect.flatMap((made) => Deferred.succeed(api, made))
      )
    )
    /** Waits for what is being loaded. */
    const withLoaded = <A>(what: Deferred.Deferred<A>, use: (value: A) => void): void => {
      Runtime.runCallback(runtime)(Deferred.await(what), {
        onExit: (exit) => {
          if (exit._tag === "Success") use(exit.value)
        }
      })
    }

    return (request, response) => {
      const refusal = SameOrigin.refuseHost(request, rules)
      if (refusal !== undefined) {
        HttpServer.respond(response, refusal.status, refusal.text, { Connection: "close" })
        return
      }
      const path = (request.url ?? "/").split("?")[0] ?? "/"
      if (isApi(path)) {
        const foreign = SameOrigin.refuseOrigin(request, rules, isForwardedTls(request))
        if (foreign !== undefined) {
          HttpServer.respond(response, foreign.status, foreign.text, { Connection: "close" })
          return
        }
        const { origin } = request.headers
        if (origin !== undefined) {
          response.setHeader("Access-Control-Allow-Origin", origin)
          response.setHeader("Vary", "Origin")
        }
        if (request.method === "OPTIONS") {
          HttpServer.respond(response, 200, "", {
            Allow: allowedMethods,
            "Access-Control-Allow-Methods": allowedMethods,
            "Access-Control-Allow-Headers": allowedHeaders,
            "Access-Control-Max-Age": "600"
          })
          return
        }
        withLoaded(api, (listener) => listener(request, response))
      } else if (request.method !== "GET" && request.method !== "HEAD") {
        // What it wants to send is not read.
        HttpServer.respond(response, 405, "method not allowed", { Allow: "GET, HEAD", Connection: "close" })
      } else {
        withLoaded(files, (all) => {
          if (all.serve(path, request, response)) return
          if (path === "/") {
            HttpServer.respond(
              response,
              200,
              "This is a Colloquy gateway. Connect a chat client by WebSocket to this address."
            )
          } else HttpServer.respond(response, 404, "not found")
        })
      }
    }
  })
