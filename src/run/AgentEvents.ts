/**
 * AgentEvents: the way in for agents that work outside their run's fiber (a worker, a webhook, another process) and
 * report back. Events are matched by run id.
 */
import { Context, Effect, Layer } from "effect"
import type { AgentEvent } from "../domain/AgentEvent.js"
import type { RunId } from "../domain/Ids.js"
import { RunRegistry } from "./RunRegistry.js"

export interface AgentEventsShape {
  /**
   * Reports an event of a run. `false`: there is no such run here, or it is over or aborted; nothing was shown.
   * `End` and `Failed` end the run with `final` and `error`, also after its runner has returned.
   */
  readonly emit: (runId: RunId, event: AgentEvent) => Effect.Effect<boolean>
}

export class AgentEvents extends Context.Tag("colloquy/AgentEvents")<AgentEvents, AgentEventsShape>() {}

export const layer: Layer.Layer<AgentEvents, never, RunRegistry> = Layer.effect(
  AgentEvents,
  Effect.map(RunRegistry, (registry) => ({ emit: registry.ingest }))
)
