import * as AgentPolicy from "colloquy/AgentPolicy"
import * as AgentRunner from "colloquy/AgentRunner"
import { Context, Data, Duration, Effect, Stream } from "effect"

/** What the team's own model service can fail with. */
export class Busy extends Data.TaggedError("Busy")<{ readonly retryAfterMs: number }> {}
export class Refused extends Data.TaggedError("Refused")<{ readonly topic: string }> {}

/** The team's own model service. */
export class Model extends Context.Tag("Model")<
  Model,
  { readonly complete: (prompt: string) => Stream.Stream<string, Busy | Refused> }
>() {}

export const agent = AgentRunner.fromStream(
  (request) =>
    Stream.unwrap(
      Effect.gen(function* () {
        const model = yield* Model
        // The newest whole turns that fit, this run's message last; partial answers of aborted runs are in.
        const turns = yield* request.conversation({ messages: 40, bytes: 64 * 1024, images: false })
        const lines = turns.map(({ content, role }) => {
          const text = content.map((block) => (block.type === "text" ? block.text : "")).join("\n")
          return `${role}: ${text}`
        })
        return model.complete(lines.join("\n"))
      })
    ),
  {
    about: { kind: "support", name: "Support", images: false },
    onError: (error) => {
      switch (error._tag) {
        case "Busy":
          return new AgentRunner.AgentError({
            message: "the model is busy: try again in a moment",
            code: "BUSY",
            retryable: true,
            retryAfterMs: error.retryAfterMs
          })
        case "Refused":
          return `the model does not talk about ${error.topic}`
        case "AgentError":
          return error
      }
    }
  }
).pipe(
  AgentPolicy.withPolicy({
    noProgressTimeout: Duration.seconds(30),
    retry: {
      attempts: 3,
      baseDelay: Duration.millis(200),
      maxDelay: Duration.seconds(5),
      budget: Duration.seconds(20)
    }
  })
)
