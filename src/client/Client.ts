/**
 * A client of the gateway: one connection, typed requests and the events of the wire contract. It knows no Node: which
 * WebSocket it uses is `Socket.WebSocketConstructor`.
 */
import { Socket } from "@effect/platform"
import {
  Deferred,
  Effect,
  Either,
  FiberId,
  type ParseResult,
  PubSub,
  Redacted,
  Schema,
  type Scope,
  Stream,
  Take
} from "effect"
import type * as Connect from "../protocol/Connect.js"
import * as Event from "../protocol/Event.js"
import { type ResponseFrame, ServerFrame, type WireError } from "../protocol/Frame.js"
import * as Method from "../protocol/Method.js"
import * as Params from "../protocol/Params.js"
import * as Version from "../protocol/Version.js"
import {
  type CallError,
  ConnectionLost,
  ProtocolViolation,
  RequestFailed,
  Unreachable
} from "./ClientError.js"

export interface Options {
  /** `ws://` or `wss://` */
  readonly url: string
  readonly token?: Redacted.Redacted | undefined
  /** Who connects, as the gateway's operator shall see it. */
  readonly client: Connect.ClientInfo
  /** What the connection is for; without any, all that the credential allows. */
  readonly scopes?: ReadonlyArray<Connect.Scope>
  /** What this client asks for beyond version 4, see `Event.capabilities`. */
  readonly caps?: ReadonlyArray<(typeof Event.capabilities)[number]>
}

const serverEvent = <N extends Event.EventName, P, PI>(event: N, payload: Schema.Schema<P, PI>) =>
  Schema.Struct({ event: Schema.Literal(event), payload })

/** An event and its payload. Events that this client doesn't know are not shown to it. */
export const ServerEvent = Schema.Union(
  serverEvent("chat", Event.events.chat.payload),
  serverEvent("agent", Event.events.agent.payload),
  serverEvent("tick", Event.events.tick.payload),
  serverEvent("shutdown", Event.events.shutdown.payload),
  serverEvent("resume.reset", Event.events["resume.reset"].payload)
)
export type ServerEvent = typeof ServerEvent.Type

/** Why a connection is over for those who wait for its events. */
export type Ended = ConnectionLost | ProtocolViolation

type Call<M extends Method.MethodName> = (
  params: Method.ParamsOf<M>
) => Effect.Effect<Method.ResultOf<M>, CallError>

export interface Client {
  /** What the gateway said of itself. */
  readonly hello: Connect.HelloOk
  /**
   * Every event from this moment on, in the order of the wire. The stream fails when the connection ends, behind the
   * last event. Subscribe before the request whose events you want.
   */
  readonly subscribe: Effect.Effect<Stream.Stream<ServerEvent, Ended>, never, Scope.Scope>
  readonly history: Call<"chat.history">
  /** An image of a session's history, by the `sha256` that stands there. */
  readonly image: Call<"chat.image">
  /** Succeeds when the gateway has accepted the message; the answer comes as events. */
  readonly send: Call<"chat.send">
  readonly abort: Call<"chat.abort">
  readonly inject: Call<"chat.inject">
  readonly health: Call<"health">
  readonly status: Call<"status">
  /** Any method by name; what it is answered with is not looked at. */
  readonly request: (method: string, params?: unknown) => Effect.Effect<unknown, CallError>
}

const decodeFrame = Schema.decodeUnknownEither(Schema.parseJson(ServerFrame))
const decodeEvent = Schema.decodeUnknownEither(ServerEvent)
const isKnownEvent = (event: string): boolean => event !== "connect.challenge" && Event.names.includes(event)

/** Connects and says `connect`. The connection ends with the scope. */
export const make = (
  options: Options
): Effect.Effect<Client, Unreachable | CallError, Scope.Scope | Socket.WebSocketConstructor> =>
  Effect.gen(function* () {
    const wire = yield* open(options.url)
    const call = <P, PI, R, RI>(
      method: string,
      contract: Pick<Method.Contract<P, PI, R, RI>, "params" | "result">
    ) => {
      const decode = Schema.decodeUnknown(contract.result)
      return (params: P): Effect.Effect<R, CallError> =>
        Effect.flatMap(wire.request(method, params), (payload) =>
          Effect.mapError(decode(payload), (error) => violation(method, error))
        )
    }

    const hello = yield* call(
      "connect",
      Method.connect
    )({
      minProtocol: Version.expected,
      maxProtocol: Version.expected,
      client: options.client,
      role: "operator",
      ...(options.scopes === undefined ? {} : { scopes: options.scopes }),
      ...(options.caps === undefined ? {} : { caps: options.caps }),
      ...(options.token === undefined ? {} : { auth: { token: Redacted.value(options.token) } })
    })

    return {
      hello,
      subscribe: wire.subscribe,
      history: call("chat.history", Method.methods["chat.history"]),
      image: call("chat.image", Method.methods["chat.image"]),
      send: call("chat.send", Method.methods["chat.send"]),
      abort: call("chat.abort", Method.methods["chat.abort"]),
      inject: call("chat.inject", Method.methods["chat.inject"]),
      health: call("health", Method.methods.health),
      status: call("status", Method.methods.status),
      request: wire.request
    }
  })

/** Frames and nothing more: which answer belongs to which request, and events. */
const open = (url: string) =>
  Effect.gen(function* () {
    const socket = yield* Socket.makeWebSocket(url, { closeCodeIsError: () => true })
    const write = yield* socket.writer
    const opened = yield* Deferred.make<void, Unreachable>()
    const ended = yield* Deferred.make<never, Ended>()
    const events = yield* PubSub.unbounded<Take.Take<ServerEvent, Ended>>()
    const waiting = new Map<
      string,
      { readonly method: string; readonly answer: Deferred.Deferred<unknown, RequestFailed> }
    >()
    let requests = 0

    const end = (error: Ended): void => {
      Deferred.unsafeDone(ended, Effect.fail(error))
      events.unsafeOffer(Take.fail(error))
    }

    const receive = (message: string | Uint8Array): void => {
      const frame = decodeFrame(typeof message === "string" ? message : new TextDecoder().decode(message))
      if (Either.isLeft(frame)) return end(violation("frame", frame.left))
      if (frame.right.type === "res") return answer(frame.right)
      if (!isKnownEvent(frame.right.event)) return
      const event = decodeEvent(frame.right)
      if (Either.isLeft(event)) return end(violation(frame.right.event, event.left))
      events.unsafeOffer(Take.of(event.right))
    }

    const answer = ({ error, id, ok, payload }: ResponseFrame): void => {
      const request = waiting.get(id)
      if (request === undefined) return
      const { method } = request
      Deferred.unsafeDone(
        request.answer,
        ok ? Effect.succeed(payload) : Effect.fail(new RequestFailed({ method, error: error ?? noReason }))
      )
    }

    yield* socket.runRaw(receive, { onOpen: Deferred.succeed(opened, undefined) }).pipe(
      Effect.catchAll((error) => {
        end(
          error.reason === "Close"
            ? new ConnectionLost({ code: error.code, reason: error.closeReason ?? "" })
            : new ConnectionLost({ code: 1006, reason: "" })
        )
        return Deferred.fail(opened, new Unreachable({ url, reason: reasonOf(error) }))
      }),
      Effect.forkScoped
    )
    yield* Deferred.await(opened)

    return {
      request: (method: string, params?: unknown): Effect.Effect<unknown, CallError> =>
        Effect.suspend(() => {
          requests += 1
          const id = String(requests)
          const answer = Deferred.unsafeMake<unknown, RequestFailed>(FiberId.none)
          waiting.set(id, { method, answer })
          // A write to a socket that is gone waits for ever, or fails: `ended` says what there is to say.
          return Effect.ignore(write(JSON.stringify({ type: "req", id, method, params }))).pipe(
            Effect.zipRight(Deferred.await(answer)),
            Effect.raceFirst(Deferred.await(ended)),
            Effect.ensuring(Effect.sync(() => waiting.delete(id)))
          )
        }),
      subscribe: Effect.gen(function* () {
        const takes = yield* Stream.fromPubSub(events, { scoped: true })
        // Who comes after the end would wait for it in vain.
        return (yield* Deferred.isDone(ended))
          ? Stream.fromEffect(Deferred.await(ended))
          : Stream.flattenTake(takes)
      })
    }
  })

const noReason: WireError = { code: "UNAVAILABLE", message: "the gateway gave no reason" }

const violation = (subject: string, error: ParseResult.ParseError): ProtocolViolation => {
  const { expected, path } = Params.describe(error.issue)
  return new ProtocolViolation({ subject, expected: path === "" ? expected : `${path}: ${expected}` })
}

/** The system's code in what a WebSocket says, or its own words. */
const reasonOf = (error: Socket.SocketError): string => {
  if (error.reason === "Close") return `closed with ${error.code}`
  if (error.reason === "OpenTimeout") return "no answer within 10 s"
  return describeCause(error.cause)
}

const describeCause = (cause: unknown): string => {
  if (typeof cause !== "object" || cause === null) return String(cause)
  if ("code" in cause && typeof cause.code === "string") return cause.code
  if ("error" in cause && cause.error instanceof Error) return describeCause(cause.error)
  if ("message" in cause && typeof cause.message === "string" && cause.message !== "") return cause.message
  return "no connection"
}
