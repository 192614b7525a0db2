/** AgentPolicy: how long an agent may be silent, and when it is tried again. The same for every kind of agent. */
import { Duration } from "effect"
import type { Agent } from "./AgentRunner.js"

/** When a failure is tried again: only while the agent has said nothing yet, since what was said can't be taken back. */
export interface RetryPolicy {
  /** How often it is tried in all; 1: never again. */
  readonly attempts: number
  /** The wait before the second try, doubled for each further one, each cut by a random half at most. */
  readonly baseDelay: Duration.Duration
  /** The longest wait that we choose. What the other side asks for (Retry-After) counts whole. */
  readonly maxDelay: Duration.Duration
  /** All waits together; a wait that does not fit is not begun, and the failure stands. */
  readonly budget: Duration.Duration
}

export interface AgentPolicy {
  /** An agent that says nothing at all for so long has failed; zero: without limit. */
  readonly noProgressTimeout: Duration.Duration
  readonly retry: RetryPolicy
}

export const defaults: AgentPolicy = {
  noProgressTimeout: Duration.minutes(2),
  retry: {
    attempts: 4,
    baseDelay: Duration.millis(500),
    maxDelay: Duration.seconds(10),
    budget: Duration.seconds(60)
  }
}

/** The agent under a policy. */
export const apply =
  (_policy: AgentPolicy) =>
  (agent: Agent): Agent =>
    agent
