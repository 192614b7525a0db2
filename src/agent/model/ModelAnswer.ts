/** ModelAnswer: one question and its answer. */
import { Chunk, Effect, Option, type Scope, Stream } from "effect"
import type { AgentEvent } from "../../domain/AgentEvent.js"
import type { AgentError } from "../AgentRunner.js"
import type { Dialect, Question } from "./Dialect.js"
import * as EventReader from "./EventReader.js"
import type { ModelClient } from "./ModelClient.js"
import type { ModelOptions } from "./ModelOptions.js"

/** Gives what the agent says next; `None`: the answer has ended. */
export type Pull = Effect.Effect<Chunk.Chunk<AgentEvent>, Option.Option<AgentError>>

/** Sends the question; the answer's bytes are pulled as the answer is, and never held. */
export const open = (
  dialect: Dialect,
  client: ModelClient,
  options: ModelOptions,
  question: Question
): Effect.Effect<Pull, AgentError, Scope.Scope> =>
  client
    .post(dialect.answerPath, (refused) => dialect.body(options, question, refused))
    .pipe(
      Effect.flatMap((response) => Stream.toPull(response.stream)),
      Effect.map((bytes) => reading(bytes, EventReader.make(client.site, dialect.answer(client.site))))
    )

/** Bytes that were pulled are read, and no more are pulled before that. */
const reading = (
  bytes: Effect.Effect<Chunk.Chunk<Uint8Array>, Option.Option<unknown>>,
  reader: EventReader.EventReader
): Pull => {
  let ended: Option.Option<AgentError> | undefined
  const next = Effect.match(bytes, {
    onSuccess: reader.feed,
    onFailure: (end) => reader.close(Option.isNone(end))
  })
  // A connection whose response was read to its end can be used again, which spares the next question a TLS handshake.
  const drain = Effect.timeoutOption(Effect.ignore(Effect.forever(bytes)), drainTime)
  const pull: Pull = Effect.flatMap(next, ({ failed, over, said }) => {
    if (over) ended = Option.fromNullable(failed)
    // What was said before a failure is told before it.
    const told = Effect.succeed(Chunk.unsafeFromArray(said))
    if (said.length > 0) return over && failed === undefined ? Effect.zipRight(drain, told) : told
    return ended === undefined ? pull : Effect.fail(ended)
  })
  return Effect.suspend(() => (ended === undefined ? pull : Effect.fail(ended)))
}

/** How long the end of a response is waited for behind the end of its answer. Most often it is there already. */
const drainTime = "50 millis"
