/**
 * A real agent, as far as it goes without a key: `COLLOQUY_TEST_ACP='["codex-acp"]' npx vitest run test/agent/AgentAcpLive.test.ts`.
 * The variable is a JSON array: the command and its arguments.
 */
import { NodeFileSystem } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Layer, Queue, Schema } from "effect"
import { tmpdir } from "node:os"
import * as AgentAcp from "../../src/agent/AgentAcp.js"
import { optionsOf } from "./acp/Agents.js"
import * as Processes from "./process/Processes.js"

const configured = process.env["COLLOQUY_TEST_ACP"]

// oxlint-disable-next-line house/no-focus-or-skip -- needs a program of hundreds of MB that is not installed here
describe.runIf(configured !== undefined)("a real agent", () => {
  it.live("shakes hands, or says that it is not logged in, and nothing is left of it", () =>
    Effect.gen(function* () {
      const [command = "", ...args] = yield* Schema.decode(Schema.parseJson(Schema.Array(Schema.String)))(
        configured ?? "[]"
      )
      const { HOME = tmpdir(), PATH = "" } = process.env
      const agent = yield* AgentAcp.make(optionsOf({}, { command, args, cwd: tmpdir(), env: { HOME, PATH } }))
      const checked = yield* Effect.either(agent.check)
      const said = Either.isRight(checked) ? checked.right : `${checked.left.code}: ${checked.left.message}`
      yield* Effect.logInfo(said)
      expect(said).toMatch(/ answers|^ACP_AUTH_REQUIRED: /)
      const { closed, pid } = yield* Queue.take(yield* Processes.Watch)
      yield* closed
      expect(Processes.alive({ group: pid })).toEqual([])
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(Processes.layerWatched, NodeFileSystem.layer)))
  )
})
