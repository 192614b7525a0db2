/**
 * Client: the client of a gateway, for as long as its scope. It connects and, when the connection is lost or falls silent,
 * connects anew and goes on where it was: events by their position, messages by their keys. It knows no Node: which WebSocket
 * it uses is `Socket.WebSocketConstructor`.
 */
import type * as Socket from "@effect/platform/Socket"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Mailbox from "effect/Mailbox"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Ids from "../domain/Ids.js"
import type { Position } from "../domain/Position.js"
import type * as Chat from "../protocol/Chat.js"
import type * as Connect from "../protocol/Connect.js"
import type * as Event from "../protocol/Event.js"
import * as Method from "../protocol/Method.js"
import * as Backoff from "./Backoff.js"
import {
  type CallError as LinkError,
  ClientClosed,
  ConnectionLost,
  type OutboxFull,
  type ProtocolViolation,
  Refused,
  RequestFailed,
  type Unreachable
} from "./ClientError.js"
import * as Link from "./Link.js"
import { Observed } from "./Observed.js"
import { type Entry, Outbox } from "./Outbox.js"
import { decoders } from "./Results.js"
import * as OutboxStore from "./OutboxStore.js"
import * as Run from "./Run.js"
import type { ServerEvent } from "./ServerEvent.js"
import * as Status from "./Status.js"

export interface ClientOptions extends Omit<Link.Login, "caps"> {
  /** How long to wait between tries to connect, and before a message is tried again. */
  readonly reconnect?: Backoff.Backoff
  /** Where unacknowledged messages outlive the client. Default: nowhere. */
  readonly outbox?: OutboxStore.OutboxStore
  /** Messages that may wait for being acknowledged. Default: 1000. */
  readonly maxOutbox?: number
  /** Where an earlier client was (`position`): it begins with what came since, or with `resume.reset`. */
  readonly resume?: Position
}

/** Every request may end with one of these. */
export type CallError = LinkError | Refused | ClientClosed

/** A message to send. */
export interface Message extends Omit<Chat.SendParams, "idempotencyKey"> {
  /** The idempotency key, which becomes the run's id. Default: a random UUID. */
  readonly key?: string
}

export interface ClientShape {
  readonly status: Effect.Effect<Status.Status>
  /** The present status and what follows; the newest only for who is slow. */
  readonly statuses: Stream.Stream<Status.Status>
  /** Waits until there is a connection. */
  readonly open: Effect.Effect<Connect.HelloOk, Refused | ClientClosed>
  /** Connects anew at once, instead of waiting, or of using the connection that there is. */
  readonly reconnect: Effect.Effect<void>
  /**
   * Every event from the moment of subscription on, in order, across connections. What can't be had any more is told by
   * `resume.reset`. Ends with the client. Who does not read keeps what comes in memory.
   */
  readonly subscribe: Effect.Effect<Stream.Stream<ServerEvent>, never, Scope.Scope>
  /** The same, subscribed when the stream begins to run. */
  readonly events: Stream.Stream<ServerEvent>
  /** Where the client is in what the gateway tells; undefined before the first connection. */
  readonly position: Effect.Effect<Position | undefined>
  /**
   * Asks the gateway, as soon as there is a connection. What only reads is asked again when the connection is lost; what
   * changes something fails with `ConnectionLost`, and may have happened.
   */
  readonly call: <M extends Method.MethodName>(
    method: M,
    params: Method.ParamsOf<M>
  ) => Effect.Effect<Method.ResultOf<M>, CallError>
  /** Any method by name; what it is answered with is not looked at. */
  readonly request: (method: string, params?: unknown) => Effect.Effect<unknown, CallError>
  /**
   * Puts a message into the outbox, and is done: it goes to the gateway as soon as may be, once. A key that this client knows
   * answers with the run that it has.
   */
  readonly send: (message: Message) => Effect.Effect<Run.Run, OutboxFull>
  /** A run that was sent with this client, and was not forgotten. */
  readonly run: (key: string) => Effect.Effect<Option.Option<Run.Run>>
  /** The messages that are not acknowledged, those of an earlier client (`outbox`) first. */
  readonly pending: Effect.Effect<ReadonlyArray<Run.Run>>
  /** Sends a rejected message again, with the same key. */
  readonly retry: (key: string) => Effect.Effect<void>
  /** Forgets a message that was rejected or never on the wire. `false`: it is too late. */
  readonly discard: (key: string) => Effect.Effect<boolean>
}

export class Client extends Context.Tag("colloquy/Client")<Client, ClientShape>() {}

const caps: ReadonlyArray<(typeof Event.capabilities)[number]> = ["delta-only", "resume", "sessions"]

/** How long the login may take, from the first packet to `hello-ok`. */
const loginTimeout = Duration.seconds(15)
/** Ticks that may fail to come; and, as a part of a tick, how late the last of them may be. */
const missedTicks = 2
const lateness = 0.25
/** Runs that are over and still known by their keys. */
const maxKnown = 1000

/** Told apart from a connection that was lost by its identity. */
const redialled = new ConnectionLost({ code: 1000, reason: "to connect anew" })

/** Begins to connect; a gateway that is away is waited for. */
export const make = (
  options: ClientOptions
): Effect.Effect<ClientShape, never, Scope.Scope | Socket.WebSocketConstructor> =>
  Effect.gen(function* () {
    const status = new Observed<Status.Status>({ _tag: "Connecting", attempt: 1 })
    const fork = yield* FiberSet.makeRuntime<never, void>()
    const backoff = options.reconnect ?? {}
    const store = options.outbox ?? OutboxStore.none
    const outbox = new Outbox({ store, backoff, max: options.maxOutbox ?? 1000, fork })
    const subscribers = new Set<Mailbox.Mailbox<ServerEvent>>()
    let link: Link.Link | undefined
    let position = options.resume
    /** Cuts a wait or a connection short. */
    let redial = yield* Deferred.make<void>()

    const listener: Link.Listener = {
      onHello: ({ resume }) => {
        // Who has come back is where it was, until an event says otherwise.
        position ??= resume
      },
      onEvent: (event) => {
        if (event.event === "resume.reset") {
          position = { epoch: event.payload.epoch, pos: event.payload.pos }
        } else if (position !== undefined && event.payload.pos !== undefined) {
          position = { ...position, pos: event.payload.pos }
        }
        outbox.onEvent(event)
        for (const subscriber of subscribers) subscriber.unsafeOffer(event)
      }
    }

    /** Fails when nothing is heard for longer than may be. */
    const silence = ({ heardAt, hello }: Link.Link): Effect.Effect<never, ConnectionLost> => {
      const patience = hello.policy.tickIntervalMs * (missedTicks + lateness)
      const watch: Effect.Effect<never, ConnectionLost> = Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const left = heardAt() + patience - now
        return left <= 0
          ? Effect.fail(new ConnectionLost({ code: 1006, reason: "nothing is heard any more" }))
          : Effect.zipRight(Effect.sleep(left), watch)
      })
      return watch
    }

    const connection = (attempt: number) =>
      Effect.scoped(
        Effect.gen(function* () {
          status.set({ _tag: "Connecting", attempt })
          const opened = yield* Link.open({ ...options, caps }, listener, position).pipe(
            Effect.timeoutFail({
              duration: loginTimeout,
              onTimeout: () => new ConnectionLost({ code: 1006, reason: "no answer to the login" })
            }),
            Effect.raceFirst(Effect.zipRight(Deferred.await(redial), Effect.fail(redialled)))
          )
          link = opened
          status.set({ _tag: "Open", hello: opened.hello })
          outbox.opened(opened)
          return yield* opened.ended.pipe(
            Effect.raceFirst(silence(opened)),
            Effect.raceFirst(Effect.zipRight(Deferred.await(redial), Effect.fail(redialled))),
            Effect.ensuring(
              Effect.sync(() => {
                link = undefined
                outbox.lost()
              })
            )
          )
        })
      )

    /** Waits before the next try; `reconnect` ends the wait. */
    const pause = (attempt: number, error: Unreachable | LinkError) =>
      Effect.gen(function* () {
        if (error === redialled) {
          redial = yield* Deferred.make<void>()
          return
        }
        const floor = error._tag === "RequestFailed" ? (error.error.retryAfterMs ?? 0) : 0
        const wait = yield* Backoff.delay(backoff, attempt, floor)
        const retryAt = (yield* Clock.currentTimeMillis) + wait
        status.set({ _tag: "Waiting", attempt, retryAt, reason: reasonOf(error) })
        yield* Effect.raceFirst(Effect.sleep(wait), Deferred.await(redial))
        if (yield* Deferred.isDone(redial)) redial = yield* Deferred.make<void>()
      })

    const run = (attempt: number): Effect.Effect<void, never, Socket.WebSocketConstructor> =>
      Effect.flatMap(Effect.flip(connection(attempt)), (error) => {
        const wasOpen = status.value._tag === "Open"
        if (error instanceof RequestFailed && !wasOpen && isForGood(error)) {
          status.set({ _tag: "Refused", error: error.error })
          return Effect.void
        }
        const failures = wasOpen ? 1 : attempt
        return Effect.zipRight(
          pause(failures, error),
          Effect.suspend(() => run(wasOpen ? 1 : attempt + 1))
        )
      })

    const closed: Effect.Effect<never, Refused | ClientClosed> = status.when((now) =>
      now._tag === "Refused"
        ? Option.some(Effect.fail(new Refused({ error: now.error })))
        : now._tag === "Closed"
          ? Option.some(Effect.fail(new ClientClosed()))
          : Option.none()
    )
    const linked: Effect.Effect<Link.Link, Refused | ClientClosed> = Effect.raceFirst(
      status.when(() => (link === undefined ? Option.none() : Option.some(Effect.succeed(link)))),
      closed
    )

    /** `again`: also behind a connection that was lost. */
    const request = (method: string, params: unknown, again: boolean): Effect.Effect<unknown, CallError> =>
      Effect.flatMap(linked, (on) =>
        Effect.catchTag(on.request(method, params), "ConnectionLost", (error) =>
          again ? Effect.zipRight(gone(on), request(method, params, again)) : Effect.fail(error)
        )
      )
    /** Waits until that connection is not the one in use. */
    const gone = (on: Link.Link): Effect.Effect<void, Refused | ClientClosed> =>
      Effect.raceFirst(
        status.when(() => (link === on ? Option.none() : Option.some(Effect.void))),
        closed
      )

    const call = <M extends Method.MethodName>(
      method: M,
      params: Method.ParamsOf<M>
    ): Effect.Effect<Method.ResultOf<M>, CallError> =>
      Effect.flatMap(request(method, params, Method.methods[method].scope === "operator.read"), (payload) =>
        readResult(method, payload)
      )

    const abort = (entry: Entry): Run.Run["abort"] =>
      Effect.suspend(() => {
        const { idempotencyKey: runId, sessionKey } = entry.message
        if (outbox.discard(runId))
          return Effect.succeed({ ok: true as const, aborted: true, runIds: [runId] })
        // Aborting twice is aborting once.
        return Effect.flatMap(
          request(
            "chat.abort",
            {
              sessionKey,
              runId,
              ...(entry.message.agentId === undefined ? {} : { agentId: entry.message.agentId })
            },
            true
          ),
          (payload) => readResult("chat.abort", payload)
        )
      })
    const runOf = (entry: Entry): Run.Run =>
      Run.make({ message: entry.message, state: entry.state, closed, abort: abort(entry) })
    const known: Array<string> = []

    const subscribe = Effect.acquireRelease(
      Effect.tap(Mailbox.make<ServerEvent>(), (mailbox) =>
        Status.isOver(status.value) ? mailbox.end : Effect.sync(() => subscribers.add(mailbox))
      ),
      (mailbox) => Effect.sync(() => subscribers.delete(mailbox))
    ).pipe(Effect.map(Mailbox.toStream))

    for (const message of yield* store.load) Either.getOrUndefined(outbox.add(message))
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        if (!Status.isOver(status.value)) status.set({ _tag: "Closed" })
        for (const subscriber of subscribers) subscriber.unsafeDone(Exit.void)
        subscribers.clear()
      })
    )
    yield* Effect.forkScoped(
      Effect.zipRight(
        run(1),
        Effect.sync(() => {
          for (const subscriber of subscribers) subscriber.unsafeDone(Exit.void)
        })
      )
    )

    return {
      status: Effect.sync(() => status.value),
      statuses: status.stream(Status.isOver),
      open: Effect.map(linked, ({ hello }) => hello),
      reconnect: Effect.suspend(() => Deferred.succeed(redial, undefined)).pipe(Effect.asVoid),
      subscribe,
      events: Stream.unwrapScoped(subscribe),
      position: Effect.sync(() => position),
      call,
      request: (method, params) => request(method, params, false),
      send: ({ key, ...message }) =>
        Effect.gen(function* () {
          const idempotencyKey = key ?? (yield* Ids.uuid)
          const entry = yield* outbox.add({ ...message, idempotencyKey })
          known.push(idempotencyKey)
          if (known.length > maxKnown) outbox.forget(known.shift() ?? "")
          return runOf(entry)
        }),
      run: (key) => Effect.sync(() => Option.map(Option.fromNullable(outbox.find(key)), runOf)),
      pending: Effect.sync(() => outbox.pending.map(runOf)),
      retry: (key) => Effect.sync(() => outbox.retry(key)),
      discard: (key) => Effect.sync(() => outbox.discard(key))
    }
  })

/** The client as a service. */
export const layer = (options: ClientOptions): Layer.Layer<Client, never, Socket.WebSocketConstructor> =>
  Layer.scoped(Client, make(options))

const readResult = <M extends Method.MethodName>(
  method: M,
  payload: unknown
): Either.Either<Method.ResultOf<M>, ProtocolViolation> =>
  Either.mapLeft(decoders[method](payload), (error) => Link.violation(method, error))

/** Would the next try be answered the same? */
const isForGood = ({ error }: RequestFailed): boolean =>
  error.retryable !== true && error.code !== "UNAVAILABLE"

const reasonOf = (error: Unreachable | LinkError): string => {
  switch (error._tag) {
    case "Unreachable":
      return error.reason
    case "RequestFailed":
      return error.message
    case "ProtocolViolation":
      return `the gateway sent a ${error.subject} that can't be read`
    case "ConnectionLost":
      return error.reason === "" ? `closed with ${error.code}` : error.reason
  }
}
