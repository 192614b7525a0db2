import { describe, expect, it } from "@effect/vitest"
import { Chunk, Clock, Duration, Effect, Exit, Fiber, Queue, Scope, Stream } from "effect"
import * as AgentAcp from "../../src/agent/AgentAcp.js"
import type { AgentEvent } from "../../src/domain/AgentEvent.js"
import { SessionId } from "../../src/domain/Ids.js"
import { type Config, hear, type Heard, layer, lineOf, optionsOf, passing, say } from "./acp/Agents.js"
import { agentRequest } from "../support/Request.js"
import * as Processes from "./process/Processes.js"

const { alive } = Processes
const grace = Duration.seconds(2)

type Ready = (heard: Heard, seen: Processes.Seen) => Effect.Effect<unknown>
const said: Ready = ({ text }) => text
const complained =
  (pattern: RegExp): Ready =>
  (_, { errors }) =>
    lineOf(errors, pattern)

describe("an abort that the agent does not obey ends its process to the last one", () => {
  interface Case {
    readonly config?: Config
    readonly message: string
    /** The agent has come to where it is to be aborted. */
    readonly ready: Ready
    /** How often a grace has to pass: for the cancel, and for SIGTERM. */
    readonly graces: number
  }
  const cases: Record<string, Case> = {
    "while it starts": { message: "hi", ready: () => Effect.void, graces: 0 },
    "at initialize": {
      config: { hang: "initialize" },
      message: "hi",
      ready: complained(/initialize/),
      graces: 0
    },
    "at initialize, deaf to SIGTERM": {
      config: { hang: "initialize", stubborn: true },
      message: "hi",
      ready: complained(/initialize/),
      graces: 1
    },
    "at session/new": { config: { hang: "new" }, message: "hi", ready: complained(/new/), graces: 1 },
    "in its answer": { message: "deaf", ready: said, graces: 1 },
    "in its answer, deaf to SIGTERM": {
      config: { stubborn: true },
      message: "deaf",
      ready: said,
      graces: 2
    },
    "in a flood": { message: "flood 1000000000", ready: said, graces: 1 }
  }
  for (const [name, { config, graces, message, ready }] of Object.entries(cases)) {
    it.effect(name, () =>
      Effect.gen(function* () {
        const agent = yield* AgentAcp.make(optionsOf(config))
        const heard = yield* hear(agent, message)
        const seen = yield* Queue.take(yield* Processes.Watch)
        yield* ready(heard, seen)
        expect(alive({ group: seen.pid })).not.toEqual([])
        const aborting = yield* Effect.fork(Fiber.interrupt(heard.fiber))
        yield* graces === 0 ? Fiber.join(aborting) : passing(Fiber.join(aborting))
        const waited = Duration.millis(yield* Clock.currentTimeMillis)
        expect(Duration.lessThan(waited, Duration.times(grace, graces))).toBe(false)
        yield* seen.closed
        expect(alive({ group: seen.pid })).toEqual([])
        // The next run has a new one.
        if (config === undefined) expect((yield* say(agent, "say on")).text).toBe("on")
      }).pipe(Effect.scoped, Effect.provide(layer))
    )
  }
})

describe("an abort", () => {
  it.effect("that is obeyed leaves the process and the session as they are", () =>
    Effect.gen(function* () {
      const watch = yield* Processes.Watch
      const agent = yield* AgentAcp.make(optionsOf())
      const first = yield* hear(agent, "wait")
      yield* first.text
      yield* Fiber.interrupt(first.fiber)
      const second = yield* hear(agent, "silent")
      const { errors } = yield* Queue.take(watch)
      yield* lineOf(errors, /silent/)
      yield* Fiber.interrupt(second.fiber)
      const { text } = yield* say(agent, "recall")
      expect(text).toMatch(/"wait".*"half an ".*"silent".*"recall"/)
      expect(yield* Queue.size(watch)).toBe(0)
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.effect("that is not obeyed fails the other runs of the process, which may be tried again", () =>
    Effect.gen(function* () {
      const agent = yield* AgentAcp.make(optionsOf())
      const deaf = yield* hear(agent, "deaf")
      yield* deaf.text
      const other = yield* hear(agent, "wait", { sessionId: SessionId("s2") })
      yield* other.text
      const aborting = yield* Effect.fork(Fiber.interrupt(deaf.fiber))
      yield* passing(Fiber.join(aborting))
      const error = yield* Effect.flip(Fiber.join(other.fiber))
      expect(error.code).toBe("ACP_AGENT_DIED")
      expect(error.retryable).toBe(true)
      expect(error.message).toMatch(
        / was stopped, since it did not end its turn within 2s of its cancel; the/
      )
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.effect("of one who waits for the start of another leaves that alone", () =>
    Effect.gen(function* () {
      const agent = yield* AgentAcp.make(optionsOf())
      const first = yield* hear(agent, "say on")
      const second = yield* hear(agent, "say off", { sessionId: SessionId("s2") })
      yield* Fiber.interrupt(second.fiber)
      yield* Fiber.join(first.fiber)
      expect(yield* Queue.size(yield* Processes.Watch)).toBe(1)
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.effect("while another run waits for the same start has that one start anew", () =>
    Effect.gen(function* () {
      const watch = yield* Processes.Watch
      const agent = yield* AgentAcp.make(optionsOf())
      const first = yield* hear(agent, "say on")
      const { closed, pid } = yield* Queue.take(watch)
      const second = yield* hear(agent, "say off", { sessionId: SessionId("s2") })
      yield* Fiber.interrupt(first.fiber)
      yield* closed
      expect(alive({ group: pid })).toEqual([])
      expect(yield* second.text).toBe("off")
    }).pipe(Effect.scoped, Effect.provide(layer))
  )
})

describe("the end of the gateway", () => {
  it.effect("ends all processes side by side, with what they have started", () =>
    Effect.gen(function* () {
      const watch = yield* Processes.Watch
      const gateway = yield* Scope.make()
      const agent = yield* Scope.extend(
        AgentAcp.make(optionsOf({ stubborn: true }, { process: "session" })),
        gateway
      )
      yield* say(agent, "hi")
      yield* say(agent, "hi", { sessionId: SessionId("s2") })
      const busy = yield* hear(agent, "parent", { sessionId: SessionId("s3") })
      const child = Number(yield* busy.text)
      expect(alive({ pid: child })).toEqual([child])
      const closing = yield* Effect.fork(Scope.close(gateway, Exit.void))
      yield* passing(Fiber.join(closing))
      for (const { closed, pid } of yield* Queue.takeAll(watch)) {
        yield* closed
        expect(alive({ group: pid })).toEqual([])
      }
      expect(alive({ pid: child })).toEqual([])
      expect((yield* Effect.flip(Fiber.join(busy.fiber))).message).toContain("since the gateway stops")
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.effect("a process that dies takes its children with it, and its run is told", () =>
    Effect.gen(function* () {
      const watch = yield* Processes.Watch
      const agent = yield* AgentAcp.make(optionsOf())
      const { fiber, text } = yield* hear(agent, "parent")
      const child = Number(yield* text)
      const { closed, pid } = yield* Queue.take(watch)
      process.kill(pid, "SIGKILL")
      // The child holds the pipes and does not hear SIGTERM: for its words, for its complaints, and for its end.
      expect((yield* passing(Effect.flip(Fiber.join(fiber)))).code).toBe("ACP_AGENT_DIED")
      yield* passing(closed)
      expect(alive({ pid: child })).toEqual([])
    }).pipe(Effect.scoped, Effect.provide(layer))
  )
})

describe("a flood", () => {
  it.effect("is held up as long as nobody takes it, and then comes whole", () =>
    Effect.gen(function* () {
      const kilobytes = 20_000
      const agent = yield* AgentAcp.make(optionsOf())
      const pull = yield* Stream.toPull(agent.run(agentRequest(`flood ${kilobytes}`)))
      const lengthOf = (events: Chunk.Chunk<AgentEvent>): number =>
        Chunk.reduce(events, 0, (sum, event) => sum + (event._tag === "TextDelta" ? event.delta.length : 0))
      let length = lengthOf(yield* pull)
      const { errors } = yield* Queue.take(yield* Processes.Watch)
      const held = yield* lineOf(errors, /held up after \d+\./)
      expect(Number(/after (\d+)\./.exec(held)?.[1])).toBeLessThan(4000)
      yield* Stream.runForEachChunk(Stream.repeatEffectChunkOption(pull), (events) =>
        Effect.sync(() => (length += lengthOf(events)))
      )
      expect(length).toBe(kilobytes * 1024)
    }).pipe(Effect.scoped, Effect.provide(layer))
  )
})
