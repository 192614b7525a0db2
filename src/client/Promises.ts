/** `colloquy/client/promise`: the client for those who use no Effect. The same client underneath, with the same promises kept. */
import * as Socket from "@effect/platform/Socket"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { AbortResult } from "../protocol/Chat.js"
import type * as Method from "../protocol/Method.js"
import * as Client from "./Client.js"
import type * as Run from "./Run.js"
import type * as RunState from "./RunState.js"
import type { ServerEvent } from "./ServerEvent.js"
import type * as Status from "./Status.js"

/** What all of them have: the browser's `WebSocket`, Node's, and the one of the package `ws`, whose types differ in the rest. */
export interface WebSocketLike {
  readonly readyState: number
  readonly close: (code?: number, reason?: string) => void
}

export interface ConnectOptions extends Omit<Client.ClientOptions, "token"> {
  readonly token?: string
  /** Where there is no global `WebSocket` (Node before 22): that of the package `ws`, for instance. */
  readonly WebSocket?: new (url: string, protocols?: string | Array<string>) => WebSocketLike
}

/** The parts of it that are used are the same in all of them. */
const isWebSocket = (socket: WebSocketLike): socket is globalThis.WebSocket =>
  "addEventListener" in socket && "send" in socket

/** A message that was sent, and its answer. Iterating it gives the pieces of the answer, and throws what `result` rejects with. */
export interface RunHandle extends AsyncIterable<Run.Piece> {
  /** The idempotency key. */
  readonly key: string
  readonly state: RunState.RunState
  /** Resolves when the message is durable. */
  readonly accepted: () => Promise<void>
  /** The whole answer; rejects with `RunFailed`, `RunAborted`, `SendRejected`, `Refused` or `ClientClosed`. */
  readonly result: () => Promise<RunState.Answered>
  readonly abort: () => Promise<AbortResult>
}

export interface ColloquyClient {
  readonly status: Status.Status
  /** Calls the listener with each status from now on, the present one first. Answers how to stop that. */
  readonly onStatus: (listener: (status: Status.Status) => void) => () => void
  /** Calls the listener with each event from now on. Answers how to stop that. */
  readonly onEvent: (listener: (event: ServerEvent) => void) => () => void
  /** Resolves when there is a connection; rejects with `Refused` or `ClientClosed`. */
  readonly opened: () => Promise<void>
  readonly call: <M extends Method.MethodName>(
    method: M,
    params: Method.ParamsOf<M>
  ) => Promise<Method.ResultOf<M>>
  /** Any method by name. */
  readonly request: (method: string, params?: unknown) => Promise<unknown>
  /** Puts a message into the outbox; rejects with `OutboxFull`. */
  readonly send: (message: Client.Message) => Promise<RunHandle>
  readonly retry: (key: string) => void
  readonly discard: (key: string) => boolean
  readonly reconnect: () => void
  /** Ends the connection. What waits in the outbox stays unsent, and what runs at the gateway goes on. */
  readonly close: () => Promise<void>
}

/** Begins to connect. */
export const connect = ({ WebSocket, token, ...options }: ConnectOptions): ColloquyClient => {
  const scope = Effect.runSync(Scope.make())
  const open = (url: string, protocols?: string | Array<string>): globalThis.WebSocket => {
    const socket =
      WebSocket === undefined ? new globalThis.WebSocket(url, protocols) : new WebSocket(url, protocols)
    if (isWebSocket(socket)) return socket
    throw new TypeError("WebSocket: expected a class of WebSockets")
  }
  const client = Effect.runSync(
    Client.make({ ...options, ...(token === undefined ? {} : { token: Redacted.make(token) }) }).pipe(
      Effect.provideService(Socket.WebSocketConstructor, open),
      Scope.extend(scope)
    )
  )
  /** Rejects with the typed error itself, not with a fiber's failure. */
  const run = <A, E>(effect: Effect.Effect<A, E>): Promise<A> =>
    Effect.runPromise(Effect.either(effect)).then((result) =>
      result._tag === "Right" ? result.right : Promise.reject(result.left)
    )
  const listen = <A>(stream: Stream.Stream<A>, listener: (value: A) => void): (() => void) => {
    const stop = Effect.runCallback(Stream.runForEach(stream, (value) => Effect.sync(() => listener(value))))
    return () => stop()
  }
  return {
    get status() {
      return Effect.runSync(client.status)
    },
    onStatus: (listener) => listen(client.statuses, listener),
    onEvent: (listener) => listen(client.events, listener),
    opened: () => run(Effect.asVoid(client.open)),
    call: (method, params) => run(client.call(method, params)),
    request: (method, params) => run(client.request(method, params)),
    send: (message) => run(Effect.map(client.send(message), handle(run))),
    retry: (key) => Effect.runSync(client.retry(key)),
    discard: (key) => Effect.runSync(client.discard(key)),
    reconnect: () => Effect.runSync(client.reconnect),
    close: () => run(Scope.close(scope, Exit.void))
  }
}

const handle =
  (run: <A, E>(effect: Effect.Effect<A, E>) => Promise<A>) =>
  (sent: Run.Run): RunHandle => ({
    key: sent.key,
    get state() {
      return Effect.runSync(sent.state)
    },
    accepted: () => run(sent.accepted),
    result: () => run(sent.result),
    abort: () => run(sent.abort),
    [Symbol.asyncIterator]: () => Stream.toAsyncIterable(sent.deltas)[Symbol.asyncIterator]()
  })
