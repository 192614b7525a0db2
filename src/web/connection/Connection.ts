/** Connection: the client of `colloquy/client` as the page's gateway. The one place in the page where Effects are run. */
import * as Socket from "@effect/platform/Socket"
import { signal } from "@preact/signals"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Client from "../../client/Client.js"
import * as OutboxStore from "../../client/OutboxStore.js"
import type { Run } from "../../client/Run.js"
import type { Status } from "../../client/Status.js"
import type { Gateway, Outgoing, SentRun } from "./Gateway.js"

export interface ConnectionOptions {
  /** `ws://` or `wss://` */
  readonly url: string
  readonly token: string | undefined
  /** Where messages are kept that the gateway has not said to have: the tab's own storage. */
  readonly storage: OutboxStore.KeyValueStorage
  /** As the browser names the machine. */
  readonly platform: string
}

/** Begins to connect. */
export const connect = ({ platform, storage, token, url }: ConnectionOptions): Gateway => {
  const scope = Effect.runSync(Scope.make())
  const store = OutboxStore.storage(storage, "colloquy.outbox")
  // Read before the client begins to send, and so to forget, what is in it.
  const left = Effect.runSync(store.load)
  const client = Effect.runSync(
    Client.make({
      url,
      client: { id: "webchat", version: __COLLOQUY_VERSION__, platform, mode: "webchat" },
      outbox: store,
      ...(token === undefined ? {} : { token: Redacted.make(token) })
    }).pipe(
      Effect.provideService(Socket.WebSocketConstructor, (to, protocols) => new WebSocket(to, protocols)),
      Scope.extend(scope)
    )
  )
  const status = signal<Status>(Effect.runSync(client.status))

  /** Rejects with the typed error itself, not with a fiber's failure. */
  const run = async <A, E>(effect: Effect.Effect<A, E>): Promise<A> => {
    const result = await Effect.runPromise(Effect.either(effect))
    if (result._tag === "Right") return result.right
    throw result.left
  }
  const listen = <A, E>(stream: Stream.Stream<A, E>, listener: (value: A) => void): (() => void) => {
    const stop = Effect.runCallback(Stream.runForEach(stream, (value) => Effect.sync(() => listener(value))))
    return () => stop()
  }
  const sent = (of: Run, message: Outgoing): SentRun => ({
    key: of.key,
    message,
    onState: (listener) => void listen(of.states, listener),
    abort: () => run(Effect.asVoid(of.abort))
  })

  listen(client.statuses, (now) => {
    status.value = now
  })

  return {
    status,
    onEvent: (listener) => listen(client.events, listener),
    call: (method, params) => run(client.call(method, params)),
    send: async (message) => sent(await run(client.send(message)), message),
    pending: async () => {
      const runs = await run(client.pending)
      return runs.flatMap((one) => {
        const message = left.find(({ idempotencyKey }) => idempotencyKey === one.key)
        return message === undefined ? [] : [sent(one, message)]
      })
    },
    retry: (key) => Effect.runFork(client.retry(key)),
    discard: (key) => Effect.runFork(client.discard(key)),
    reconnect: () => Effect.runFork(client.reconnect),
    close: () => Effect.runFork(Scope.close(scope, Exit.void))
  }
}
