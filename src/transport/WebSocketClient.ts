/** The client's side of a WebSocket on Node, as Effect's platform names it: a client asks for this and knows no `ws`. */
import type { Socket } from "@effect/platform"
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import type { Layer } from "effect"

/** Uses `ws`, or Node's own WebSocket where it has one. */
export const layer: Layer.Layer<Socket.WebSocketConstructor> = NodeSocket.layerWebSocketConstructor
