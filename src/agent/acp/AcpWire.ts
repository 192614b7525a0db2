/**
 * AcpWire: the SDK's two streams of messages over the pipes of an agent.
 *
 * The SDK's own (`ndJsonStream`) reads as fast as the agent writes, whatever becomes of it, lets the answer to a prompt
 * overtake the updates before it, and says on the console what it can't make sense of. So the pipe is read here, with
 * backpressure; updates go their own way, in order; and the SDK is given requests and the responses that it waits for.
 */
import {
  type AnyMessage,
  DEFAULT_MAX_MESSAGE_BYTES,
  type Stream as SdkStream
} from "@agentclientprotocol/sdk"
import { Deferred, Effect, FiberSet, Option, ParseResult, Schema, type Scope, Stream } from "effect"
import { stripVTControlCharacters } from "node:util"
import type { ProcessError, ProcessGroup } from "../ProcessGroup.js"

export interface AcpWire {
  /** For the SDK's `connect`. */
  readonly stream: SdkStream
  /** Waits until nothing more can be read, and says why when the agent is to blame: a clause. */
  readonly ended: Effect.Effect<string | undefined>
}

export interface WireOptions {
  /** Takes in the params of a `session/update`, which had so many bytes. Nothing is read until it is through with it. */
  readonly onUpdate: (params: unknown, bytes: number) => Effect.Effect<void>
  /** A prompt of the session was answered: what is read from now on is said behind its end. */
  readonly onAnswer: (sessionId: string) => void
  readonly log: (line: string) => Effect.Effect<void>
}

/** The most requests of an agent that may wait for their answers; more are refused. */
const mostRequests = 256
/** The most lines that are no messages which are logged. */
const mostLogged = 100
const loggedLength = 300

const Id = Schema.Union(Schema.String, Schema.Number, Schema.Null)
const Params = Schema.optionalWith(Schema.Unknown, { exact: true })
const jsonrpc = Schema.Literal("2.0")
const Request = Schema.Struct({ jsonrpc, id: Id, method: Schema.String, params: Params })
const Notification = Schema.Struct({ jsonrpc, method: Schema.String, params: Params })
const Failure = Schema.Struct({
  jsonrpc,
  id: Id,
  error: Schema.Struct({ code: Schema.Int, message: Schema.String, data: Params })
})
const Success = Schema.Struct({ jsonrpc, id: Id, result: Schema.Unknown })
const decodeJson = ParseResult.decodeUnknownOption(Schema.parseJson())
const decodeRequest = ParseResult.decodeUnknownOption(Request)
const decodeNotification = ParseResult.decodeUnknownOption(Notification)
const decodeFailure = ParseResult.decodeUnknownOption(Failure)
const decodePrompt = ParseResult.decodeUnknownOption(
  Schema.Struct({
    method: Schema.Literal("session/prompt"),
    params: Schema.Struct({ sessionId: Schema.String })
  })
)
const decodeSuccess = ParseResult.decodeUnknownOption(Success)

/** Reads until the scope closes. */
export const make = (
  group: Pick<ProcessGroup, "output" | "write">,
  { log, onAnswer, onUpdate }: WireOptions
): Effect.Effect<AcpWire, never, Scope.Scope> =>
  Effect.gen(function* () {
    const runPromise = yield* FiberSet.makeRuntimePromise()
    const ended = yield* Deferred.make<string | undefined>()
    const lines = makeLines(DEFAULT_MAX_MESSAGE_BYTES)
    const decoder = new TextDecoder()
    /** Our requests that the agent has not answered (a prompt with its session), and its requests that we have not answered. */
    const asked = new Map<unknown, string | undefined>()
    const open = new Set<unknown>()
    let logged = 0
    let forward: (message: AnyMessage) => void = () => undefined
    let finish: () => void = () => undefined

    const write = (message: AnyMessage): Effect.Effect<void, ProcessError> => {
      if ("method" in message) {
        if ("id" in message) asked.set(message.id, promptedSession(message))
      } else {
        open.delete(message.id)
      }
      return group.write(`${JSON.stringify(message)}\n`)
    }

    const ignore = (what: string, line: string): Effect.Effect<void> => {
      logged += 1
      if (logged > mostLogged) return Effect.void
      const shown = stripVTControlCharacters(line.slice(0, loggedLength)).replace(/\p{Cc}+/gu, " ")
      return log(`${what}: ${shown}${logged === mostLogged ? " (further ones are not logged)" : ""}`)
    }

    const take = (bytes: Uint8Array): Effect.Effect<void> => {
      const line = decoder.decode(bytes)
      if (line.trim() === "") return Effect.void
      // Agents, and what they start, say things on stdout that are no messages; the SDK would answer each with an error.
      const message = Option.getOrUndefined(decodeJson(line))
      if (!isRecord(message)) return ignore("not a message", line)
      if ("method" in message) {
        return "id" in message ? takeRequest(message, line) : takeNotification(message, line, bytes.length)
      }
      const response = Option.orElse(decodeFailure(message), () =>
        "result" in message ? decodeSuccess(message) : Option.none()
      )
      if (Option.isNone(response) || !asked.has(response.value.id))
        return ignore("an answer to nothing", line)
      const { value } = response
      return Effect.sync(() => {
        const prompted = asked.get(value.id)
        asked.delete(value.id)
        if (prompted !== undefined) onAnswer(prompted)
        forward(value)
      })
    }

    const takeRequest = (message: object, line: string): Effect.Effect<void> => {
      const request = decodeRequest(message)
      if (Option.isNone(request)) return ignore("not a request", line)
      const { id } = request.value
      if (open.size >= mostRequests) {
        const error = { code: -32000, message: "too many requests wait for their answers" }
        return Effect.ignore(group.write(`${JSON.stringify({ jsonrpc: "2.0", id, error })}\n`))
      }
      open.add(id)
      return Effect.sync(() => forward(request.value))
    }

    const takeNotification = (message: object, line: string, bytes: number): Effect.Effect<void> => {
      const notification = decodeNotification(message)
      if (Option.isNone(notification)) return ignore("not a notification", line)
      const { method, params } = notification.value
      if (method === "session/update") return onUpdate(params, bytes)
      // Takes back one of its requests. Nothing else is known that an agent of version 1 may say without being asked.
      if (method === "$/cancel_request") return Effect.sync(() => forward(notification.value))
      return ignore("an unknown notification", line)
    }

    const stream: SdkStream = {
      readable: new ReadableStream({
        start: (controller) => {
          forward = (message) => controller.enqueue(message)
          finish = () => controller.close()
        },
        cancel: () => {
          forward = () => undefined
          finish = () => undefined
        }
      }),
      writable: new WritableStream({ write: (message) => runPromise(write(message)) })
    }

    yield* Stream.runForEach(group.output, (chunk) => {
      const whole = lines.push(chunk)
      if (whole === undefined) return Effect.fail("has written a line that is too long")
      return Effect.forEach(whole, take, { discard: true })
    }).pipe(
      Effect.matchEffect({
        onFailure: (error) =>
          Deferred.succeed(
            ended,
            typeof error === "string" ? error : `could not be read from (${error.code})`
          ),
        onSuccess: () => Deferred.succeed(ended, undefined)
      }),
      Effect.ensuring(Effect.sync(() => finish())),
      Effect.interruptible,
      Effect.forkScoped
    )
    return { stream, ended: Deferred.await(ended) }
  })

const promptedSession = (message: AnyMessage): string | undefined => {
  const prompt = Option.getOrUndefined(decodePrompt(message))
  return prompt?.params.sessionId
}

const isRecord = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const lineEnd = 0x0a

/** Cuts bytes into lines; each byte is looked at once. `undefined`: a line is longer than it may be. */
const makeLines = (limit: number) => {
  let parts: Array<Uint8Array> = []
  let size = 0
  const take = (last: Uint8Array): Uint8Array => {
    if (parts.length === 0) return last
    const line = new Uint8Array(size + last.length)
    let at = 0
    for (const part of [...parts, last]) {
      line.set(part, at)
      at += part.length
    }
    parts = []
    size = 0
    return line
  }
  return {
    push: (bytes: Uint8Array): ReadonlyArray<Uint8Array> | undefined => {
      const lines: Array<Uint8Array> = []
      let from = 0
      for (let at = bytes.indexOf(lineEnd); at >= 0; at = bytes.indexOf(lineEnd, from)) {
        lines.push(take(bytes.subarray(from, at)))
        from = at + 1
      }
      if (from < bytes.length) {
        parts.push(bytes.subarray(from))
        size += bytes.length - from
      }
      return size > limit ? undefined : lines
    }
  }
}
