/** SessionNotes: what a session's entry says of its last run, in the fields that clients of the family read. */
import { Option } from "effect"
import type { AgentAbout } from "../domain/AgentAbout.js"
import type { Outcome } from "../domain/RunState.js"
import * as Usage from "../domain/Usage.js"
import type { Run } from "./Run.js"

/** The fields to set; none for an agent that has neither a model nor a count of tokens. */
export const make = (
  run: Run,
  outcome: Outcome,
  about: AgentAbout | undefined
): Option.Option<{ readonly [field: string]: unknown }> =>
  about?.model === undefined && run.usage === undefined
    ? Option.none()
    : Option.some(fieldsOf(run, outcome, about))

const fieldsOf = (run: Run, outcome: Outcome, about: AgentAbout | undefined) => ({
  abortedLastRun: outcome._tag === "Aborted",
  stopReason: stopReasonOf(outcome),
  ...Option.match(Usage.decodeOption(run.usage), {
    onNone: () => ({}),
    onSome: ({ cacheRead = 0, cacheWrite = 0, input, output, totalTokens }) => ({
      // What the model was given in all, whether a cache had it or not.
      inputTokens: input + cacheRead + cacheWrite,
      outputTokens: output,
      totalTokens
    })
  }),
  ...(about?.model === undefined
    ? {}
    : {
        model: about.model.id,
        modelProvider: about.model.provider,
        ...(about.model.contextWindow === undefined ? {} : { contextTokens: about.model.contextWindow })
      })
})

const stopReasonOf = (outcome: Outcome): string => {
  switch (outcome._tag) {
    case "Final":
      return outcome.stopReason ?? "stop"
    case "Aborted":
      return outcome.stopReason
    case "Error":
      return "error"
  }
}
