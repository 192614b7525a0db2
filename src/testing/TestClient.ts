/**
 * TestClient: a client of the gateway, over any wire; `memoryWire` is the one without a socket. Every frame that it gets is decoded with the protocol's own
 * Schemas, strictly, its `seq` is checked for gaps, and with the cap `resume` its `pos` for steps back: a frame that breaks the
 * contract fails the test that is waiting.
 */
import { Deferred, Effect, Either, ParseResult, Ref, Schema } from "effect"
import * as Peer from "../domain/Peer.js"
import type { Position } from "../domain/Position.js"
import type { Sink } from "../event/Outbox.js"
import type { GatewayShape } from "../gateway/Gateway.js"
import type { Disconnect } from "../protocol/CloseCode.js"
import type { ChatEvent } from "../protocol/Chat.js"
import type { HelloOk } from "../protocol/Connect.js"
import * as Event from "../protocol/Event.js"
import { type EventFrame, type ResponseFrame, ServerFrame } from "../protocol/Frame.js"

/** How the client introduces itself; what is left out has a value that is let in. */
export interface ConnectOptions {
  readonly protocol?: 3 | 4
  readonly caps?: ReadonlyArray<string>
  readonly scopes?: ReadonlyArray<string>
  readonly token?: string
  /** Where it was before, as `position` of the client that it was then. */
  readonly resume?: Position
}

/** The gateway broke its own contract. */
export class ContractViolation extends Schema.TaggedError<ContractViolation>()("ContractViolation", {
  frame: Schema.String,
  reason: Schema.String
}) {}

export interface TestClient {
  /** Sends a request and waits for its response, good or bad. */
  readonly request: (method: string, params?: unknown) => Effect.Effect<ResponseFrame, ContractViolation>
  /** Sends a request without waiting; the id is answered. */
  readonly post: (method: string, params?: unknown) => Effect.Effect<string>
  /** Waits for the response to a posted request. */
  readonly response: (id: string) => Effect.Effect<ResponseFrame, ContractViolation>
  /** Shakes hands: `connect`, and the response to it. */
  readonly connect: (options?: ConnectOptions) => Effect.Effect<ResponseFrame, ContractViolation>
  /** Sends any text as a frame; `null`: a binary one. */
  readonly raw: (text: string | null) => Effect.Effect<void>
  /** All frames so far, decoded, in order. */
  readonly frames: Effect.Effect<ReadonlyArray<ServerFrame>, ContractViolation>
  /** All events of that name so far. */
  readonly events: (name: Event.EventName) => Effect.Effect<ReadonlyArray<EventFrame>, ContractViolation>
  /** The `chat` events so far, of one run or of all. */
  readonly chat: (runId?: string) => Effect.Effect<ReadonlyArray<ChatEvent>, ContractViolation>
  /** Waits for the first `chat` event, of all there were and will be, that fits. */
  readonly awaitChat: (fits: (event: ChatEvent) => boolean) => Effect.Effect<ChatEvent, ContractViolation>
  /** Waits for a run's terminal event. */
  readonly terminal: (runId: string) => Effect.Effect<ChatEvent, ContractViolation>
  /** Waits for the first frame, of all there were and will be, that fits. */
  readonly awaitFrame: (
    fits: (frame: ServerFrame) => boolean
  ) => Effect.Effect<ServerFrame, ContractViolation>
  /**
   * Where the client is: to come back with. Without the cap `resume` it knows only where it has begun. Fails before
   * `hello-ok`.
   */
  readonly position: Effect.Effect<Position, ContractViolation>
  /** Waits for the gateway to end the connection. */
  readonly closed: Effect.Effect<Disconnect>
  /** Goes away, as a socket that is cut. */
  readonly leave: Effect.Effect<void>
  /** Stops taking frames: they count as buffered from now on. `resume` takes them all and goes on. */
  readonly stall: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
}

const decodeFrame = ParseResult.decodeUnknownEither(ServerFrame, { onExcessProperty: "error" })
const strict = ({ payload }: Event.EventContract) =>
  ParseResult.decodeUnknownEither(payload, { onExcessProperty: "error" })
const payloadDecoders = new Map(
  Object.entries(Event.events).map(([name, event]) => [name, strict(event)] as const)
)
const isChatEvent = Schema.is(Event.events.chat.payload)

/** What `hello-ok` said, for tests that look into it. */
export const helloOf = (response: ResponseFrame): HelloOk | undefined =>
  isHello(response.payload) ? response.payload : undefined
const isHello = (payload: unknown): payload is HelloOk =>
  typeof payload === "object" && payload !== null && "type" in payload && payload.type === "hello-ok"

const isReset = Schema.is(Event.ResumeReset)
const positionOf = (payload: unknown): number | undefined =>
  typeof payload === "object" && payload !== null && "pos" in payload && typeof payload.pos === "number"
    ? payload.pos
    : undefined

/** What a wire does with what arrives. */
export interface WireEvents {
  readonly onFrame: (text: string) => void
  readonly onClose: (disconnect: Disconnect) => void
}

/** The client's end of a connection, whatever lies in between. */
export interface Wire {
  /** `null`: a binary frame. */
  readonly send: (text: string | null) => void
  /** Goes away without a goodbye. */
  readonly cut: () => void
  readonly stall: () => void
  readonly resume: () => void
}

/** A wire that is no socket: frames go from hand to hand. */
export const memoryWire =
  (gateway: GatewayShape, peer: Peer.Peer = Peer.inProcess) =>
  ({ onClose, onFrame }: WireEvents): Effect.Effect<Wire> => {
    let held: Array<string> | undefined
    let taken = 0
    let gone = false
    const take = (frame: string): void => {
      taken += frame.length
      onFrame(frame)
    }
    const sink: Sink = {
      write: (frame) => {
        if (gone) return
        if (held === undefined) take(frame)
        else held.push(frame)
      },
      buffered: () => (held ?? []).reduce((bytes, frame) => bytes + frame.length, 0),
      taken: () => taken,
      close: (disconnect) => {
        if (gone) return
        gone = true
        onClose(disconnect)
      },
      pause: () => undefined,
      resume: () => undefined,
      admitted: () => undefined
    }
    return Effect.map(gateway.open(sink, peer), (connection) => ({
      send: (text) => connection.receive(text),
      cut: () => {
        gone = true
        connection.closed()
      },
      stall: () => {
        held ??= []
      },
      resume: () => {
        const frames = held ?? []
        held = undefined
        frames.forEach(take)
        connection.drained()
      }
    }))
  }

/** Opens a connection over a wire. Nothing is sent yet. */
export const open = <E, R>(
  wire: (events: WireEvents) => Effect.Effect<Wire, E, R>
): Effect.Effect<TestClient, E, R> =>
  Effect.gen(function* () {
    const frames: Array<ServerFrame> = []
    const waiting = new Set<() => void>()
    const closed = yield* Deferred.make<Disconnect>()
    const ids = yield* Ref.make(0)
    let violation: ContractViolation | undefined
    let lastSeq = 0
    /** Does it know positions? */
    let positioned = false
    let lastPos = 0
    let position: Position | undefined
    const violate = (frame: string, reason: string): void => {
      violation ??= new ContractViolation({ frame: frame.slice(0, 500), reason })
    }

    /** Follows the positions of events, and of `hello-ok` if it was nowhere before. */
    const follow = ({ event, payload }: EventFrame, text: string): void => {
      const pos = positionOf(payload)
      if (isReset(payload)) position = { epoch: payload.epoch, pos: payload.pos }
      if (!positioned) {
        if (pos !== undefined && event !== "resume.reset") violate(text, "a pos that was not asked for")
      } else if (pos === undefined) violate(text, "no pos")
      else if (pos < lastPos) violate(text, `pos ${pos} after ${lastPos}`)
      else {
        lastPos = pos
        if (position !== undefined) position = { epoch: position.epoch, pos }
      }
    }

    const take = (text: string): void => {
      const decoded = decodeFrame(JSON.parse(text))
      if (Either.isLeft(decoded)) violate(text, ParseResult.TreeFormatter.formatIssueSync(decoded.left))
      else {
        const frame = decoded.right
        frames.push(frame)
        if (frame.type === "event") {
          const payload = payloadDecoders.get(frame.event)?.(frame.payload)
          if (payload === undefined) violate(text, `unknown event ${frame.event}`)
          else if (Either.isLeft(payload))
            violate(text, ParseResult.TreeFormatter.formatIssueSync(payload.left))
          if (frame.event === "connect.challenge") {
            if (frame.seq !== undefined) violate(text, "the challenge has a seq")
          } else if (frame.seq !== lastSeq + 1) violate(text, `seq ${frame.seq} after ${lastSeq}`)
          else {
            lastSeq = frame.seq
            follow(frame, text)
          }
        } else if (isHello(frame.payload)) position ??= frame.payload.resume
      }
      for (const wake of waiting) wake()
    }

    const { cut, resume, send, stall } = yield* wire({
      onFrame: take,
      onClose: (disconnect) => {
        Deferred.unsafeDone(closed, Effect.succeed(disconnect))
      }
    })

    /** Asks again after each frame until there is an answer. */
    const until = <A>(look: () => A | undefined): Effect.Effect<A, ContractViolation> =>
      Effect.async((resume) => {
        const wake = (): void => {
          const found = look()
          if (violation === undefined && found === undefined) return
          waiting.delete(wake)
          resume(
            violation === undefined && found !== undefined ? Effect.succeed(found) : Effect.fail(violated())
          )
        }
        waiting.add(wake)
        wake()
        return Effect.sync(() => waiting.delete(wake))
      })
    const violated = () => violation ?? new ContractViolation({ frame: "", reason: "unknown" })
    const checked = <A>(value: () => A): Effect.Effect<A, ContractViolation> =>
      Effect.suspend(() => (violation === undefined ? Effect.succeed(value()) : Effect.fail(violation)))

    const chatEvents = (runId?: string): ReadonlyArray<ChatEvent> =>
      frames.flatMap((frame) =>
        frame.type === "event" &&
        frame.event === "chat" &&
        isChatEvent(frame.payload) &&
        (runId === undefined || frame.payload.runId === runId)
          ? [frame.payload]
          : []
      )

    const post = (method: string, params?: unknown): Effect.Effect<string> =>
      Effect.map(
        Ref.updateAndGet(ids, (id) => id + 1),
        (n) => {
          const id = `t${n}`
          send(JSON.stringify({ type: "req", id, method, params }))
          return id
        }
      )
    const response = (id: string) =>
      until(() => frames.find((frame): frame is ResponseFrame => frame.type === "res" && frame.id === id))
    const request = (method: string, params?: unknown) => Effect.flatMap(post(method, params), response)
    const awaitChat = (fits: (event: ChatEvent) => boolean) => until(() => chatEvents().find(fits))

    return {
      request,
      post,
      response,
      connect: (options = {}) => {
        positioned = options.caps?.includes("resume") ?? false
        position = options.resume
        return request("connect", {
          minProtocol: options.protocol ?? 4,
          maxProtocol: options.protocol ?? 4,
          client: { id: "test", version: "0", platform: "test", mode: "test" },
          ...(options.caps === undefined ? {} : { caps: options.caps }),
          ...(options.scopes === undefined ? {} : { scopes: options.scopes }),
          ...(options.resume === undefined ? {} : { resume: options.resume }),
          auth: { token: options.token ?? "test" }
        })
      },
      raw: (text) => Effect.sync(() => send(text)),
      frames: checked(() => [...frames]),
      events: (name) =>
        checked(() =>
          frames.filter((frame): frame is EventFrame => frame.type === "event" && frame.event === name)
        ),
      chat: (runId) => checked(() => chatEvents(runId)),
      awaitChat,
      terminal: (runId) => awaitChat((event) => event.runId === runId && event.state !== "delta"),
      awaitFrame: (fits) => until(() => frames.find(fits)),
      position: Effect.flatMap(
        checked(() => position),
        (at) =>
          at === undefined
            ? Effect.fail(new ContractViolation({ frame: "", reason: "no hello-ok yet" }))
            : Effect.succeed(at)
      ),
      closed: Deferred.await(closed),
      leave: Effect.sync(cut),
      stall: Effect.sync(stall),
      resume: Effect.sync(resume)
    }
  })
