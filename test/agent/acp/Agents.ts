/** The agent under test as a gateway's agent, and what is heard of it. */
import { NodeFileSystem } from "@effect/platform-node"
import type { Fiber } from "effect"
import { Duration, Effect, Either, Layer, Queue, type Scope, Stream, TestClock } from "effect"
import { fileURLToPath } from "node:url"
import type { AcpOptions } from "../../../src/agent/AgentAcp.js"
import type { Agent, AgentError, AgentRequest } from "../../../src/agent/AgentRunner.js"
import type { AgentEvent } from "../../../src/domain/AgentEvent.js"
import { agentRequest } from "../../support/Request.js"
import * as Processes from "../process/Processes.js"

const path = fileURLToPath(new URL("agent.mjs", import.meta.url))

/** What the agent under test is told at its start (`agent.mjs`). */
export interface Config {
  readonly hang?: "initialize" | "new"
  readonly auth?: boolean
  readonly version?: number
  readonly image?: boolean
  readonly load?: "load" | "resume"
  readonly store?: string
  readonly stubborn?: boolean
  /** It does not end with its input. */
  readonly stays?: boolean
  readonly usage?: object
  readonly session?: object
}

export const optionsOf = (config: Config = {}, more: Partial<AcpOptions> = {}): AcpOptions => ({
  command: process.execPath,
  args: [path, JSON.stringify(config)],
  cwd: process.cwd(),
  env: {},
  process: "agent",
  permissions: "deny",
  permissionTimeout: Duration.seconds(30),
  cancelGrace: Duration.seconds(2),
  killGrace: Duration.seconds(2),
  startTimeout: Duration.seconds(30),
  files: "none",
  terminal: false,
  history: { messages: 50, bytes: 100_000 },
  ...more
})

export const layer = Layer.merge(Processes.layerWatched, NodeFileSystem.layer)

/** A run that one listens to while it is on. */
export interface Heard {
  readonly fiber: Fiber.RuntimeFiber<void, AgentError>
  readonly events: Queue.Dequeue<AgentEvent>
  /** The next piece of text. */
  readonly text: Effect.Effect<string>
}

export const hear = (
  agent: Agent,
  message: string,
  more: Partial<AgentRequest> = {}
): Effect.Effect<Heard, never, Scope.Scope> =>
  Effect.gen(function* () {
    const events = yield* Queue.unbounded<AgentEvent>()
    const fiber = yield* Effect.forkScoped(
      Stream.runForEach(agent.run(agentRequest(message, more)), (event) => Queue.offer(events, event))
    )
    const text: Effect.Effect<string> = Effect.flatMap(Queue.take(events), (event) =>
      event._tag === "TextDelta" ? Effect.succeed(event.delta) : text
    )
    return { fiber, events, text }
  })

/** All that a run says, and how it ends. */
export interface Said {
  readonly events: ReadonlyArray<AgentEvent>
  readonly text: string
  readonly last: string | undefined
  readonly error: AgentError | undefined
}

export const say = (agent: Agent, message: string, more: Partial<AgentRequest> = {}): Effect.Effect<Said> =>
  Effect.gen(function* () {
    const events: Array<AgentEvent> = []
    const end = yield* Effect.either(
      Stream.runForEach(agent.run(agentRequest(message, more)), (event) =>
        Effect.sync(() => events.push(event))
      )
    )
    return {
      events,
      text: events.map((event) => (event._tag === "TextDelta" ? event.delta : "")).join(""),
      last: events.at(-1)?._tag,
      error: Either.isLeft(end) ? end.left : undefined
    }
  })

/** Waits until the agent has said something on stderr that matches. */
export const lineOf = (errors: Queue.Dequeue<string>, pattern: RegExp, said = ""): Effect.Effect<string> =>
  pattern.test(said)
    ? Effect.succeed(said)
    : Effect.flatMap(Queue.take(errors), (more) => lineOf(errors, pattern, said + more))

/** Lets time pass, by the second, until something has come about. For limits that are made on the way there. */
export const passing = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.raceFirst(effect, Effect.forever(Effect.zipRight(turn, TestClock.adjust(Duration.seconds(1)))))

const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))
