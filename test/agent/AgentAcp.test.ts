import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as AgentAcp from "../../src/agent/AgentAcp.js"
import { hear, layer, optionsOf, say } from "./acp/Agents.js"

describe("AgentAcp", () => {
  it.scoped("streams what the agent says", () =>
    Effect.gen(function* () {
      const agent = yield* AgentAcp.make(optionsOf())
      expect(yield* say(agent, "say one two three")).toMatchObject({ text: "one two three", last: "End" })
      expect(yield* say(agent, "hello")).toMatchObject({ text: "you said: hello", last: "End" })
    }).pipe(Effect.provide(layer))
  )
  it.scoped("abort, and the next turn works", () =>
    Effect.gen(function* () {
      const agent = yield* AgentAcp.make(optionsOf())
      const heard = yield* hear(agent, "wait")
      expect(yield* heard.text).toBe("half an ")
      yield* Fiber.interrupt(heard.fiber)
      expect((yield* say(agent, "recall")).text).toContain("half an ")
    }).pipe(Effect.provide(layer))
  )
})
