/**
 * The HTTP client on Node, as Effect's platform names it: whoever asks a model knows no `http`.
 *
 * It is Node's own client and not undici's: when a request is interrupted while its connection is still being made (a TLS
 * handshake that stalls), Node's closes the socket, and undici's keeps it for up to 10 s. It has no time limits of its own
 * and follows no redirects.
 */
import type { HttpClient } from "@effect/platform"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Layer } from "effect"

/** Connections that are idle after a whole answer are used again. */
export const layer: Layer.Layer<HttpClient.HttpClient> = Layer.provide(
  NodeHttpClient.layerWithoutAgent,
  NodeHttpClient.makeAgentLayer({ keepAlive: true })
)
