/**
 * Link: one connection to a gateway, from its login to its end. It knows no Node: which WebSocket it uses is
 * `Socket.WebSocketConstructor`. What lives longer than a connection is `Client`.
 */
import * as Socket from "@effect/platform/Socket"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberId from "effect/FiberId"
import type * as ParseResult from "effect/ParseResult"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Position } from "../domain/Position.js"
import type * as Connect from "../protocol/Connect.js"
import type * as Event from "../protocol/Event.js"
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
import * as ServerEvent from "./ServerEvent.js"

/** Who connects, and what for. */
export interface Login {
  /** `ws://` or `wss://` */
  readonly url: string
  readonly token?: Redacted.Redacted | undefined
  /** Who connects, as the gateway's operator shall see it. */
  readonly client: Connect.ClientInfo
  /** What the connection is for; without any, all that the credential allows. */
  readonly scopes?: ReadonlyArray<Connect.Scope> | undefined
  /** What this client asks for beyond version 4, see `Event.capabilities`. */
  readonly caps?: ReadonlyArray<(typeof Event.capabilities)[number]> | undefined
}

/** What is told at once, in the order of the wire. None of these may throw. */
export interface Listener {
  /** The login has succeeded: before any event. */
  readonly onHello: (hello: Connect.HelloOk) => void
  readonly onEvent: (event: ServerEvent.ServerEvent) => void
}

/** Why a connection is over. */
export type Ended = ConnectionLost | ProtocolViolation

export interface Link {
  /** What the gateway said of itself. */
  readonly hello: Connect.HelloOk
  /** Any method by name; what it is answered with is not looked at. A request is written when this is run. */
  readonly request: (method: string, params?: unknown) => Effect.Effect<unknown, RequestFailed | Ended>
  /** Fails when the connection ends. */
  readonly ended: Effect.Effect<never, Ended>
  /** When anything was last heard of the gateway, in milliseconds since the Unix epoch. */
  readonly heardAt: () => number
}

const decodeFrame = Schema.decodeUnknownEither(Schema.parseJson(ServerFrame))
const decodeHello = Schema.decodeUnknownEither(Method.connect.result)

/** Connects and logs in; with `resume`, as one that was here before. The connection ends with the scope. */
export const open = (
  login: Login,
  listener: Listener,
  resume?: Position
): Effect.Effect<Link, Unreachable | CallError, Scope.Scope | Socket.WebSocketConstructor> =>
  Effect.gen(function* () {
    const wire = yield* dial(login.url, listener)
    const hello = yield* wire.connect({
      minProtocol: Version.expected,
      maxProtocol: Version.expected,
      client: login.client,
      role: "operator",
      ...(login.scopes === undefined ? {} : { scopes: login.scopes }),
      ...(login.caps === undefined ? {} : { caps: login.caps }),
      ...(login.token === undefined ? {} : { auth: { token: Redacted.value(login.token) } }),
      ...(resume === undefined ? {} : { resume })
    })
    return { ...wire, hello }
  })

interface Waiting {
  readonly method: string
  /** In the very step in which the answer comes: what follows may be in the same packet. */
  readonly done: (answer: Either.Either<unknown, RequestFailed>) => void
}

/** Frames and nothing more: which answer belongs to which request, and events. */
const dial = (url: string, listener: Listener) =>
  Effect.gen(function* () {
    const clock = yield* Clock.clockWith(Effect.succeed)
    const socket = yield* Socket.makeWebSocket(url, { closeCodeIsError: () => true })
    const write = yield* socket.writer
    const opened = yield* Deferred.make<void, Unreachable>()
    const ended = yield* Deferred.make<never, Ended>()
    const waiting = new Map<string, Waiting>()
    let requests = 0
    let heardAt = clock.unsafeCurrentTimeMillis()
    let isOver = false

    const end = (error: Ended): void => {
      isOver = true
      Deferred.unsafeDone(ended, Effect.fail(error))
    }

    const receive = (message: string | Uint8Array): void => {
      if (isOver) return
      heardAt = clock.unsafeCurrentTimeMillis()
      const frame = decodeFrame(typeof message === "string" ? message : new TextDecoder().decode(message))
      if (Either.isLeft(frame)) return end(violation("frame", frame.left))
      if (frame.right.type === "res") return answer(frame.right)
      const event = ServerEvent.decode(frame.right)
      if (event === undefined) return
      if (Either.isLeft(event)) return end(violation(frame.right.event, event.left))
      listener.onEvent(event.right)
    }

    const answer = ({ error, id, ok, payload }: ResponseFrame): void => {
      const request = waiting.get(id)
      waiting.delete(id)
      request?.done(
        ok
          ? Either.right(payload)
          : Either.left(
              new RequestFailed({
                method: request.method,
                error: error ?? noReason,
                ...(payload === undefined ? {} : { payload })
              })
            )
      )
    }

    /** Asks, and hands the answer to `read` as it comes. */
    const ask = <A, E>(
      method: string,
      params: unknown,
      read: (answer: Either.Either<unknown, RequestFailed>) => Either.Either<A, E>
    ): Effect.Effect<A, E | Ended> =>
      Effect.suspend(() => {
        requests += 1
        const id = String(requests)
        const answered = Deferred.unsafeMake<A, E>(FiberId.none)
        waiting.set(id, { method, done: (answer) => Deferred.unsafeDone(answered, read(answer)) })
        // A write to a socket that is gone waits for ever, or fails: `ended` says what there is to say.
        return Effect.ignore(write(JSON.stringify({ type: "req", id, method, params }))).pipe(
          Effect.zipRight(Deferred.await(answered)),
          Effect.raceFirst(Deferred.await(ended)),
          Effect.ensuring(Effect.sync(() => waiting.delete(id)))
        )
      })

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
      request: (method: string, params?: unknown) => ask(method, params, (answer) => answer),
      connect: (params: unknown) =>
        ask("connect", params, (answer) =>
          Either.flatMap(answer, (payload) =>
            Either.match(decodeHello(payload), {
              onLeft: (error) => Either.left(violation("connect", error)),
              onRight: (hello) => {
                listener.onHello(hello)
                return Either.right(hello)
              }
            })
          )
        ),
      ended: Deferred.await(ended),
      heardAt: () => heardAt
    }
  })

const noReason: WireError = { code: "UNAVAILABLE", message: "the gateway gave no reason" }

/** What the gateway sent can't be read. */
export const violation = (subject: string, error: ParseResult.ParseError): ProtocolViolation => {
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
