/** What a gateway knows of an agent without asking it. */
import type { Duration } from "effect"

/** The model behind an agent. */
export interface ModelAbout {
  /** As its provider names it: `claude-sonnet-4-5`. */
  readonly id: string
  /** For people; absent: the id. */
  readonly name?: string
  /** Who runs it: `anthropic`, `openai`, `ollama`, … */
  readonly provider: string
  /** Tokens that fit into one request. */
  readonly contextWindow?: number
  /** Does it have levels of thinking? */
  readonly reasoning?: boolean
}

export interface AgentAbout {
  /** What answers: `demo`, `openai`, `anthropic`, `acp`, `command`, or a name of your own. */
  readonly kind: string
  /** For people; absent: the agent's id. */
  readonly name?: string
  readonly model?: ModelAbout
  /** Can it see images? A send with images to one that can't is refused. */
  readonly images: boolean
  /** How long it may work on a run that names no timeout; zero: without limit. Absent: as the gateway is set. */
  readonly runTimeout?: Duration.Duration
  /** Runs it may work on at once; more wait for their turn. Absent: as many as the gateway takes. */
  readonly maxConcurrentRuns?: number
}
