/**
 * Completions: `POST /v1/chat/completions`. A request is a `chat.send` and the answer to its run; closing the connection aborts
 * the run, unless another request with the same idempotency key waits for it.
 */
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { Clock, Effect, Either, Exit, Option, Schema, Scope, Stream } from "effect"
import type { Terminal } from "../../domain/HubEvent.js"
import * as Ids from "../../domain/Ids.js"
import * as Usages from "../../domain/Usage.js"
import type { Follower, Progress } from "../../gateway/Followers.js"
import type { Visitor } from "../../gateway/Visitors.js"
import * as Chat from "../../protocol/Chat.js"
import { securityHeaders } from "../SecurityHeaders.js"
import * as Bearer from "./Bearer.js"
import * as Body from "./Body.js"
import { HttpFailure, bodyOf, invalid, ofWire, respond } from "./HttpFailure.js"
import * as OpenAi from "./OpenAi.js"
import * as Prompt from "./Prompt.js"

/** A request that was accepted. */
interface Accepted {
  readonly visitor: Visitor
  readonly key: string
  readonly sessionKey: string
  readonly agentId: string | undefined
  readonly follower: Follower
  /** The run was over before; this was its answer. */
  readonly settled: string | undefined
  readonly head: { readonly id: string; readonly created: number; readonly model: string }
}

export const handle = (request: HttpServerRequest.HttpServerRequest) =>
  Effect.gen(function* () {
    const visitor = yield* Bearer.enter(request, Body.sizeOf(request))
    const body = yield* Body.read(request, OpenAi.CompletionRequest)
    const scope = yield* Scope.make()
    const accepted = yield* Effect.onExit(Scope.extend(accept(request, visitor, body), scope), (exit) =>
      Exit.isFailure(exit) ? Scope.close(scope, exit) : Effect.void
    )
    const withUsage = body.stream_options?.include_usage === true
    return body.stream === true
      ? stream(accepted, scope, withUsage)
      : yield* Effect.onExit(whole(accepted), (exit) => leave(accepted, scope, exit))
  }).pipe(
    Effect.interruptible,
    Effect.catchTag("HttpFailure", (failure) => Effect.succeed(respond(failure)))
  )

const accept = (
  request: HttpServerRequest.HttpServerRequest,
  visitor: Visitor,
  body: OpenAi.CompletionRequest
) =>
  Effect.gen(function* () {
    const agent = OpenAi.agentOf(body.model)
    if (agent === undefined) {
      return yield* new HttpFailure({
        status: 404,
        message: `model: there is no model ${JSON.stringify(body.model.slice(0, 80))}; expected colloquy or colloquy:<agent>`,
        code: "model_not_found",
        param: "model"
      })
    }
    const named = request.headers["x-session-key"]
    const user = body.user ?? ""
    const isNamed = named !== undefined || user !== ""
    const sessionKey = named ?? (user === "" ? `http:${yield* Ids.uuid}` : Prompt.sessionOfUser(user))
    const prompt = yield* Prompt.make(body.messages, !isNamed)
    const key = request.headers["idempotency-key"] ?? (yield* Ids.uuid)
    if (key === "" || key.length > 512) {
      return yield* invalid("Idempotency-Key: expected 1 to 512 characters", "Idempotency-Key")
    }
    const follower = yield* visitor.follow(key)
    const agentId = agent ?? undefined
    const reply = yield* visitor.request("chat.send", {
      sessionKey,
      message: prompt.message,
      idempotencyKey: key,
      ...(agentId === undefined ? {} : { agentId }),
      ...(prompt.attachments.length === 0 ? {} : { attachments: prompt.attachments })
    })
    if (!reply.ok) return yield* ofWire(reply.error)
    const status = statusOf(reply.payload)
    if (status === "aborted") return yield* aborted
    const settled = status === "ok" ? yield* answerOf(visitor, sessionKey, agentId, key) : undefined
    const created = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    const head = { id: `chatcmpl-${key}`, created, model: body.model }
    return { visitor, key, sessionKey, agentId, follower, settled, head } satisfies Accepted
  })

/** Behind the answer, or when the client has gone: whose run nobody waits for any more is aborted. */
const leave = (
  { agentId, key, sessionKey, settled, visitor }: Accepted,
  scope: Scope.CloseableScope,
  exit: Exit.Exit<unknown, unknown>
) =>
  Effect.gen(function* () {
    const isAlone = visitor.followers(key) === 1
    yield* Scope.close(scope, Exit.void)
    if (!Exit.isInterrupted(exit) || !isAlone || settled !== undefined) return
    yield* visitor.request("chat.abort", {
      sessionKey,
      runId: key,
      ...(agentId === undefined ? {} : { agentId })
    })
  })

const isSent = Schema.is(Schema.Struct({ status: Chat.SendStatus }))
/** `undefined`: it was a stop command. */
const statusOf = (payload: unknown) => (isSent(payload) ? payload.status : undefined)

const aborted = new HttpFailure({
  status: 409,
  message: "the run was aborted",
  code: "run_aborted",
  param: null
})

/** Of a run that was over when it was asked for. */
const answerOf = (visitor: Visitor, sessionKey: string, agentId: string | undefined, key: string) =>
  Effect.map(
    visitor.request("chat.history", {
      sessionKey,
      limit: 1000,
      ...(agentId === undefined ? {} : { agentId })
    }),
    (reply) => {
      const messages = reply.ok && isHistory(reply.payload) ? reply.payload.messages : []
      const answer = messages.find((message) => isAnswer(message) && message.runId === key)
      return answer !== undefined && isAnswer(answer)
        ? answer.content.map(({ text = "" }) => text).join("")
        : ""
    }
  )
const isHistory = Schema.is(Chat.HistoryResult)
const isAnswer = Schema.is(
  Schema.Struct({
    role: Schema.Literal("assistant"),
    runId: Schema.String,
    content: Schema.Array(Schema.Struct({ text: Schema.optional(Schema.String) }))
  })
)

/** A run's end, as an answer or as a failure. */
const verdict = ({ outcome, text }: Terminal): Either.Either<Ending, HttpFailure> => {
  switch (outcome._tag) {
    case "Final": {
      const usage = usageOf(outcome.usage)
      return Either.right({
        text,
        reason: isCutOff(outcome.stopReason) ? "length" : "stop",
        ...(usage === undefined ? {} : { usage })
      })
    }
    case "Aborted":
      return Either.left(aborted)
    case "Error":
      return Either.left(
        new HttpFailure({
          status: 502,
          message: outcome.message || "the agent failed",
          code: "agent_failed",
          param: null
        })
      )
  }
}

interface Ending {
  readonly text: string
  readonly reason: "stop" | "length"
  readonly usage?: OpenAi.Usage
}

const isCutOff = (stopReason: string | undefined): boolean =>
  stopReason === "length" || stopReason === "max_tokens"

const usageOf = (usage: unknown): OpenAi.Usage | undefined =>
  Option.match(Usages.decodeOption(usage), {
    onNone: () => undefined,
    onSome: ({ cacheRead = 0, cacheWrite = 0, input, output, totalTokens }) => ({
      prompt_tokens: input + cacheRead + cacheWrite,
      completion_tokens: output,
      total_tokens: totalTokens
    })
  })

/** Waits for the end. */
const ended = (follower: Follower): Effect.Effect<Terminal> =>
  Effect.flatMap(follower.next, ({ end }) => (end === undefined ? ended(follower) : Effect.succeed(end)))

const whole = ({ follower, head, settled }: Accepted) =>
  Effect.gen(function* () {
    const ending: Ending =
      settled === undefined
        ? yield* Effect.flatMap(ended(follower), verdict)
        : { text: settled, reason: "stop" }
    return HttpServerResponse.unsafeJson(
      {
        ...head,
        object: "chat.completion",
        choices: [
          {
            index: 0,
            message: { role: "assistant", content: ending.text, refusal: null },
            finish_reason: ending.reason,
            logprobs: null
          }
        ],
        ...(ending.usage === undefined ? {} : { usage: ending.usage })
      },
      { headers: securityHeaders }
    )
  })

const stream = (accepted: Accepted, scope: Scope.CloseableScope, withUsage: boolean) => {
  const { follower, head, settled } = accepted
  const chunk = (delta: object, finish: string | null = null): string =>
    event({
      ...head,
      object: "chat.completion.chunk",
      choices: [{ index: 0, delta, finish_reason: finish, logprobs: null }],
      ...(withUsage ? { usage: null } : {})
    })
  const closing = ({ reason, usage }: Ending): string => {
    const last = withUsage
      ? event({ ...head, object: "chat.completion.chunk", choices: [], usage: usage ?? null })
      : ""
    return `${chunk({}, reason)}${last}data: [DONE]\n\n`
  }
  const content = (text: string): string => (text === "" ? "" : chunk({ content: text }))

  /** What of an answer the reader does not have. A text that was rewritten can't be taken back: it comes again, on a new line. */
  const added = (before: string, text: string): string =>
    text.startsWith(before) ? text.slice(before.length) : `\n${text}`

  const step = (progress: Progress, before: string): string => {
    const more = content(added(before, progress.text))
    if (progress.end === undefined) return more
    return Either.match(verdict(progress.end), {
      onLeft: (failure) => `${more}${event(bodyOf(failure))}`,
      onRight: (ending) => `${more}${closing(ending)}`
    })
  }

  const first = chunk({ role: "assistant", content: "" })
  const pieces =
    settled === undefined
      ? Stream.unfoldEffect(
          { text: "", isOver: false },
          ({
            isOver,
            text
          }): Effect.Effect<Option.Option<readonly [string, { text: string; isOver: boolean }]>> =>
            isOver
              ? Effect.succeedNone
              : Effect.map(follower.next, (progress) =>
                  Option.some([
                    step(progress, text),
                    { text: progress.text, isOver: progress.end !== undefined }
                  ] as const)
                )
        )
      : Stream.make(`${content(settled)}${closing({ text: settled, reason: "stop" })}`)
  const body = Stream.concat(
    Stream.make(first),
    Stream.filter(pieces, (text) => text !== "")
  ).pipe(
    Stream.encodeText,
    Stream.ensuringWith((exit) => leave(accepted, scope, exit))
  )
  return HttpServerResponse.stream(body, {
    contentType: "text/event-stream; charset=utf-8",
    headers: { ...securityHeaders, "X-Accel-Buffering": "no" }
  })
}

const event = (data: object): string => `data: ${JSON.stringify(data)}\n\n`
